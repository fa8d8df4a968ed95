"""Input and output of the risk endpoints, with the contract's defaults."""

from typing import Any

from django.utils import timezone
from rest_framework import serializers

from apps.portfolios.models import Instrument
from apps.risk.all_portfolios import DEFAULTS as BATCH_DEFAULTS
from apps.risk.methods import DEFAULTS, DISTRIBUTIONS, METHODS
from apps.risk.models import RiskMetric
from nautilus.api.serializers import NumberField, StrictSerializer, WholeNumberField

MOST_PROXIES = 100


class ConfidenceField(NumberField):
    """More than 0.5 and less than 1: at 1 the loss would be the worst that ever could be, which no window holds."""

    default_error_messages = {"range": "{value} is not between 0.5 and 1 (both excluded); 0.99 is one in a hundred."}

    def to_internal_value(self, data: Any) -> float:
        value = super().to_internal_value(data)
        if not 0.5 < value < 1:
            self.fail("range", value=value)
        return value


class BookSerializer(StrictSerializer):
    """Which book, at which close, with how much past behind it, and what to do where prices are missing."""

    portfolio_id = serializers.CharField(max_length=64)
    window_days = WholeNumberField(
        default=500, min_value=2, max_value=25_000, help_text="Number of daily returns up to and including `as_of`"
    )
    as_of = serializers.DateField(
        default=None,
        allow_null=True,
        help_text="The close to value at, with what was held then. Left out: what is held now, at the latest date on "
        "which every held symbol has a price",
    )
    proxy = serializers.DictField(
        child=serializers.CharField(max_length=32),
        default=dict,
        help_text='Whose returns stand in where a held symbol has none: `{"NEW": "SP500"}`. Said in `warnings`',
    )
    missing = serializers.ChoiceField(
        choices=["error", "drop_days"],
        default="error",
        help_text="`error` refuses a window in which a held symbol lacks a return; `drop_days` leaves such days out "
        "and says so in `warnings`",
    )

    def validate_as_of(self, value: Any) -> Any:
        if value and value > timezone.now().date():
            raise serializers.ValidationError(f"{value} is in the future; expected a past trading day.", "future_date")
        return value

    def validate_proxy(self, value: dict[str, str]) -> dict[str, str]:
        if len(value) > MOST_PROXIES:
            raise serializers.ValidationError(f"{len(value)} proxies; expected {MOST_PROXIES} at most.", "too_many")
        known = set(Instrument.objects.filter(pk__in=value.values()).values_list("pk", flat=True))
        if unknown := sorted(set(value.values()) - known):
            raise serializers.ValidationError(
                f"{', '.join(unknown)}: no such instrument; expected one with prices.", "unknown_symbol"
            )
        return value


class MethodParametersSerializer(StrictSerializer):
    """What the methods take; each uses its own and no other."""

    confidence = ConfidenceField(default=0.99)
    distribution = serializers.ChoiceField(
        choices=DISTRIBUTIONS, default=DEFAULTS["distribution"], help_text="Of `parametric` and `monte_carlo`"
    )
    paths = WholeNumberField(
        default=DEFAULTS["paths"], min_value=1_000, max_value=1_000_000, help_text="Of `monte_carlo`"
    )
    seed = WholeNumberField(
        default=DEFAULTS["seed"],
        min_value=0,
        max_value=2**53 - 1,
        help_text="Of `monte_carlo`: the same seed draws the same paths",
    )
    decay = NumberField(
        default=DEFAULTS["decay"],
        min_value=0.5,
        max_value=1.0,
        help_text="Of `age_weighted`: a day's weight over that of the day after",
    )


class HorizonSerializer(MethodParametersSerializer, BookSerializer):
    horizon_days = WholeNumberField(default=1, min_value=1, max_value=250)
    horizon_method = serializers.ChoiceField(
        choices=["sqrt_time", "overlapping"],
        default="sqrt_time",
        help_text="`sqrt_time` multiplies the one-day figures by the root of the days; `overlapping` compounds the "
        "returns of every run of that many days",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["horizon_method"] == "overlapping" and attrs["horizon_days"] >= attrs["window_days"]:
            raise serializers.ValidationError(
                {"horizon_days": f"{attrs['horizon_days']} days do not fit into a window of {attrs['window_days']}."}
            )
        return attrs


class AnalyzeSerializer(HorizonSerializer):
    method = serializers.ChoiceField(choices=sorted(METHODS), default="historical")


class AnalyzeAllSerializer(StrictSerializer):
    """Historical simulation over one day; for another method ask for the portfolio by itself."""

    window_days = WholeNumberField(
        default=BATCH_DEFAULTS["window_days"],
        min_value=2,
        max_value=25_000,
        help_text="Number of daily returns up to each portfolio's latest common date",
    )
    confidences = serializers.ListField(
        child=ConfidenceField(),
        default=lambda: BATCH_DEFAULTS["confidences"],
        allow_empty=False,
        max_length=5,
        help_text="VaR and expected shortfall at each",
    )

    def validate_confidences(self, value: list[float]) -> list[float]:
        return sorted(set(value))


class CompareSerializer(HorizonSerializer):
    methods = serializers.ListField(
        child=serializers.ChoiceField(choices=sorted(METHODS)),
        default=lambda: sorted(METHODS),
        allow_empty=False,
        help_text="Left out: all. Those with a distribution appear once for the normal and once for Student t",
    )

    def validate_methods(self, value: list[str]) -> list[str]:
        return sorted(set(value))


class RiskMetricSerializer(serializers.ModelSerializer):
    task_id = serializers.UUIDField(allow_null=True)
    snapshot_id = serializers.CharField()
    portfolio_id = serializers.CharField()

    class Meta:
        model = RiskMetric
        fields = [
            "portfolio_id",
            "timestamp",
            "as_of",
            "method",
            "confidence",
            "horizon_days",
            "observations",
            "currency",
            "portfolio_value",
            "var",
            "var_pct",
            "expected_shortfall",
            "expected_shortfall_pct",
            "volatility_annual",
            "snapshot_id",
            "task_id",
        ]
