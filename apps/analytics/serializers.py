from typing import Any

from rest_framework import serializers

from apps.analytics.rolling import WINDOW_DAYS
from apps.portfolios.models import Instrument
from nautilus.api.serializers import NumberField, StrictSerializer, WholeNumberField

MOST_FACTORS = 20
MOST_WEIGHTS = 2000


class BootstrapSerializer(StrictSerializer):
    samples = WholeNumberField(default=1000, min_value=100, max_value=20_000)
    block_days = NumberField(
        default=None,
        allow_null=True,
        min_value=1,
        max_value=2520,
        help_text="Mean length of a block; left out, by Politis & White (2004)",
    )
    confidence = NumberField(default=0.95, min_value=0.5, max_value=0.999)
    seed = WholeNumberField(default=0, min_value=0, max_value=2**63 - 1)


class PerformanceSerializer(StrictSerializer):
    portfolio_id = serializers.CharField(max_length=64)
    start_date = serializers.DateField()
    end_date = serializers.DateField()
    benchmark = serializers.CharField(
        default=None, allow_null=True, max_length=32, help_text="A symbol; left out, the portfolio's own"
    )
    risk_free_rate = NumberField(default=0.0, min_value=-0.5, max_value=1.0, help_text="A year, as a fraction")
    rolling_window_days = WholeNumberField(
        default=None,
        allow_null=True,
        min_value=WINDOW_DAYS[0],
        max_value=WINDOW_DAYS[1],
        help_text="Days of the rolling measures' window; left out, there are none",
    )
    bootstrap = BootstrapSerializer(
        default=None, allow_null=True, help_text="Confidence intervals; left out, there are none"
    )
    factors = serializers.ListField(
        child=serializers.CharField(max_length=32),
        default=list,
        max_length=MOST_FACTORS,
        help_text="Symbols whose returns the book's are regressed on",
    )
    benchmark_weights = serializers.DictField(
        child=NumberField(min_value=0),
        default=None,
        allow_null=True,
        help_text="What the benchmark is composed of, symbol by symbol, adding up to 1; for the attribution",
    )

    def validate_benchmark(self, value: str | None) -> str | None:
        _refuse_unknown([value] if value else [])
        return value

    def validate_factors(self, value: list[str]) -> list[str]:
        doubles = sorted({symbol for symbol in value if value.count(symbol) > 1})
        if doubles:
            raise serializers.ValidationError(f"'{doubles[0]}' stands in it twice; name each factor once.")
        _refuse_unknown(value)
        return value

    def validate_benchmark_weights(self, value: dict[str, float] | None) -> dict[str, float] | None:
        if value is None:
            return None
        if not 0 < len(value) <= MOST_WEIGHTS:
            raise serializers.ValidationError(f"{len(value)} weights; expected 1 to {MOST_WEIGHTS}.")
        total = sum(value.values())
        if abs(total - 1.0) > 1e-6:
            raise serializers.ValidationError(f"The weights add up to {total:.9g}; expected 1 within 0.000001.")
        _refuse_unknown(list(value))
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["start_date"] >= attrs["end_date"]:
            raise serializers.ValidationError(
                {"end_date": f"{attrs['end_date']} is not after start_date {attrs['start_date']}."}
            )
        return attrs


def _refuse_unknown(symbols: list[str]) -> None:
    known = set(
        Instrument.objects.filter(pk__in=[each for each in symbols if "\0" not in each]).values_list("pk", flat=True)
    )
    unknown = [symbol for symbol in symbols if symbol not in known]
    if unknown:
        raise serializers.ValidationError(
            f"There is no instrument '{unknown[0]}'. GET /api/v1/instruments lists them.", "unknown_symbol"
        )


class DrawdownSerializer(serializers.Serializer):
    peak = serializers.DateField()
    trough = serializers.DateField()
    recovery = serializers.DateField(allow_null=True)
    depth = serializers.FloatField()
    days = serializers.IntegerField()


class YearlyReturnSerializer(serializers.Serializer):
    year = serializers.IntegerField()

    def get_fields(self) -> dict[str, serializers.Field]:
        # `return` is a keyword, so this field cannot be a class attribute.
        return {**super().get_fields(), "return": serializers.FloatField(allow_null=True)}


class MonthlyReturnSerializer(YearlyReturnSerializer):
    month = serializers.IntegerField()


class QuarterlyReturnSerializer(YearlyReturnSerializer):
    quarter = serializers.IntegerField()


class PnlSerializer(serializers.Serializer):
    total = serializers.FloatField()
    realized_fifo = serializers.FloatField()
    unrealized_fifo = serializers.FloatField()
    unrealized_change_fifo = serializers.FloatField()
    residual_fifo = serializers.FloatField()
    realized_average = serializers.FloatField()
    unrealized_average = serializers.FloatField()
    unrealized_change_average = serializers.FloatField()
    residual_average = serializers.FloatField()


class ContributionSerializer(serializers.Serializer):
    symbol = serializers.CharField()
    contribution = serializers.FloatField(allow_null=True)
    trading_contribution = serializers.FloatField(allow_null=True)
    pnl = serializers.FloatField()
    average_weight = serializers.FloatField()


class SectorEffectsSerializer(serializers.Serializer):
    sector = serializers.CharField()
    average_weight = serializers.FloatField()
    benchmark_weight = serializers.FloatField()
    allocation = serializers.FloatField()
    selection = serializers.FloatField()
    interaction = serializers.FloatField()
    total = serializers.FloatField()


class AttributionSerializer(serializers.Serializer):
    benchmark_return = serializers.FloatField()
    active_return = serializers.FloatField()
    allocation = serializers.FloatField()
    selection = serializers.FloatField()
    interaction = serializers.FloatField()
    trading = serializers.FloatField()
    residual = serializers.FloatField()
    sectors = SectorEffectsSerializer(many=True)


def _numbers() -> serializers.ListField:
    return serializers.ListField(child=serializers.FloatField(allow_null=True), allow_null=True)


class RollingSerializer(serializers.Serializer):
    window_days = serializers.IntegerField()
    dates = serializers.ListField(child=serializers.DateField())
    volatility = _numbers()
    sharpe = _numbers()
    sortino = _numbers()
    max_drawdown = _numbers()
    var_95 = _numbers()
    beta = _numbers()
    alpha = _numbers()
    correlation = _numbers()


class IntervalSerializer(serializers.Serializer):
    estimate = serializers.FloatField(allow_null=True)
    lower = serializers.FloatField(allow_null=True)
    upper = serializers.FloatField(allow_null=True)
    standard_error = serializers.FloatField(allow_null=True)
    reason = serializers.CharField(allow_null=True)


class ConfidenceIntervalsSerializer(serializers.Serializer):
    method = serializers.CharField()
    confidence = serializers.FloatField()
    samples = serializers.IntegerField()
    block_days = serializers.FloatField()
    seed = serializers.IntegerField()
    measures = serializers.DictField(child=IntervalSerializer())


class CoefficientErrorsSerializer(serializers.Serializer):
    standard_error = serializers.FloatField()
    t = serializers.FloatField()
    p = serializers.FloatField()
    newey_west_error = serializers.FloatField()
    newey_west_t = serializers.FloatField(allow_null=True)
    newey_west_p = serializers.FloatField(allow_null=True)


class InterceptSerializer(CoefficientErrorsSerializer):
    daily = serializers.FloatField()


class FactorSerializer(CoefficientErrorsSerializer):
    symbol = serializers.CharField()
    beta = serializers.FloatField()


class RegressionSerializer(serializers.Serializer):
    alpha = serializers.FloatField(allow_null=True)
    intercept = InterceptSerializer()
    factors = FactorSerializer(many=True)
    r_squared = serializers.FloatField()
    adjusted_r_squared = serializers.FloatField()
    residual_volatility = serializers.FloatField()
    observations = serializers.IntegerField()
    newey_west_lags = serializers.IntegerField()


class PerformanceResultSerializer(serializers.Serializer):
    """The stored result of `calculate_portfolio_performance`; those of earlier releases lack what may be missing."""

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
    quarterly_returns = QuarterlyReturnSerializer(many=True, required=False)
    yearly_returns = YearlyReturnSerializer(many=True, required=False)
    money_weighted_return = serializers.FloatField(allow_null=True, required=False)
    turnover = serializers.FloatField(allow_null=True, required=False)
    pnl = PnlSerializer(required=False)
    contributions = ContributionSerializer(many=True, required=False)
    cash_contribution = serializers.FloatField(allow_null=True, required=False)
    trading_contribution = serializers.FloatField(allow_null=True, required=False)
    contribution_residual = serializers.FloatField(allow_null=True, required=False)
    attribution = AttributionSerializer(allow_null=True, required=False)
    rolling = RollingSerializer(allow_null=True, required=False)
    regression = RegressionSerializer(allow_null=True, required=False)
    confidence_intervals = ConfidenceIntervalsSerializer(allow_null=True, required=False)
    snapshot_id = serializers.CharField()
    warnings = serializers.ListField(child=serializers.CharField())
    calculated_at = serializers.DateTimeField()
    task_id = serializers.UUIDField(allow_null=True)
