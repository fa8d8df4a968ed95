"""Input and output of the stress endpoints."""

from collections.abc import Iterable, Mapping
from typing import Any

from rest_framework import serializers

from apps.portfolios.models import LARGEST, Instrument
from apps.portfolios.names import is_symbol
from apps.risk.scenarios import SCENARIOS
from apps.risk.serializers.analysis import BookSerializer
from apps.risk.stress import ALL
from nautilus.api.serializers import NumberField, StrictSerializer

MOST_SHOCKS = 20
MOST_NAMED = 1_000
# A price that grows elevenfold in a shock is a slip of the unit: -20 for -20 %, say.
LARGEST_SHOCK = 10.0


class ShockField(NumberField):
    """A change of a price as a fraction: -0.2 is a fall of 20 per cent. None falls by more than all."""

    default_error_messages = {
        "too_low": "{value} is a fall of more than all; expected a fraction of -1 or more, such as -0.2 for -20 %.",
        "too_high": "{value} is a rise of more than 1,000 %; expected a fraction of 10 or less, such as 0.2 for +20 %.",
    }

    def to_internal_value(self, data: Any) -> float:
        value = super().to_internal_value(data)
        if value < -1:
            self.fail("too_low", value=value)
        if value > LARGEST_SHOCK:
            self.fail("too_high", value=value)
        return value


class ShocksByNameField(serializers.DictField):
    """Shocks by symbol or by sector, MOST_NAMED at most."""

    default_error_messages = {"too_many": "{count} names; expected {most} at most."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(child=ShockField(), default=dict, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and len(data) > MOST_NAMED:
            self.fail("too_many", count=len(data), most=MOST_NAMED)
        return super().to_internal_value(data)


class ShockSerializer(StrictSerializer):
    name = serializers.CharField(max_length=64, help_text="Names its row of the result")
    symbols = ShocksByNameField(help_text='By symbol, before all others: `{"AAPL": -0.2}`')
    sectors = ShocksByNameField(help_text='By sector, before `all` and `benchmark`: `{"Energy": 0.1}`')
    all = ShockField(default=None, allow_null=True, help_text="Of every position that no other shock names")
    benchmark = ShockField(
        default=None,
        allow_null=True,
        help_text="Of the benchmark: every position that no other shock names moves by its beta times this",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["all"] is not None and attrs["benchmark"] is not None:
            raise serializers.ValidationError(
                {"benchmark": "`all` moves every position, so that `benchmark` would move none; give one of the two."}
            )
        if not (attrs["symbols"] or attrs["sectors"]) and attrs["all"] is None and attrs["benchmark"] is None:
            raise serializers.ValidationError(
                f"'{attrs['name']}' moves nothing; expected `symbols`, `sectors`, `all` or `benchmark`.", "empty"
            )
        return attrs


class ReverseSerializer(StrictSerializer):
    loss = NumberField(default=None, allow_null=True, max_value=float(LARGEST), help_text="The amount lost, above zero")
    loss_pct = NumberField(
        default=None, allow_null=True, max_value=10.0, help_text="Or the fraction of the portfolio's value: 0.1 is 10 %"
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given = {name: value for name, value in attrs.items() if value is not None}
        if len(given) != 1:
            raise serializers.ValidationError("Expected one of `loss` and `loss_pct`, and not both.", "one_of")
        for name, value in given.items():
            if value <= 0:
                raise serializers.ValidationError({name: f"{value} is no loss; expected a number above zero."})
        return attrs


class StressSerializer(BookSerializer):
    scenarios = serializers.ListField(
        child=serializers.CharField(max_length=64),
        default=list,
        max_length=1_000,
        help_text="Names of historical scenarios (GET .../analytics/risk/scenarios), or `all`. Left out where neither "
        "shocks nor a reverse stress are asked for: all",
    )
    shocks = serializers.ListField(
        child=ShockSerializer(), default=list, max_length=MOST_SHOCKS, help_text="Own moves, a row each"
    )
    reverse = ReverseSerializer(
        default=None, allow_null=True, help_text="Looks for the most likely one-day move that loses so much"
    )

    def validate_scenarios(self, value: list[str]) -> list[str]:
        if unknown := sorted(set(value) - SCENARIOS.keys() - {ALL}):
            raise serializers.ValidationError(
                f"{', '.join(unknown)}: no such scenario; expected some of {', '.join(SCENARIOS)}, or {ALL}.",
                "unknown_scenario",
            )
        return value

    def validate_shocks(self, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        names = [shock["name"] for shock in value]
        if doubles := sorted({name for name in names if names.count(name) > 1 or name in SCENARIOS}):
            raise serializers.ValidationError(
                f"{', '.join(doubles)}: the name of more than one scenario; expected one of its own each.", "name_taken"
            )
        _refuse_unknown_symbols({symbol for shock in value for symbol in shock["symbols"]})
        _refuse_unknown_sectors({sector for shock in value for sector in shock["sectors"]})
        return value


def _refuse_unknown_symbols(symbols: set[str]) -> None:
    known = Instrument.objects.filter(pk__in=filter(is_symbol, symbols)).values_list("pk", flat=True)
    if unknown := symbols - set(known):
        raise serializers.ValidationError(
            f"{_listed(unknown)}: no such instrument; GET /api/v1/instruments lists them.", "unknown_symbol"
        )


def _refuse_unknown_sectors(sectors: set[str]) -> None:
    if not sectors:
        return
    known = set(Instrument.objects.exclude(sector="").values_list("sector", flat=True))
    if unknown := sectors - known:
        raise serializers.ValidationError(
            f"{_listed(unknown)}: no instrument is in such a sector; expected some of {_listed(known) or 'none yet'}.",
            "unknown_sector",
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name[:64]) for name in sorted(names)[:20])


class HistoricalScenarioSerializer(serializers.Serializer):
    """A scenario that a stress test can be asked for by name."""

    name = serializers.CharField()
    title = serializers.CharField()
    start = serializers.DateField(help_text="Its close is the start")
    end = serializers.DateField(help_text="Its close is the end")
    description = serializers.CharField()
