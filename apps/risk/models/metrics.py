"""Stored risk figures."""

from django.db import models
from django.db.models import F
from django.utils import timezone

from apps.portfolios.models import Portfolio, Snapshot
from apps.tasks.models import Task


class RiskMetric(models.Model):
    """One computed VaR with all that belongs to it, once a task: a message delivered twice stores once.

    The monitor's have no task, and stand once a snapshot: a book and prices that did not change are not stored again.
    """

    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="risk_metrics")
    task = models.ForeignKey(Task, null=True, on_delete=models.SET_NULL, related_name="+")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.PROTECT, related_name="+")
    timestamp = models.DateTimeField(default=timezone.now)
    as_of = models.DateField()
    method = models.CharField(max_length=32)
    confidence = models.FloatField()
    horizon_days = models.IntegerField()
    observations = models.IntegerField()
    currency = models.CharField(max_length=3)
    portfolio_value = models.FloatField()
    var = models.FloatField()
    var_pct = models.FloatField(null=True)
    expected_shortfall = models.FloatField()
    expected_shortfall_pct = models.FloatField(null=True)
    volatility_annual = models.FloatField(null=True)

    class Meta:
        db_table = "risk_metrics"
        ordering = ["-timestamp", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["task", "portfolio", "confidence"], name="risk_metric_once_a_task"),
            models.UniqueConstraint(
                fields=["snapshot", "confidence"], condition=models.Q(task=None), name="risk_metric_once_a_snapshot"
            ),
        ]
        indexes = [models.Index(F("portfolio"), F("timestamp").desc(), name="idx_portfolio_risk_timestamp")]

    def __str__(self) -> str:
        return f"{self.portfolio_id} {self.method} VaR {self.confidence} {self.as_of}"
