from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from apps.analytics.models import AnalyticsMetric, Report
from apps.analytics.report_api import file_answer
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


@admin.register(Report)
class ReportAdmin(ReadOnlyAdmin):
    """Tear sheets to download, older ones as well, which the API does not serve."""

    list_display = ["file", "portfolio_id", "format", "kilobytes", "created_at"]
    list_display_links = None
    list_filter = ["format", "portfolio"]
    fields = ["portfolio", "metric", "format", "file", "size_bytes", "sha256", "created_at", "task"]
    readonly_fields = ["file"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Report]:
        return super().get_queryset(request).select_related("metric").defer("content")

    def get_urls(self) -> list[URLPattern]:
        download = self.admin_site.admin_view(self.download)
        return [path("<int:report_id>/file", download, name="analytics_report_file"), *super().get_urls()]

    def download(self, request: HttpRequest, report_id: int) -> HttpResponse:
        report = self.get_queryset(request).filter(pk=report_id).first()
        if report is None or not self.has_view_permission(request, report):
            raise Http404(f"There is no report {report_id} that you may see.")
        return file_answer(request, report)

    @admin.display(description="File")
    def file(self, report: Report) -> str:
        link = reverse("admin:analytics_report_file", args=[report.pk])
        return format_html('<a class="text-primary-600" href="{}">{}</a>', link, report.file_name)

    @admin.display(description="Size", ordering="size_bytes")
    def kilobytes(self, report: Report) -> str:
        return f"{report.size_bytes / 1024:,.0f} kB"
