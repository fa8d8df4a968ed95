"""Stored performance figures."""

from django.db import models
from django.db.models import F
from django.utils import timezone

from apps.portfolios.models import Portfolio, Snapshot
from apps.tasks.models import Task
from nautilus.database import LongNamedIndex


class AnalyticsMetric(models.Model):
    """One computed performance. One a task: a message delivered twice stores once."""

    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="analytics_metrics")
    task = models.OneToOneField(Task, null=True, on_delete=models.SET_NULL, related_name="+")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.PROTECT, related_name="+")
    timestamp = models.DateTimeField(default=timezone.now)
    start_date = models.DateField()
    end_date = models.DateField()
    result = models.JSONField()

    class Meta:
        db_table = "analytics_metrics"
        ordering = ["-timestamp", "-id"]
        indexes = [LongNamedIndex(F("portfolio"), F("timestamp").desc(), name="idx_analytics_portfolio_timestamp")]

    def __str__(self) -> str:
        return f"{self.portfolio_id} {self.start_date} to {self.end_date}"


class Report(models.Model):
    """One tear sheet as a file: a performance in one format, made by a task and kept until it is made anew.

    It goes with its performance; of each portfolio those of the latest performances are kept (reports/keep.py).
    """

    class Format(models.TextChoices):
        HTML = "html", "HTML"
        PDF = "pdf", "PDF"
        CSV = "csv", "CSV"
        JSON = "json", "JSON"

    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="reports")
    metric = models.ForeignKey(AnalyticsMetric, on_delete=models.CASCADE, related_name="reports")
    task = models.ForeignKey(Task, null=True, on_delete=models.SET_NULL, related_name="+")
    format = models.CharField(max_length=4, choices=Format)
    content = models.BinaryField()
    sha256 = models.CharField(max_length=64, help_text="Of the content, 64 hex digits; the file's ETag")
    size_bytes = models.PositiveIntegerField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "analytics_reports"
        ordering = ["-created_at", "format"]
        constraints = [models.UniqueConstraint(fields=["metric", "format"], name="report_one_file_a_format")]

    def __str__(self) -> str:
        return self.file_name

    @property
    def file_name(self) -> str:
        """Letters, digits and `_.-` alone, as portfolio ids are."""
        period = f"{self.metric.start_date}-{self.metric.end_date}"
        return f"{self.portfolio_id}-{period}-tear-sheet.{self.format}"
