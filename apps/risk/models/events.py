"""What happened to a portfolio's risk: the record behind every alert."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from apps.portfolios.models import Portfolio


class Severity(models.TextChoices):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class RiskEvent(models.Model):
    """Written in the transaction that changed the state it tells of; published and alerted after it.

    A limit's id stays when the limit is deleted. `portfolio` is empty where it is about all of them.
    """

    class Type(models.TextChoices):
        LIMIT_BREACH = "limit_breach"
        LIMIT_WARNING = "limit_warning"
        LIMIT_CLEARED = "limit_cleared"
        LIMIT_UNKNOWN = "limit_unknown", "limit that cannot be computed"
        PRICES_STALE = "prices_stale"
        PRICES_FRESH = "prices_fresh"
        MONITORING_STARTED = "monitoring_started"
        MONITORING_STOPPED = "monitoring_stopped"
        MONITORING_STALLED = "monitoring_stalled"
        MONITORING_RESUMED = "monitoring_resumed"
        TRADING_STATE = "trading_state", "trading state changed"
        STRATEGY_ROLLED_BACK = "strategy_rolled_back", "strategy rolled back"
        TEST = "test", "test message"

    portfolio = models.ForeignKey(Portfolio, null=True, on_delete=models.PROTECT, related_name="risk_events")
    event_type = models.CharField(max_length=24, choices=Type)
    severity = models.CharField(max_length=8, choices=Severity)
    limit = models.ForeignKey(
        "risk.RiskLimit", null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="events"
    )
    kind = models.CharField(max_length=32, blank=True, help_text="The limit's kind")
    symbol = models.CharField(max_length=32, blank=True)
    value = models.FloatField(null=True)
    threshold = models.FloatField(null=True)
    message = models.TextField(help_text="One sentence, as it is sent")
    timestamp = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, help_text="When what it tells of was over; empty while it goes on")
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    published_at = models.DateTimeField(null=True, help_text="When it went to the sockets; empty: still to come")

    class Meta:
        db_table = "risk_events"
        ordering = ["-timestamp", "-id"]
        indexes = [
            models.Index(F("portfolio"), F("event_type"), F("timestamp").desc(), name="idx_risk_events_portfolio_type"),
            models.Index(fields=["id"], condition=Q(published_at=None), name="idx_risk_events_unpublished"),
            models.Index(
                fields=["portfolio"], condition=Q(closed_at=None, acknowledged_at=None), name="idx_risk_events_open"
            ),
        ]

    def __str__(self) -> str:
        return self.message
