"""Pre-trade decisions with what they were decided on, and the switch that stops all trading."""

from django.conf import settings
from django.db import models
from django.db.models import F
from django.utils import timezone

from apps.portfolios.models import Portfolio


class PreTradeDecision(models.Model):
    """One answer to a pre-trade check. Append-only.

    Without constraints in the database: each check would look up, and lock, a portfolio and a user that it has just
    read, and neither is ever deleted.
    """

    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    evaluated_at = models.DateTimeField(default=timezone.now)
    approved = models.BooleanField()
    reserve = models.BooleanField()
    answer = models.JSONField(help_text="As the caller got it")
    decided_on = models.JSONField(help_text="Ledger and price version, day of the closes, reservations, trading state")

    class Meta:
        db_table = "risk_decisions"
        ordering = ["-evaluated_at", "-id"]
        indexes = [models.Index(F("portfolio"), F("evaluated_at").desc(), name="idx_risk_decisions_portfolio")]

    def __str__(self) -> str:
        return f"{self.portfolio_id} {'approved' if self.approved else 'refused'} at {self.evaluated_at}"


class TradingHalt(models.Model):
    """The trading state of all portfolios at once; the newest row is in force, the others are history."""

    trading_state = models.CharField(max_length=10, choices=Portfolio.TradingState)
    reason = models.TextField(blank=True)
    set_at = models.DateTimeField(default=timezone.now)
    set_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        db_table = "risk_trading_halts"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.trading_state} since {self.set_at}"
