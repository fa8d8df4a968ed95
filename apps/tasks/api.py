"""`/api/v1/tasks`: contract section 3."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from apps.tasks.kinds import check_may_submit
from apps.tasks.models import Task
from apps.tasks.queries import get_visible_task, visible_tasks
from apps.tasks.representation import TaskListSerializer, TaskSerializer
from apps.tasks.submission import cancel_task, retry_task
from nautilus.api.access import ViewerOrOperator
from nautilus.api.pages import refuse_unknown_parameters
from nautilus.api.views import ApiView

LONGEST_POLL_SECONDS = 30


class AcceptedSerializer(serializers.Serializer):
    """The answer to long work: where it can be followed."""

    task_id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=Task.Status.choices)
    status_url = serializers.CharField()
    topic = serializers.CharField()


def accepted(task: Task, **extra: Any) -> Response:
    """202, with the paths to follow the task by polling and by socket."""
    body = {
        "task_id": str(task.id),
        "status": task.status,
        "status_url": f"/api/v1/tasks/{task.id}",
        "topic": task.topic,
        **extra,
    }
    return Response(body, status=202, headers={"Location": body["status_url"]})


class TaskFilter(filters.FilterSet):
    status = filters.ChoiceFilter(choices=Task.Status.choices)
    part_of = filters.UUIDFilter(
        field_name="part_of_id", help_text="The parts of a divided task, which are left out else"
    )

    class Meta:
        model = Task
        fields = ["kind", "status", "portfolio_id"]


class TasksView(ListModelMixin, ApiView):
    permission_classes = [ViewerOrOperator]
    serializer_class = TaskListSerializer
    filterset_class = TaskFilter
    ordering_fields = ["created_at", "finished_at", "kind", "status"]
    queryset = Task.objects.none()

    def get_queryset(self) -> QuerySet[Task]:
        tasks = visible_tasks(self.request.user).defer("result")
        return tasks if "part_of" in self.request.query_params else tasks.filter(part_of=None)

    def get(self, request: Request) -> Response:
        """The caller's tasks, newest first; risk managers, operators and admins see all. Results are left out."""
        return self.list(request)


class TaskView(ApiView):
    permission_classes = [ViewerOrOperator]
    serializer_class = TaskSerializer

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "wait",
                OpenApiTypes.NUMBER,
                description=f"Hold the answer until the task ends or this many seconds (0 to {LONGEST_POLL_SECONDS}) "
                "have passed; left out, the answer comes at once.",
            )
        ]
    )
    def get(self, request: Request, task_id: UUID) -> Response:
        """One task with its progress, and its result or error once it has ended."""
        refuse_unknown_parameters(request, {"wait"})
        # The wait itself is apps/tasks/waiting.py, in the event loop: a thread is too dear to sleep in.
        parse_wait(request.query_params.get("wait", "0"))
        return Response(TaskSerializer(get_visible_task(request.user, task_id)).data)

    @extend_schema(responses={202: TaskSerializer})
    def delete(self, request: Request, task_id: UUID) -> Response:
        """Cancel the task, whether it waits or runs; 409 for one that has ended."""
        get_visible_task(request.user, task_id)
        return Response(TaskSerializer(cancel_task(task_id)).data, status=202)


class RetryView(ApiView):
    permission_classes = [ViewerOrOperator]
    serializer_class = TaskSerializer

    @extend_schema(request=None, responses={202: AcceptedSerializer})
    def post(self, request: Request, task_id: UUID) -> Response:
        """A new task of the same inputs."""
        task = get_visible_task(request.user, task_id)
        check_may_submit(request.user, task.kind, task.portfolio_id)
        return accepted(retry_task(task, request.user))


def parse_wait(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_POLL_SECONDS:
        raise ValidationError({"wait": [f"'{text}' is not a number of seconds from 0 to {LONGEST_POLL_SECONDS}."]})
    return seconds
