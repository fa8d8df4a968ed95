"""Tasks: what was asked for, how far it is, what came out, and again. The list, and a page for each task."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.exceptions import APIException

from apps.dashboard.pages.page import EVERYBODY, Page
from apps.dashboard.templatetags.figures import as_json, duration
from apps.portfolios.access import visible_portfolios
from apps.tasks.api import TaskFilter
from apps.tasks.kinds import check_may_submit, known_kinds
from apps.tasks.models import Task
from apps.tasks.queries import get_visible_task, visible_tasks
from nautilus.api.access import has_role
from nautilus.api.errors import DomainError

PAGE_ROWS = 25
# A list to choose from; who has more portfolios types the id.
PORTFOLIOS_OFFERED = 300
# Longer ones are left to the API: a browser takes seconds to lay out megabytes of text.
JSON_CHARACTERS = 100_000
RELATED_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Row:
    """`percent` is None where nothing is known of how far it is; `may_retry` whether this user may ask for it again."""

    task: Task
    percent: int | None
    words: str
    may_retry: bool

    @property
    def took(self) -> str:
        return _took(self.task)


class TasksPage(Page):
    title = "Tasks"
    entry = "tasks"
    roles = EVERYBODY
    template_name = "dashboard/tasks.html"
    fragments = {"tasks": "dashboard/tasks/list.html"}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        given, user = self.request.GET, self.request.user
        page = Paginator(_found(self.request), PAGE_ROWS).get_page(given.get("page"))
        frame = super().get_context_data(**kwargs)
        return frame | {
            "page": page,
            "rows": rows_of(list(page.object_list), user),
            "chosen": {name: given[name] for name in TaskFilter.base_filters if given.get(name)},
            "kinds": sorted({*known_kinds(), given.get("kind", "")} - {""}),
            "statuses": Task.Status.values,
            "offered": frame["portfolios_to_choose"][:PORTFOLIOS_OFFERED] if has_role(user, "viewer") else (),
            "days_kept": settings.TASKS_DAYS,
            "now": timezone.now(),
        }


class TaskPage(Page):
    title = "Task"
    entry = "tasks"
    roles = EVERYBODY
    template_name = "dashboard/tasks/task.html"
    fragments = {"task": "dashboard/tasks/details.html"}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        user = self.request.user
        task = get_visible_task(user, self.kwargs["task_id"])
        snapshot_id = task.result.get("snapshot_id") if isinstance(task.result, dict) else None
        reads_book = bool(task.portfolio_id) and visible_portfolios(user).filter(pk=task.portfolio_id).exists()
        return super().get_context_data(**kwargs) | {
            "row": Row(task, _percent(task), progress_words(task), may_retry(user, task)),
            "related": _related(task, user),
            "inputs": as_json(task.inputs),
            "result": _readable(task.result),
            "waited_seconds": _waited_seconds(task),
            "reads_book": reads_book,
            "snapshot_id": snapshot_id,
            "flower_task_url": f"{settings.FLOWER_URL.rstrip('/')}/task/{task.pk}",
            "may_replay": bool(snapshot_id) and reads_book and has_role(user, "trader"),
            "now": timezone.now(),
        }


def rows_of(tasks: list[Task], user: Any) -> list[Row]:
    to_retry = _to_retry(tasks, user)
    return [Row(task, _percent(task), progress_words(task), task.pk in to_retry) for task in tasks]


def progress_words(task: Task) -> str:
    """As static/dashboard/js/job.js says it of a task that is under way."""
    if task.started_at is None:
        return "Waiting for a worker"
    percent, eta = _percent(task), task.progress_eta_seconds
    share = "" if percent is None else f"{percent} %"
    left = f"about {_span(eta)} left" if eta is not None and eta >= 1 else ""
    return ", ".join(part for part in (task.progress_message or "Computing", share, left) if part)


def may_retry(user: Any, task: Task) -> bool:
    """Whether the API would take a retry of it, once it has ended."""
    try:
        check_may_submit(user, task.kind, task.portfolio_id)
    except (APIException, DomainError):
        return False
    return True


def _found(request: HttpRequest) -> QuerySet[Task]:
    """As the API's list: parts are left out unless they are asked for. Raises DomainError."""
    tasks = visible_tasks(request.user).defer("result", "inputs").select_related("created_by")
    filtered = TaskFilter(request.GET, tasks)
    if not filtered.is_valid():
        name, words = next(iter(filtered.errors.items()))
        raise DomainError(f"{name}: {words[0]}", "GET /tasks lists all of yours.", name)
    found = filtered.qs.order_by("-created_at", "id")
    return found if request.GET.get("part_of") else found.filter(part_of=None)


def _to_retry(tasks: Iterable[Task], user: Any) -> set[Any]:
    """The ids of those that this user may ask for again. A kind's rule is asked once, not once a task."""
    ended = [task for task in tasks if task.has_ended]
    books = {task.portfolio_id for task in ended if task.portfolio_id}
    seen = set(visible_portfolios(user).filter(pk__in=books).values_list("pk", flat=True)) if books else set()
    open_to_user = [task for task in ended if task.portfolio_id is None or task.portfolio_id in seen]
    kinds = {kind for kind, task in {task.kind: task for task in open_to_user}.items() if may_retry(user, task)}
    return {task.pk for task in open_to_user if task.kind in kinds}


def _related(task: Task, user: Any) -> dict[str, Any]:
    """Those that have to do with it; `seen` are the ids of those that this user may open."""
    visible = visible_tasks(user).only("id", "status", "created_at")
    named = [pk for pk in (task.coalesced_with_id, task.retry_of_id, task.part_of_id) if pk]
    return {
        "seen": set(visible.filter(pk__in=named).values_list("pk", flat=True)) if named else set(),
        "retries": list(visible.filter(retry_of=task).order_by("created_at")[:RELATED_SHOWN]),
        "followers": list(visible.filter(coalesced_with=task).order_by("created_at")[:RELATED_SHOWN]),
        "parts": visible.filter(part_of=task).count(),
    }


def _percent(task: Task) -> int | None:
    return 100 * task.progress_done // task.progress_total if task.progress_total else None


def _took(task: Task) -> str:
    if task.started_at is None or task.finished_at is None:
        return ""
    return duration((task.finished_at - task.started_at).total_seconds())


def _waited_seconds(task: Task) -> float | None:
    """Until a worker took it; None for one that none has taken."""
    return (task.started_at - task.created_at).total_seconds() if task.started_at else None


def _readable(result: Any) -> dict[str, Any]:
    text = "" if result is None else as_json(result)
    return {"text": text[:JSON_CHARACTERS], "is_cut": len(text) > JSON_CHARACTERS, "characters": len(text)}


def _span(seconds: float) -> str:
    """The largest unit alone, as format.js writes it."""
    size, unit = next((step for step in ((86_400, "d"), (3_600, "h"), (60, "min")) if seconds >= step[0]), (1, "s"))
    return f"{seconds // size:.0f} {unit}"
