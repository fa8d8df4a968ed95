"""Input and output of the risk endpoints, with the contract's defaults."""

from typing import Any

from django.utils import timezone
from rest_framework import serializers

from apps.risk.methods import METHODS
from apps.risk.models import RiskMetric
from nautilus.api.serializers import NumberField, StrictSerializer, WholeNumberField


class ConfidenceField(NumberField):
    """More than 0.5 and less than 1: at 1 the loss would be the worst that ever could be, which no window holds."""

    default_error_messages = {"range": "{value} is not between 0.5 and 1 (both excluded); 0.99 is one in a hundred."}

    def to_internal_value(self, data: Any) -> float:
        value = super().to_internal_value(data)
        if not 0.5 < value < 1:
            self.fail("range", value=value)
        return value


class AnalyzeSerializer(StrictSerializer):
    portfolio_id = serializers.CharField(max_length=64)
    method = serializers.ChoiceField(choices=sorted(METHODS), default="historical")
    confidence = ConfidenceField(default=0.99)
    horizon_days = WholeNumberField(default=1, min_value=1, max_value=250)
    horizon_method = serializers.ChoiceField(choices=["sqrt_time", "overlapping"], default="sqrt_time")
    window_days = WholeNumberField(
        default=500, min_value=2, max_value=25_000, help_text="Number of daily returns up to and including `as_of`"
    )
    as_of = serializers.DateField(
        default=None,
        allow_null=True,
        help_text="The close to value at, with what was held then. Left out: what is held now, at the latest date on "
        "which every held symbol has a price",
    )

    def validate_as_of(self, value: Any) -> Any:
        if value and value > timezone.now().date():
            raise serializers.ValidationError(f"{value} is in the future; expected a past trading day.", "future_date")
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["horizon_method"] == "overlapping" and attrs["horizon_days"] >= attrs["window_days"]:
            raise serializers.ValidationError(
                {"horizon_days": f"{attrs['horizon_days']} days do not fit into a window of {attrs['window_days']}."}
            )
        return attrs


class ScenarioSerializer(serializers.Serializer):
    date = serializers.DateField()
    pnl = serializers.FloatField()


class ComponentSerializer(serializers.Serializer):
    symbol = serializers.CharField()
    value = serializers.FloatField()
    weight = serializers.FloatField(allow_null=True)
    component_var = serializers.FloatField()
    marginal_var = serializers.FloatField()
    incremental_var = serializers.FloatField()


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
