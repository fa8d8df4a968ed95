"""A version that runs, or is on its way to it, on a portfolio; and the steps of that way."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from apps.portfolios.models import Portfolio, readable_id
from apps.strategies.models.versions import Strategy, StrategyVersion


class Environment(models.TextChoices):
    PAPER = "paper"
    LIVE = "live"


class Schedule(models.TextChoices):
    DAILY = "daily", "daily: each trading day"
    WEEKLY = "weekly", "weekly: the first trading day of each week"
    MONTHLY = "monthly", "monthly: the first trading day of each month"


class Deployment(models.Model):
    class Status(models.TextChoices):
        PENDING = "pending"
        VALIDATING = "validating"
        BACKTESTING = "backtesting"
        AWAITING_APPROVAL = "awaiting_approval"
        ACTIVE = "active"
        FAILED = "failed"
        SUPERSEDED = "superseded"
        ROLLED_BACK = "rolled_back"

    # Every change is a compare-and-set on the left side: states.py.
    TRANSITIONS: dict[str, set[str]] = {
        Status.PENDING: {Status.VALIDATING, Status.FAILED, Status.ROLLED_BACK},
        Status.VALIDATING: {Status.BACKTESTING, Status.FAILED, Status.ROLLED_BACK},
        Status.BACKTESTING: {Status.AWAITING_APPROVAL, Status.ACTIVE, Status.FAILED, Status.ROLLED_BACK},
        Status.AWAITING_APPROVAL: {Status.ACTIVE, Status.FAILED, Status.ROLLED_BACK},
        Status.ACTIVE: {Status.SUPERSEDED, Status.ROLLED_BACK},
    }

    id = models.CharField(max_length=64, primary_key=True, validators=[readable_id])
    strategy = models.ForeignKey(Strategy, on_delete=models.PROTECT, related_name="deployments")
    version = models.ForeignKey(StrategyVersion, on_delete=models.PROTECT, related_name="deployments")
    version_hash = models.CharField(max_length=64, help_text="What was asked for: a version changed since is refused")
    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="deployments")
    environment = models.CharField(max_length=5, choices=Environment)
    status = models.CharField(max_length=17, choices=Status, default=Status.PENDING)
    reason = models.TextField(blank=True, help_text="Why it ended, or what it waits for")

    schedule = models.CharField(max_length=7, choices=Schedule, default=Schedule.DAILY)
    symbols = models.JSONField(help_text="What it may hold, sorted")
    cost_bps = models.FloatField(help_text="Of the price of each fill, in basis points")
    start_date = models.DateField(
        null=True, blank=True, help_text="Recorded days from here on are traded first (paper); empty: from now on"
    )
    canary_share = models.FloatField(null=True, blank=True, help_text="Of the portfolio, at first; empty: all at once")
    canary_days = models.PositiveIntegerField(null=True, blank=True, help_text="Trading days until the rest follows")
    skip_backtest = models.BooleanField(default=False, help_text="A forced rollback")

    rolls_back = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="rollbacks")
    previous = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="+", help_text="What ran before it"
    )
    task_id = models.UUIDField(null=True, editable=False)

    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    approved_at = models.DateTimeField(null=True)
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    activated_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")

    # How far it has run (running/).
    first_day = models.DateField(null=True, help_text="The first trading day that it decided on")
    last_day = models.DateField(null=True, help_text="The last trading day that it has dealt with")
    failures_in_row = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    last_error_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "deployments"
        ordering = [F("created_at").desc(), "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["portfolio", "environment"], condition=Q(status="active"), name="deployment_one_active"
            ),
            models.UniqueConstraint(
                fields=["portfolio", "environment"],
                condition=Q(status__in=["pending", "validating", "backtesting", "awaiting_approval"]),
                name="deployment_one_under_way",
            ),
            models.CheckConstraint(
                condition=Q(canary_share=None, canary_days=None)
                | Q(canary_share__gt=0, canary_share__lt=1, canary_days__gte=1),
                name="deployment_canary_is_whole",
            ),
            models.CheckConstraint(condition=Q(cost_bps__gte=0, cost_bps__lte=1000), name="deployment_cost_is_sane"),
            models.CheckConstraint(
                condition=Q(ended_at=None, status__in=["pending", "validating", "backtesting", "awaiting_approval"])
                | Q(ended_at=None, status="active", activated_at__isnull=False)
                | Q(ended_at__isnull=False, status__in=["failed", "superseded", "rolled_back"]),
                name="deployment_times_fit_its_status",
            ),
        ]
        indexes = [models.Index(fields=["strategy", "-created_at"], name="idx_deployment_strategy")]

    def __str__(self) -> str:
        return self.id

    @property
    def topic(self) -> str:
        return f"deployments:{self.id}"

    @property
    def has_ended(self) -> bool:
        return self.status in (self.Status.FAILED, self.Status.SUPERSEDED, self.Status.ROLLED_BACK)

    @property
    def cost_rate(self) -> float:
        """Of each fill's price, as a fraction."""
        return self.cost_bps / 10_000

    @property
    def canary(self) -> dict[str, Any] | None:
        return None if self.canary_share is None else {"share": self.canary_share, "days": self.canary_days}


IN_PIPELINE = (
    Deployment.Status.PENDING,
    Deployment.Status.VALIDATING,
    Deployment.Status.BACKTESTING,
    Deployment.Status.AWAITING_APPROVAL,
)


class DeploymentStep(models.Model):
    """One step of the pipeline: rows are made with the deployment, in the order of `position`."""

    class Status(models.TextChoices):
        PENDING = "pending"
        RUNNING = "running"
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        SKIPPED = "skipped"
        CANCELLED = "cancelled"

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="steps")
    name = models.CharField(max_length=20)
    position = models.PositiveSmallIntegerField()
    status = models.CharField(max_length=9, choices=Status, default=Status.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    log = models.TextField(blank=True)
    result = models.JSONField(null=True)

    class Meta:
        db_table = "deployment_steps"
        ordering = ["deployment", "position"]
        constraints = [
            models.UniqueConstraint(fields=["deployment", "name"], name="deployment_step_is_one_row"),
            models.UniqueConstraint(fields=["deployment", "position"], name="deployment_step_has_its_place"),
        ]

    def __str__(self) -> str:
        return f"{self.deployment_id} {self.name}: {self.status}"
