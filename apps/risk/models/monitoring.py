"""The one monitor: whether it shall run, who runs it, how the last run went."""

from django.conf import settings
from django.db import models
from django.utils import timezone


class RiskMonitor(models.Model):
    """One row. A run takes the lease by compare-and-set and writes only while `epoch` is still its own."""

    enabled = models.BooleanField(default=True)
    epoch = models.PositiveBigIntegerField(default=0, help_text="Grows with every run: a run that was replaced is told")
    holder = models.CharField(max_length=200, blank=True)
    lease_expires_at = models.DateTimeField(null=True)
    last_run_at = models.DateTimeField(null=True, help_text="When the last whole run began")
    last_run_seconds = models.FloatField(null=True)
    last_error = models.TextField(blank=True)
    last_error_at = models.DateTimeField(null=True)
    portfolios_monitored = models.PositiveIntegerField(default=0)
    limits_monitored = models.PositiveIntegerField(default=0)
    changed_at = models.DateTimeField(default=timezone.now)
    changed_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        db_table = "risk_monitor"
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="risk_monitor_is_one_row")]

    def __str__(self) -> str:
        return "risk monitor"
