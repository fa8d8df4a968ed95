from typing import Any

from rest_framework import serializers

from apps.portfolios.models import Instrument
from nautilus.api.serializers import NumberField, StrictSerializer


class PerformanceSerializer(StrictSerializer):
    portfolio_id = serializers.CharField(max_length=64)
    start_date = serializers.DateField()
    end_date = serializers.DateField()
    benchmark = serializers.CharField(
        default=None, allow_null=True, max_length=32, help_text="A symbol; left out, the portfolio's own"
    )
    risk_free_rate = NumberField(default=0.0, min_value=-0.5, max_value=1.0, help_text="A year, as a fraction")

    def validate_benchmark(self, value: str | None) -> str | None:
        if value and not Instrument.objects.filter(pk=value).exists():
            raise serializers.ValidationError(
                f"There is no instrument '{value}'. GET /api/v1/instruments lists them.", "unknown_symbol"
            )
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["start_date"] >= attrs["end_date"]:
            raise serializers.ValidationError(
                {"end_date": f"{attrs['end_date']} is not after start_date {attrs['start_date']}."}
            )
        return attrs


class DrawdownSerializer(serializers.Serializer):
    peak = serializers.DateField()
    trough = serializers.DateField()
    recovery = serializers.DateField(allow_null=True)
    depth = serializers.FloatField()
    days = serializers.IntegerField()


class MonthlyReturnSerializer(serializers.Serializer):
    year = serializers.IntegerField()
    month = serializers.IntegerField()

    def get_fields(self) -> dict[str, serializers.Field]:
        # `return` is a keyword, so this field cannot be a class attribute.
        return {**super().get_fields(), "return": serializers.FloatField(allow_null=True)}


class PerformanceResultSerializer(serializers.Serializer):
    """The stored result of `calculate_portfolio_performance`."""

    portfolio_id = serializers.CharField()
    start_date = serializers.DateField()
    end_date = serializers.DateField()
    observations = serializers.IntegerField()
    benchmark = serializers.CharField(allow_null=True)
    risk_free_rate = serializers.FloatField()
    currency = serializers.CharField()
    metrics = serializers.DictField(child=serializers.FloatField(allow_null=True))
    reasons = serializers.DictField(child=serializers.CharField())
    drawdowns = DrawdownSerializer(many=True)
    monthly_returns = MonthlyReturnSerializer(many=True)
    snapshot_id = serializers.CharField()
    warnings = serializers.ListField(child=serializers.CharField())
    calculated_at = serializers.DateTimeField()
    task_id = serializers.UUIDField(allow_null=True)
