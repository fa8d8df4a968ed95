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
