"""Input of `risk.backtest`."""

from typing import Any

from rest_framework import serializers

from apps.risk.methods import METHODS
from apps.risk.serializers.analysis import BookSerializer, MethodParametersSerializer
from nautilus.api.serializers import WholeNumberField


class BacktestSerializer(MethodParametersSerializer, BookSerializer):
    """The horizon is one day: each forecast is held against the next day's P&L."""

    method = serializers.ChoiceField(
        choices=sorted(METHODS), required=False, help_text="One method; left out with `methods`, `historical`"
    )
    methods = serializers.ListField(
        child=serializers.ChoiceField(choices=sorted(METHODS)),
        required=False,
        allow_empty=False,
        help_text="Several methods on the same days, ranked",
    )
    window_days = WholeNumberField(
        default=500, min_value=2, max_value=25_000, help_text="Number of daily returns behind each forecast"
    )
    test_days = WholeNumberField(
        default=250, min_value=1, max_value=2_500, help_text="Number of days that are tested, the last of them `as_of`"
    )
    as_of = serializers.DateField(
        default=None,
        allow_null=True,
        help_text="The last tested day. Left out: the latest date on which every held symbol has a price",
    )
    positions = serializers.ChoiceField(
        choices=["ledger", "current"],
        default="ledger",
        help_text="`ledger`: on each day what was held at the close before; `current`: today's quantities on every day",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        method = attrs.pop("method", None)
        if method and "methods" in attrs:
            raise serializers.ValidationError({"methods": "expected either method or methods, not both."})
        attrs["methods"] = sorted(set(attrs.get("methods", [method or "historical"])))
        return attrs
