"""One row a task: the truth about work that was asked for. Redis only carries the news of it."""

import uuid

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class Task(models.Model):
    class Status(models.TextChoices):
        PROCESSING = "processing"
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        CANCELLED = "cancelled"

    # Every change is a compare-and-set on the left side: `filter(status=PROCESSING).update(...)`.
    TRANSITIONS = {Status.PROCESSING: {Status.SUCCEEDED, Status.FAILED, Status.CANCELLED}}

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=64)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.PROCESSING)
    portfolio_id = models.CharField(max_length=64, null=True, blank=True)  # noqa: DJ001 - not every task has one
    inputs = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    progress_done = models.BigIntegerField(default=0)
    progress_total = models.BigIntegerField(default=0)
    progress_message = models.CharField(max_length=200, blank=True)
    progress_eta_seconds = models.FloatField(null=True)

    result = models.JSONField(null=True, blank=True)
    error = models.JSONField(null=True, blank=True)

    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    # Who shares whose computation; the key names kind, inputs and the version of the data they were asked on.
    coalesce_key = models.CharField(max_length=64, editable=False)
    coalesced_with = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="followers"
    )
    retry_of = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="retries")

    # A task that was too large for one worker is divided into parts (parts.py).
    part_of = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="parts")
    part_number = models.PositiveIntegerField(null=True, editable=False)

    # The life of the message and of the attempt (dispatch.py, execution.py).
    dispatched_at = models.DateTimeField(null=True, editable=False)
    dispatches = models.IntegerField(default=0, editable=False)
    attempts = models.IntegerField(default=0, editable=False)
    worker = models.CharField(max_length=200, blank=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["coalesce_key"],
                condition=Q(status="processing", coalesced_with=None),
                name="task_one_computation_a_key",
            ),
            models.CheckConstraint(
                condition=Q(status="processing", finished_at=None)
                | (~Q(status="processing") & Q(finished_at__isnull=False)),
                name="task_ended_has_its_time",
            ),
        ]
        indexes = [
            models.Index(F("created_at").desc(), name="idx_task_created"),
            models.Index(fields=["created_by", "-created_at"], name="idx_task_owner"),
            models.Index(fields=["created_at"], condition=Q(status="processing"), name="idx_task_open"),
            models.Index(
                fields=["portfolio_id", "kind", "-finished_at"],
                condition=Q(status="succeeded"),
                name="idx_task_succeeded",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @property
    def topic(self) -> str:
        return f"tasks:{self.id}"

    @property
    def has_ended(self) -> bool:
        return self.status != self.Status.PROCESSING
