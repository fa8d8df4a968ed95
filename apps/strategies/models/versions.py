"""Code and parameters as a chain of versions that names itself by its content; only ever added to."""

import json
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Deferrable, F, Q
from django.utils import timezone

from apps.portfolios.models import readable_id


class Strategy(models.Model):
    id = models.CharField(max_length=64, primary_key=True, validators=[readable_id])
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    # The newest version of the main line. Whoever moves it holds this row.
    head = models.ForeignKey(
        "strategies.StrategyVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "strategies"

    def __str__(self) -> str:
        return self.id


class StrategyVersion(models.Model):
    """One state of a strategy. A trigger refuses DELETE, and UPDATE of all but `version` and `canonical`.

    `canonical` versions are the main line: the head and its parents. The others were posted on a parent that was no
    longer the head; a merge names the one that it took in as `merged_from`.
    """

    strategy = models.ForeignKey(Strategy, on_delete=models.PROTECT, related_name="versions")
    version = models.PositiveIntegerField(help_text="In the order of creation, from 1")
    parent = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="children")
    merged_from = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="merged_into")
    hash = models.CharField(max_length=64, help_text="SHA-256 over content, parent and author (hashing.py)")
    code = models.TextField()
    # Text, not JSONB: the hash is over these very characters.
    parameters_text = models.TextField(default="{}", help_text="Canonical JSON of the parameters")
    message = models.CharField(max_length=1000, blank=True)
    author = models.CharField(max_length=150)
    canonical = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        db_table = "strategy_versions"
        ordering = ["strategy", "-version"]
        constraints = [
            # Deferred: renumbering moves several at once.
            models.UniqueConstraint(
                fields=["strategy", "version"], name="strategy_version_is_one_row", deferrable=Deferrable.DEFERRED
            ),
            models.UniqueConstraint(fields=["strategy", "hash"], name="strategy_version_content_is_one_row"),
            models.UniqueConstraint(
                fields=["strategy"], condition=Q(parent=None), name="strategy_version_one_first_version"
            ),
            models.CheckConstraint(condition=Q(version__gte=1), name="strategy_version_counts_from_one"),
            models.CheckConstraint(
                condition=Q(merged_from=None) | Q(parent__isnull=False), name="strategy_version_merge_has_a_parent"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.strategy_id} version {self.version}"

    @property
    def parameters(self) -> dict[str, Any]:
        parameters: dict[str, Any] = json.loads(self.parameters_text)
        return parameters


class MergeRequest(models.Model):
    """A version whose changes collide with those of the head: somebody has to say what holds."""

    class Status(models.TextChoices):
        OPEN = "open"
        RESOLVED = "resolved"

    class Resolution(models.TextChoices):
        LATEST = "latest", "latest: the version that was posted last holds"
        MANUAL = "manual", "manual: somebody wrote what holds"

    strategy = models.ForeignKey(Strategy, on_delete=models.PROTECT, related_name="merge_requests")
    base = models.ForeignKey(StrategyVersion, on_delete=models.PROTECT, related_name="+")
    head = models.ForeignKey(StrategyVersion, on_delete=models.PROTECT, related_name="+", help_text="As it was then")
    branch = models.OneToOneField(StrategyVersion, on_delete=models.PROTECT, related_name="merge_request")
    hunks = models.JSONField(help_text="Where both sides changed the same: lines of the code, keys of the parameters")
    status = models.CharField(max_length=8, choices=Status, default=Status.OPEN)
    resolution = models.CharField(max_length=6, choices=Resolution, blank=True)
    result = models.ForeignKey(StrategyVersion, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        db_table = "strategy_merge_requests"
        ordering = [F("id").desc()]
        constraints = [
            models.CheckConstraint(
                condition=Q(status="open", result=None, resolved_at=None)
                | Q(status="resolved", result__isnull=False, resolved_at__isnull=False),
                name="merge_request_resolved_has_its_result",
            )
        ]

    def __str__(self) -> str:
        return f"merge request {self.pk} of {self.strategy_id}"
