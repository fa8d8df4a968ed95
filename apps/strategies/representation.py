"""A deployment as clients see it: the same words over REST and on its topic (contract section 8)."""

from typing import Any

from django.db.models import F, Func, IntegerField, Prefetch, QuerySet
from rest_framework import serializers

from apps.strategies.models import Deployment, DeploymentStep
from nautilus.api.serializers import NumberField

STEP_NAMES = ["validate", "backtest", "risk", "approval", "activate"]

# What is pushed is kept in Redis for ten minutes: a log is read by REST.
_TOLD_LOG_CHARACTERS = 2_000
# 5,000 symbols are 61 kB: what a push and a row of a list have is how many there are.
_SYMBOLS_COUNT = Func(F("symbols"), function="jsonb_array_length", output_field=IntegerField())


class StepListSerializer(serializers.ModelSerializer):
    """In a list a step has neither log nor result."""

    name = serializers.ChoiceField(choices=STEP_NAMES)
    duration_seconds = serializers.SerializerMethodField()

    class Meta:
        model = DeploymentStep
        fields = ["name", "status", "attempts", "started_at", "finished_at", "duration_seconds"]
        read_only_fields = fields  # always there: the schema says so

    def get_duration_seconds(self, step: DeploymentStep) -> float | None:
        if step.started_at is None or step.finished_at is None:
            return None
        return (step.finished_at - step.started_at).total_seconds()


class StepSerializer(StepListSerializer):
    class Meta(StepListSerializer.Meta):
        fields = [*StepListSerializer.Meta.fields, "log", "result"]
        read_only_fields = fields


class CanarySerializer(serializers.Serializer):
    share = NumberField(help_text="Of the portfolio, at first: between 0 and 1")
    days = serializers.IntegerField(help_text="Trading days until the rest follows")


class DeploymentListSerializer(serializers.ModelSerializer):
    """Expects rows of deployments_as_listed."""

    deployment_id = serializers.CharField(source="id")
    strategy_id = serializers.CharField()
    version = serializers.IntegerField(source="version.version")
    portfolio_id = serializers.CharField()
    symbols_count = serializers.IntegerField(help_text="How many symbols it may hold")
    canary = CanarySerializer(allow_null=True)
    rolls_back = serializers.CharField(source="rolls_back_id", allow_null=True)
    previous = serializers.CharField(source="previous_id", allow_null=True)
    created_by = serializers.CharField(source="created_by.username", allow_null=True)
    approved_by = serializers.CharField(source="approved_by.username", allow_null=True)
    ended_by = serializers.CharField(source="ended_by.username", allow_null=True)
    steps = StepListSerializer(many=True)

    class Meta:
        model = Deployment
        fields = [
            *("deployment_id", "strategy_id", "version", "version_hash", "portfolio_id", "environment"),
            *("status", "reason", "schedule", "symbols_count", "cost_bps", "start_date", "canary", "skip_backtest"),
            *("rolls_back", "previous", "task_id", "created_at", "created_by", "approved_at", "approved_by"),
            *("activated_at", "ended_at", "ended_by", "first_day", "last_day", "failures_in_row", "last_error"),
            *("last_error_at", "steps"),
        ]
        read_only_fields = fields


class DeploymentSerializer(DeploymentListSerializer):
    """Expects rows of deployments_as_shown."""

    symbols = serializers.ListField(child=serializers.CharField(), help_text="What it may hold, sorted")
    steps = StepSerializer(many=True)

    class Meta(DeploymentListSerializer.Meta):
        fields = [*DeploymentListSerializer.Meta.fields, "symbols"]
        read_only_fields = fields


def deployments_as_listed() -> QuerySet[Deployment]:
    """Without what only a single one shows: a backtest's result is as long as a page of them."""
    steps = Prefetch("steps", DeploymentStep.objects.defer("log", "result"))
    return _related().defer("symbols").prefetch_related(steps)


def deployments_as_shown() -> QuerySet[Deployment]:
    return _related().prefetch_related("steps")


def _related() -> QuerySet[Deployment]:
    """All of the version but its code."""
    related = Deployment.objects.select_related("version", "created_by", "approved_by", "ended_by")
    return related.annotate(symbols_count=_SYMBOLS_COUNT).defer("version__code", "version__parameters_text")


def deployment_as_told(deployment: Deployment) -> dict[str, Any]:
    """As pushed: a row of the list, its steps with the ends of their logs and no results, which may be long."""
    told = _related().defer("symbols").prefetch_related(Prefetch("steps", DeploymentStep.objects.defer("result")))
    shown = told.get(pk=deployment.pk)
    steps = [
        {**StepListSerializer(step).data, "log": step.log[-_TOLD_LOG_CHARACTERS:], "result": None}
        for step in shown.steps.all()
    ]
    return {**DeploymentListSerializer(shown).data, "steps": steps}
