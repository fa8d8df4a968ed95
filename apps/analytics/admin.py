from django.contrib import admin

from apps.analytics.models import AnalyticsMetric
from nautilus.api.admin import ReadOnlyAdmin


@admin.register(AnalyticsMetric)
class AnalyticsMetricAdmin(ReadOnlyAdmin):
    list_display = ["portfolio_id", "start_date", "end_date", "total_return", "sharpe", "max_drawdown", "timestamp"]
    list_filter = ["portfolio"]

    @admin.display(description="Total return")
    def total_return(self, metric: AnalyticsMetric) -> float | None:
        return metric.result["metrics"]["total_return"]

    @admin.display(description="Sharpe")
    def sharpe(self, metric: AnalyticsMetric) -> float | None:
        return metric.result["metrics"]["sharpe"]

    @admin.display(description="Maximum drawdown")
    def max_drawdown(self, metric: AnalyticsMetric) -> float | None:
        return metric.result["metrics"]["max_drawdown"]
