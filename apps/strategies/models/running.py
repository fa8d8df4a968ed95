"""What an active deployment does: a run on each day of its schedule, and the orders that come of it."""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from apps.portfolios.models import LARGEST, Instrument, Trade
from apps.strategies.models.deployments import Deployment


class DeploymentRun(models.Model):
    """One day on which the strategy was asked. A failed one is tried again: `attempts` counts."""

    class Status(models.TextChoices):
        SUCCEEDED = "succeeded"
        FAILED = "failed"

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="runs")
    day = models.DateField(help_text="The trading day whose close was the last that the strategy saw")
    status = models.CharField(max_length=9, choices=Status)
    attempts = models.PositiveIntegerField(default=1)
    price_version = models.BigIntegerField(help_text="Of the closes that it saw")
    equity = models.FloatField(null=True, help_text="Of the portfolio at that close, which the orders are sized by")
    weights = models.JSONField(null=True, help_text="By symbol, as a fraction of the equity")
    share = models.FloatField(default=1.0, help_text="Below 1 while a canary: the rest is the version's before it")
    error = models.JSONField(null=True)
    log = models.TextField(blank=True, help_text="What the strategy printed")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "deployment_runs"
        ordering = [F("day").desc(), F("id").desc()]
        constraints = [models.UniqueConstraint(fields=["deployment", "day"], name="deployment_run_is_one_row")]

    def __str__(self) -> str:
        return f"{self.deployment_id} on {self.day}: {self.status}"


class DeploymentOrder(models.Model):
    """What a run wants to trade: checked when it is sent, and once more, with the portfolio held, when it is filled."""

    class Status(models.TextChoices):
        OPEN = "open"
        FILLED = "filled"
        REFUSED = "refused", "refused: the pre-trade check did not approve it"
        CANCELLED = "cancelled", "cancelled: a later decision or the deployment's end came first"

    TRANSITIONS = {Status.OPEN: {Status.FILLED, Status.REFUSED, Status.CANCELLED}}

    run = models.ForeignKey(DeploymentRun, on_delete=models.CASCADE, related_name="orders")
    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="orders")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="+", db_column="symbol")
    quantity = models.DecimalField(max_digits=24, decimal_places=8, help_text="Negative sells")
    decided_price = models.FloatField(help_text="The close that it was sized by")
    status = models.CharField(max_length=9, choices=Status, default=Status.OPEN)
    reasons = models.JSONField(default=list, help_text="Of a refusal or a cancellation")
    trade = models.OneToOneField(Trade, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "deployment_orders"
        ordering = [F("id").desc()]
        constraints = [
            models.UniqueConstraint(fields=["run", "instrument"], name="deployment_order_is_one_row"),
            models.CheckConstraint(
                condition=~Q(quantity=0) & Q(quantity__gte=-LARGEST, quantity__lte=LARGEST),
                name="deployment_order_is_not_zero",
            ),
            models.CheckConstraint(
                condition=Q(status="filled", trade__isnull=False) | (~Q(status="filled") & Q(trade=None)),
                name="deployment_order_filled_has_its_trade",
            ),
        ]
        indexes = [models.Index(fields=["deployment"], condition=Q(status="open"), name="idx_deployment_order_open")]

    def __str__(self) -> str:
        return f"{self.deployment_id} {self.quantity:+f} {self.instrument_id}: {self.status}"
