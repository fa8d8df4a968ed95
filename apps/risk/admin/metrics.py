from django.contrib import admin

from apps.risk.models import RiskMetric
from nautilus.api.admin import ReadOnlyAdmin


@admin.register(RiskMetric)
class RiskMetricAdmin(ReadOnlyAdmin):
    list_display = ["portfolio_id", "as_of", "method", "confidence", "var", "expected_shortfall", "timestamp"]
    list_filter = ["portfolio", "method"]
    date_hierarchy = "timestamp"
