"""Limits on a portfolio, and changes of them that wait for a second pair of eyes."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from simple_history.models import HistoricalRecords

from apps.portfolios.models import LARGEST, Instrument, Portfolio
from apps.risk.models.events import Severity

# What the monitor writes, every interval; who changed the limit is history, what it measured is not.
STATE_FIELDS = ("current_value", "status", "status_reason", "status_since", "evaluated_at")


class RiskLimit(models.Model):
    """A bound on one measure of a portfolio. `status` is what the monitor saw last, at `evaluated_at`."""

    class Kind(models.TextChoices):
        VAR_95 = "var_95", "VaR 95 %"
        VAR_99 = "var_99", "VaR 99 %"
        EXPECTED_SHORTFALL_975 = "expected_shortfall_975", "expected shortfall 97.5 %"
        GROSS_EXPOSURE = "gross_exposure", "gross exposure"
        NET_EXPOSURE = "net_exposure", "net exposure, absolute"
        LEVERAGE = "leverage", "leverage: gross exposure / value"
        POSITION_NOTIONAL = "position_notional", "notional of a position"
        CONCENTRATION = "concentration", "concentration: position / value"
        DRAWDOWN = "drawdown", "drawdown from the peak, fraction"
        ORDER_NOTIONAL = "order_notional", "notional of an order"
        ORDER_QUANTITY = "order_quantity", "quantity of an order"
        ORDER_RATE = "order_rate", "orders a minute"
        PRICE_COLLAR = "price_collar", "price collar: distance from the last price, fraction"
        DAILY_LOSS = "daily_loss", "loss since the previous close"

    class Action(models.TextChoices):
        BLOCK = "block", "block: no trade that would breach it is approved"
        WARN = "warn", "warn: said in the answer, and alerted"

    class Status(models.TextChoices):
        OK = "ok"
        WARNING = "warning"
        BREACH = "breach"
        UNKNOWN = "unknown"

    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="risk_limits")
    kind = models.CharField(max_length=32, choices=Kind)
    instrument = models.ForeignKey(
        Instrument,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_column="symbol",
        help_text="Of a limit on positions or orders: this symbol's alone; empty for each of them",
    )
    threshold_value = models.FloatField(help_text="Currency of the portfolio, a fraction, a quantity or a count")
    warning_threshold = models.FloatField(help_text="0.8 of the threshold where nothing is said")
    active = models.BooleanField(default=True)
    action = models.CharField(max_length=5, choices=Action, default=Action.BLOCK)
    severity = models.CharField(max_length=8, choices=Severity, default=Severity.CRITICAL, help_text="Of a breach")
    effective_from = models.DateTimeField(null=True, blank=True, help_text="Empty: from now on")
    effective_to = models.DateTimeField(null=True, blank=True, help_text="Not at this moment any more; empty: for ever")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )
    updated_at = models.DateTimeField(auto_now=True)
    current_value = models.FloatField(null=True, editable=False)
    status = models.CharField(max_length=7, choices=Status, default=Status.UNKNOWN, editable=False)
    status_reason = models.TextField(blank=True, default="not evaluated yet", editable=False)
    status_since = models.DateTimeField(null=True, editable=False)
    evaluated_at = models.DateTimeField(null=True, editable=False)

    history = HistoricalRecords(
        excluded_fields=STATE_FIELDS,
        table_name="risk_limits_history",
        history_change_reason_field=models.TextField(null=True),
    )

    class Meta:
        db_table = "risk_limits"
        ordering = ["portfolio", "kind", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(threshold_value__gt=0, threshold_value__lte=float(LARGEST)),
                name="risk_limit_threshold_is_positive",
            ),
            models.CheckConstraint(
                condition=Q(warning_threshold__gt=0, warning_threshold__lte=F("threshold_value")),
                name="risk_limit_warning_is_not_above",
            ),
            models.CheckConstraint(
                condition=Q(effective_from=None) | Q(effective_to=None) | Q(effective_from__lt=F("effective_to")),
                name="risk_limit_dates_are_in_order",
            ),
        ]
        indexes = [
            models.Index(fields=["portfolio", "active"], condition=Q(active=True), name="idx_risk_limits_active"),
        ]

    def __str__(self) -> str:
        of_symbol = f" of {self.instrument_id}" if self.instrument_id else ""
        return f"{self.portfolio_id} {self.kind}{of_symbol} {self.threshold_value:g}"


class LimitChange(models.Model):
    """A change that loosens a `block` limit: asked for by one, decided by another."""

    class Status(models.TextChoices):
        PENDING = "pending"
        APPROVED = "approved"
        REJECTED = "rejected"

    limit = models.ForeignKey(RiskLimit, null=True, on_delete=models.SET_NULL, related_name="changes")
    limit_name = models.CharField(max_length=200, help_text="What the limit was, also when it is gone")
    changes = models.JSONField(help_text="Field to its new value; empty where the limit is to be deleted")
    deletes = models.BooleanField(default=False)
    reason = models.TextField(blank=True)
    status = models.CharField(max_length=8, choices=Status, default=Status.PENDING)
    requested_at = models.DateTimeField(default=timezone.now)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        db_table = "risk_limit_changes"
        ordering = ["-requested_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["limit"], condition=Q(status="pending"), name="risk_limit_change_one_is_pending"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.limit_name}: {'delete' if self.deletes else self.changes}"
