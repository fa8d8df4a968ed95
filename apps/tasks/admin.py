"""Tasks: how far they are, why they failed, and again."""

import json
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from rest_framework.exceptions import APIException
from unfold.decorators import display

from apps.tasks.kinds import check_may_submit
from apps.tasks.models import Task
from apps.tasks.submission import cancel_task, retry_task
from nautilus.api.access import sees_every_portfolio
from nautilus.api.admin import ReadOnlyAdmin
from nautilus.api.errors import DomainError

Status = Task.Status

_OF_THE_BOOK = ("inputs_text", "error_text", "result_text")


@admin.register(Task)
class TaskAdmin(ReadOnlyAdmin):
    readers = ("risk_manager", "operator")
    actions = ["retry", "cancel"]
    list_display = ["kind", "portfolio_id", "status_label", "progress", "took", "attempts", "error_code", "created_at"]
    list_filter = ["status", "kind", ("part_of", admin.EmptyFieldListFilter)]
    search_fields = ["id__exact", "portfolio_id", "kind"]
    date_hierarchy = "created_at"
    fields = [
        ("kind", "status_label", "portfolio_id"),
        ("id", "created_by"),
        ("progress", "attempts", "worker"),
        ("created_at", "started_at", "finished_at"),
        ("coalesced_with", "retry_of", "part_of"),
        "inputs_text",
        "error_text",
        "result_text",
    ]
    readonly_fields = ["status_label", "progress", "inputs_text", "error_text", "result_text"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Task]:
        tasks = super().get_queryset(request).select_related("created_by")
        is_list = request.resolver_match is not None and request.resolver_match.url_name == "tasks_task_changelist"
        return tasks.defer("result", "inputs") if is_list else tasks  # one result may be as long as a page of rows

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """An operator mends tasks and reads no book: inputs and results are for those who see every portfolio."""
        fields = super().get_fields(request, obj)
        return fields if sees_every_portfolio(request.user) else [f for f in fields if f not in _OF_THE_BOOK]

    @display(
        description="Status",
        ordering="status",
        label={
            Status.PROCESSING: "info",
            Status.SUCCEEDED: "success",
            Status.FAILED: "danger",
            Status.CANCELLED: "warning",
        },
    )
    def status_label(self, task: Task) -> str:
        return task.status

    @admin.display(description="Progress")
    def progress(self, task: Task) -> str:
        percent = round(100 * task.progress_done / task.progress_total) if task.progress_total else 0
        eta = task.progress_eta_seconds
        left = f"{task.progress_message}, {eta:.0f} s left" if eta and not task.has_ended else ""
        # Not <progress>: an empty one looks full in some browsers.
        return format_html(
            '<div class="bg-base-200 overflow-hidden rounded-default dark:bg-base-700" style="width: 8rem">'
            '<div class="bg-primary-600 h-1.5" style="width: {}%"></div></div>{}% {}',
            percent,
            percent,
            left,
        )

    @admin.display(description="Took")
    def took(self, task: Task) -> str:
        if task.started_at is None:
            return "waits" if not task.has_ended else "-"
        if task.finished_at is None:
            return f"{(timezone.now() - task.started_at).total_seconds():,.0f}\u00a0s…"
        return f"{(task.finished_at - task.started_at).total_seconds():.2f}\u00a0s"

    @admin.display(description="Error")
    def error_code(self, task: Task) -> str:
        return task.error["code"] if task.error else ""

    @admin.display(description="Inputs")
    def inputs_text(self, task: Task) -> str:
        return _pretty(task.inputs)

    @admin.display(description="Error")
    def error_text(self, task: Task) -> str:
        return _pretty(task.error)

    @admin.display(description="Result")
    def result_text(self, task: Task) -> str:
        return _pretty(task.result)

    @admin.action(description="Retry: a new task of the same inputs")
    def retry(self, request: HttpRequest, queryset: QuerySet[Task]) -> None:
        for task in queryset:
            self._try(request, task, lambda task=task: f"retried as {self._retried(request, task).id}")

    def _retried(self, request: HttpRequest, task: Task) -> Task:
        check_may_submit(request.user, task.kind, task.portfolio_id)
        return retry_task(task, request.user)

    @admin.action(description="Cancel")
    def cancel(self, request: HttpRequest, queryset: QuerySet[Task]) -> None:
        for task in queryset:
            self._try(request, task, lambda task=task: f"is {cancel_task(task.pk).status}")

    def _try(self, request: HttpRequest, task: Task, operation: Any) -> None:
        try:
            self.message_user(request, f"{task}: {operation()}.", messages.SUCCESS)
        except DomainError as error:
            self.message_user(request, f"{task}: {error.sentence}", messages.ERROR)
        except APIException as error:
            self.message_user(request, f"{task}: {error.detail}", messages.ERROR)


def _pretty(value: Any) -> str:
    if value is None:
        return "-"
    return format_html(
        '<pre style="white-space: pre-wrap; max-height: 30rem; overflow: auto">{}</pre>', json.dumps(value, indent=2)
    )
