"""A deployment as clients see it: the same words over REST and on its topic (contract section 8)."""

from typing import Any

from django.db.models import Prefetch, QuerySet
from rest_framework import serializers

from apps.strategies.models import Deployment, DeploymentStep
from nautilus.api.serializers import NumberField

# What is pushed is kept in Redis for ten minutes: a log is read by REST.
_TOLD_LOG_CHARACTERS = 2_000


class StepListSerializer(serializers.ModelSerializer):
    """In a list a step has neither log nor result."""

    name = serializers.ChoiceField(choices=["validate", "backtest", "risk", "approval", "activate"])
    duration_seconds = serializers.SerializerMethodField()

    class Meta:
        model = DeploymentStep
        fields = ["name", "status", "attempts", "started_at", "finished_at", "duration_seconds"]

    def get_duration_seconds(self, step: DeploymentStep) -> float | None:
        if step.started_at is None or step.finished_at is None:
            return None
        return (step.finished_at - step.started_at).total_seconds()


class StepSerializer(StepListSerializer):
    class Meta(StepListSerializer.Meta):
        fields = [*StepListSerializer.Meta.fields, "log", "result"]


class CanarySerializer(serializers.Serializer):
    share = NumberField(help_text="Of the portfolio, at first: between 0 and 1")
    days = serializers.IntegerField(help_text="Trading days until the rest follows")


class DeploymentListSerializer(serializers.ModelSerializer):
    deployment_id = serializers.CharField(source="id")
    strategy_id = serializers.CharField()
    version = serializers.IntegerField(source="version.version")
    portfolio_id = serializers.CharField()
    canary = CanarySerializer(allow_null=True)
    rolls_back = serializers.CharField(source="rolls_back_id", allow_null=True)
    previous = serializers.CharField(source="previous_id", allow_null=True)
    created_by = serializers.CharField(source="created_by.username", default=None, allow_null=True)
    approved_by = serializers.CharField(source="approved_by.username", default=None, allow_null=True)
    ended_by = serializers.CharField(source="ended_by.username", default=None, allow_null=True)
    steps = StepListSerializer(many=True)

    class Meta:
        model = Deployment
        fields = [
            *("deployment_id", "strategy_id", "version", "version_hash", "portfolio_id", "environment"),
            *("status", "reason", "schedule", "symbols", "cost_bps", "start_date", "canary", "skip_backtest"),
            *("rolls_back", "previous", "task_id", "created_at", "created_by", "approved_at", "approved_by"),
            *("activated_at", "ended_at", "ended_by", "first_day", "last_day", "failures_in_row", "last_error"),
            *("last_error_at", "steps"),
        ]


class DeploymentSerializer(DeploymentListSerializer):
    steps = StepSerializer(many=True)


def deployments_as_listed() -> QuerySet[Deployment]:
    """Without what only a single one shows: a backtest's result is as long as a page of them."""
    return _related().prefetch_related(Prefetch("steps", DeploymentStep.objects.defer("log", "result")))


def deployments_as_shown() -> QuerySet[Deployment]:
    return _related().prefetch_related("steps")


def _related() -> QuerySet[Deployment]:
    """All of the version but its code."""
    related = Deployment.objects.select_related("version", "created_by", "approved_by", "ended_by")
    return related.defer("version__code", "version__parameters_text")


def deployment_as_dict(deployment: Deployment) -> dict[str, Any]:
    return dict(DeploymentSerializer(deployment).data)


def deployment_as_told(deployment: Deployment) -> dict[str, Any]:
    """As pushed: steps with the ends of their logs, and without results, which may be long."""
    told = _related().prefetch_related(Prefetch("steps", DeploymentStep.objects.defer("result")))
    shown = told.get(pk=deployment.pk)
    steps = [
        {**StepListSerializer(step).data, "log": step.log[-_TOLD_LOG_CHARACTERS:], "result": None}
        for step in shown.steps.all()
    ]
    return {**DeploymentListSerializer(shown).data, "steps": steps}
