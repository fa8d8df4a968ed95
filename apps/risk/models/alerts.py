"""Who is told of a portfolio's risk events, and every attempt to tell them."""

import uuid

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from apps.portfolios.models import Portfolio
from apps.risk.models.events import RiskEvent, Severity


class AlertChannel(models.Model):
    class Kind(models.TextChoices):
        EMAIL = "email"
        SLACK = "slack"
        WEBHOOK = "webhook"

    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="alert_channels")
    kind = models.CharField(max_length=7, choices=Kind)
    target = models.CharField(
        max_length=500, help_text="An address; a Slack incoming webhook's URL or a #channel; a https URL"
    )
    secret = models.CharField(max_length=200, blank=True, help_text="Signs a webhook's body (HMAC-SHA256)")
    enabled = models.BooleanField(default=True)
    min_severity = models.CharField(max_length=8, choices=Severity, default=Severity.WARNING)
    escalate_after_minutes = models.PositiveIntegerField(
        default=0,
        validators=[MaxValueValidator(10_080)],
        help_text="0: told at once; else only where nobody has acknowledged for so long",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        db_table = "risk_alert_channels"
        ordering = ["portfolio", "id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.target}"


class AlertDelivery(models.Model):
    """One message to one channel. `id` is the idempotency id that the far side may sort out repeats by."""

    class Status(models.TextChoices):
        PENDING = "pending"
        SENDING = "sending"
        DELIVERED = "delivered"
        DEAD = "dead", "dead: given up, can be sent again"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    event = models.ForeignKey(RiskEvent, on_delete=models.PROTECT, related_name="deliveries")
    channel = models.ForeignKey(AlertChannel, null=True, on_delete=models.SET_NULL, related_name="deliveries")
    kind = models.CharField(max_length=7, choices=AlertChannel.Kind)
    target = models.CharField(max_length=500)
    turn = models.PositiveIntegerField(default=0, help_text="0 the first message; then the reminders of an open event")
    status = models.CharField(max_length=9, choices=Status, default=Status.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(
        default=timezone.now, help_text="While sending: when the sender counts as lost"
    )
    last_answer = models.TextField(blank=True, help_text="What the far side said")
    created_at = models.DateTimeField(default=timezone.now)
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "risk_alert_deliveries"
        verbose_name_plural = "alert deliveries"
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["event", "channel", "turn"], name="alert_delivery_once_a_turn"),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(status__in=["pending", "sending"]),
                name="idx_alert_deliveries_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id} to {self.target}: {self.status}"


class DeliveryAttempt(models.Model):
    delivery = models.ForeignKey(AlertDelivery, on_delete=models.CASCADE, related_name="history")
    number = models.PositiveIntegerField()
    at = models.DateTimeField(default=timezone.now)
    delivered = models.BooleanField()
    answer = models.TextField(help_text="What the far side said, or why it could not be asked")
    elapsed_ms = models.FloatField()

    class Meta:
        db_table = "risk_alert_attempts"
        ordering = ["delivery", "number"]

    def __str__(self) -> str:
        return f"{self.delivery_id} attempt {self.number}: {self.answer}"
