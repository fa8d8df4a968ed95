"""What a pre-trade check is asked, and how reservations and the halt of all trading look."""

from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.fields import empty

from apps.portfolios.models import Portfolio, Reservation
from apps.risk.models import PreTradeDecision, TradingHalt
from apps.risk.pretrade.orders import AskedTrade
from nautilus.api.serializers import AmountField, StrictSerializer

LARGEST_BASKET = 500


class AskedTradeSerializer(StrictSerializer):
    symbol = serializers.CharField(max_length=32)
    quantity = AmountField(zero=False, help_text="Negative sells")
    side = serializers.ChoiceField(["buy", "sell"], default=None, allow_null=True, help_text="Says it instead")
    price = AmountField(positive=True, default=None, allow_null=True, help_text="Left out, the latest is taken")
    order_id = serializers.CharField(
        max_length=100, default=None, allow_null=True, help_text="Your own; tells an order from one sent twice"
    )

    def run_validation(self, data: Any = empty) -> AskedTrade:
        fields = super().run_validation(data)
        side, quantity = fields.pop("side"), fields["quantity"]
        if side == "buy" and quantity < 0:
            raise ValidationError({"side": f"'buy' and a quantity of {quantity.normalize():f}, which sells: say one."})
        return AskedTrade(**{**fields, "quantity": -abs(quantity) if side == "sell" else quantity})


class _CheckSerializer(StrictSerializer):
    portfolio_id = serializers.CharField(max_length=64)
    reserve = serializers.BooleanField(default=False, help_text="Holds the room of an approved trade")
    as_of = serializers.DateField(
        default=None, allow_null=True, help_text="The day of the closes that you expect; then their age is no matter"
    )


class PreTradeCheckSerializer(_CheckSerializer):
    trade = AskedTradeSerializer()


class BasketCheckSerializer(_CheckSerializer):
    trades = serializers.ListField(child=AskedTradeSerializer(), min_length=1, max_length=LARGEST_BASKET)


class LimitCheckSerializer(serializers.Serializer):
    limit_id = serializers.IntegerField()
    kind = serializers.CharField()
    symbol = serializers.CharField(allow_null=True)
    action = serializers.CharField()
    current = serializers.FloatField(allow_null=True)
    projected = serializers.FloatField(allow_null=True)
    threshold = serializers.FloatField()
    warning_threshold = serializers.FloatField()
    status = serializers.CharField(help_text="ok, warning, breach or unknown, after the trade")
    reason = serializers.CharField(allow_null=True, help_text="Why it is unknown")


class RefusalSerializer(serializers.Serializer):
    code = serializers.CharField()
    detail = serializers.CharField()
    limit_id = serializers.IntegerField(allow_null=True)


class TradeToldSerializer(serializers.Serializer):
    symbol = serializers.CharField()
    quantity = serializers.FloatField()
    price = serializers.FloatField(allow_null=True)
    notional = serializers.FloatField(allow_null=True)
    order_id = serializers.CharField(allow_null=True)


class _AnswerSerializer(serializers.Serializer):
    approved = serializers.BooleanField()
    portfolio_id = serializers.CharField()
    checks = LimitCheckSerializer(many=True)
    reasons = serializers.ListField(child=serializers.CharField())
    refusals = RefusalSerializer(many=True)
    warnings = serializers.ListField(child=serializers.CharField())
    as_of = serializers.DateField(allow_null=True, help_text="The day of the closes that the book is valued at")
    trading_state = serializers.CharField()
    expires_at = serializers.DateTimeField(allow_null=True)
    evaluated_at = serializers.DateTimeField()
    elapsed_us = serializers.IntegerField()


class PreTradeAnswerSerializer(_AnswerSerializer):
    trade = TradeToldSerializer()
    reservation_id = serializers.UUIDField(allow_null=True)


class BasketAnswerSerializer(_AnswerSerializer):
    trades = TradeToldSerializer(many=True)
    reservation_ids = serializers.ListField(child=serializers.UUIDField())


class ReservationSerializer(serializers.ModelSerializer):
    portfolio_id = serializers.CharField()
    symbol = serializers.CharField(source="instrument_id")
    quantity = serializers.FloatField()
    open_quantity = serializers.FloatField(help_text="What is not booked yet")
    price = serializers.FloatField()
    created_by = serializers.CharField(source="created_by.username", allow_null=True, default=None)

    class Meta:
        model = Reservation
        fields = [
            "id",
            "portfolio_id",
            "symbol",
            "quantity",
            "open_quantity",
            "price",
            "order_id",
            "status",
            "created_at",
            "expires_at",
            "ended_at",
            "created_by",
        ]


class DecisionSerializer(serializers.ModelSerializer):
    portfolio_id = serializers.CharField()
    user = serializers.CharField(source="user.username", allow_null=True, default=None)

    class Meta:
        model = PreTradeDecision
        fields = ["id", "portfolio_id", "user", "evaluated_at", "approved", "reserve", "answer", "decided_on"]


class SetHaltSerializer(StrictSerializer):
    trading_state = serializers.ChoiceField(Portfolio.TradingState.choices, default=Portfolio.TradingState.HALTED)
    reason = serializers.CharField(max_length=1_000, default="", allow_blank=True)


class HaltSerializer(serializers.ModelSerializer):
    set_by = serializers.CharField(source="set_by.username", allow_null=True, default=None)

    class Meta:
        model = TradingHalt
        fields = ["trading_state", "reason", "set_at", "set_by"]
