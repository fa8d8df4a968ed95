"""A task as clients see it: the same words over REST and on its topic (contract section 3)."""

from typing import Any

from rest_framework import serializers

from apps.tasks.models import Task
from nautilus.api.serializers import NumberField


class ProgressSerializer(serializers.Serializer):
    done = serializers.IntegerField(source="progress_done")
    total = serializers.IntegerField(source="progress_total")
    message = serializers.CharField(source="progress_message")
    eta_seconds = NumberField(source="progress_eta_seconds", allow_null=True)


class TaskListSerializer(serializers.ModelSerializer):
    """In a list the results are left out: one of them may be as long as a page."""

    task_id = serializers.UUIDField(source="id")
    progress = ProgressSerializer(source="*")
    error = serializers.JSONField(allow_null=True)
    coalesced_with = serializers.UUIDField(source="coalesced_with_id", allow_null=True)
    retry_of = serializers.UUIDField(source="retry_of_id", allow_null=True)
    part_of = serializers.UUIDField(source="part_of_id", allow_null=True)

    class Meta:
        model = Task
        fields = [
            "task_id",
            "kind",
            "status",
            "portfolio_id",
            "inputs",
            "progress",
            "error",
            "attempts",
            "created_at",
            "started_at",
            "finished_at",
            "coalesced_with",
            "retry_of",
            "part_of",
        ]


class TaskSerializer(TaskListSerializer):
    result = serializers.JSONField(allow_null=True)

    class Meta(TaskListSerializer.Meta):
        fields = [*TaskListSerializer.Meta.fields, "result"]


def task_as_dict(task: Task) -> dict[str, Any]:
    return dict(TaskSerializer(task).data)
