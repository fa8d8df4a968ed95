"""What happens to a task inside a worker: taken by compare-and-set, held by a lease, ended once."""

import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded
from celery import Task as CeleryTask
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone
from redis.exceptions import RedisError

from apps.realtime.topics import publish_after_commit
from apps.tasks.endings import Store, end_task
from apps.tasks.errors import InternalError, JobStoppedError, OutOfMemoryError, TimeLimitError
from apps.tasks.events import publish_tasks
from apps.tasks.leases import Lease
from apps.tasks.models import Task
from apps.tasks.parts import Divided, divide, parts_of
from apps.tasks.progress import write_progress
from nautilus.api.errors import DomainError, ended_by_limit
from nautilus.logs.ids import bind_ids

logger = logging.getLogger(__name__)

PROGRESS_INTERVAL_SECONDS = 0.25

_TAKE = (Path(__file__).parent / "sql" / "take.sql").read_text()


__all__ = ["Divided", "Job", "JobTask", "Outcome", "execute", "take"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job came to: its result for the task's row, what to store beside it, and what to publish.

    `store` writes in the transaction that ends the task; what is known only then, it returns for the result.
    """

    result: dict[str, Any]
    store: Store | None = None
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


class Job:
    """One attempt at a task, as the function that computes sees it."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.attempt = task.attempts
        self.is_over = False
        self._started = self._last_report = time.monotonic()

    def progress(self, done: int, total: int, message: str = "") -> None:
        """Says how far the work is; cheap to call often. Raises JobStoppedError where the task was taken away.

        Nothing of what goes on behind a job that is over: a cached answer that is computed anew.
        """
        now = time.monotonic()
        if self.is_over or now - self._last_report < PROGRESS_INTERVAL_SECONDS:
            return
        self._last_report = now
        eta = (now - self._started) / done * (total - done) if done else None
        if not write_progress(self.task.pk, done, total, message, eta, attempts=self.attempt):
            raise JobStoppedError

    def parts(self) -> list[Task]:
        """The ended parts that an earlier run of this job has divided the work into; none in the first run."""
        return parts_of(self.task)


class JobTask(CeleryTask):
    """The base of every Celery task that works on a task row; its function takes the Job, its message only the id."""

    abstract = True
    typing = False  # the message carries an id, the function takes a Job

    def __call__(self, task_id: str) -> None:
        job = take(task_id, self.request.hostname or "")
        if job is not None:
            execute(job, self.run)


def take(task_id: str, worker: str) -> Job | None:
    """The row for this worker, or None where another has it, it has ended, or it was tried too often."""
    now = timezone.now()
    parameters = {
        "task_id": task_id,
        "now": now,
        "lease_expires_at": now + timedelta(seconds=settings.TASK_LEASE_SECONDS),
        "worker": worker,
        "max_attempts": settings.TASK_MAX_ATTEMPTS,
    }
    task = next(iter(Task.objects.raw(_TAKE, parameters)), None)
    if task is None:
        logger.info("task %s is not free: its message is dropped", task_id)
        return None
    bind_ids(portfolio_id=task.portfolio_id)
    logger.info("task %s (%s) is taken, attempt %d", task_id, task.kind, task.attempts)
    publish_tasks([task])
    return Job(task)


def execute(job: Job, function: Callable[[Job], Outcome | Divided]) -> None:
    """Runs the function and ends the task, or divides it, whatever happens short of the process dying."""
    try:
        with Lease(job.task.pk, job.attempt):
            outcome = function(job)
        job.is_over = True
        if isinstance(outcome, Divided):
            divide(job.task, outcome)
        else:
            _succeed(job, outcome)
    except JobStoppedError:
        logger.info("task %s: attempt %d was stopped, the task was cancelled or taken over", job.task.pk, job.attempt)
        _drop_connection()
    except Exception as error:
        if _is_lost_store(error):
            # The lease runs out and the sweep sends the task again.
            logger.warning("task %s: attempt %d lost a store", job.task.pk, job.attempt, exc_info=True)
            return
        if isinstance(error, SoftTimeLimitExceeded):
            _drop_connection()
        _fail(job, as_domain_error(error, job))


def _is_lost_store(error: Exception) -> bool:
    """Whether a store went away under the job; a query that took too long would take so the next time as well."""
    return isinstance(error, (OperationalError, InterfaceError, RedisError)) and ended_by_limit(error) is None


def _drop_connection() -> None:
    """Gives up a connection that may have been stopped between a query and its answer: it takes no other query."""
    if connection.in_atomic_block or connection.connection is None:
        return
    with suppress(Exception):
        connection.connection.cancel_safe(timeout=2)
    connection.close()


def _succeed(job: Job, outcome: Outcome) -> None:
    def store_and_announce() -> dict[str, Any] | None:
        added = outcome.store() if outcome.store else None
        for topic, data in outcome.events:
            publish_after_commit(topic, data)
        return added

    end_task(job.task.pk, Task.Status.SUCCEEDED, attempt=job.attempt, result=outcome.result, store=store_and_announce)


def as_domain_error(error: Exception, job: Job) -> DomainError:
    if isinstance(error, DomainError):
        return error
    if isinstance(error, SoftTimeLimitExceeded):
        limit = settings.TASK_TIME_LIMIT_SECONDS
        return TimeLimitError(f"The task ran longer than {limit} s.", "Ask for less at once, or raise the limit.")
    if isinstance(error, MemoryError):
        logger.warning("task %s (%s) ran out of memory", job.task.pk, job.task.kind, exc_info=error)
        return _out_of_memory(error)
    if (ended := ended_by_limit(error)) is not None:
        logger.warning("task %s (%s): %s", job.task.pk, job.task.kind, ended.detail, exc_info=error)
        return ended
    logger.error("task %s (%s) failed", job.task.pk, job.task.kind, exc_info=error)
    return InternalError(
        f"{type(error).__name__} while computing; this is a fault of the platform.",
        f"Retry the task; if it fails again, look for {job.task.pk} in the worker's log.",
    )


def _out_of_memory(error: MemoryError) -> DomainError:
    said = f": {error}" if str(error) else ""
    return OutOfMemoryError(
        f"The task asked for more memory than its worker may use ({settings.WORKER_MEMORY_LIMIT_MB} MB){said}.",
        "Ask for less at once, or raise NAUTILUS_WORKER_MEMORY_LIMIT_MB where the machine has more memory.",
    )


def _fail(job: Job, error: DomainError) -> None:
    # PostgreSQL takes no NUL, and an error may name a value that holds one: the task must end all the same.
    error_dict = json.loads(json.dumps(error.as_dict()).replace("\\u0000", "\\ufffd"))
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()  # a session that PostgreSQL has ended takes no other query
    try:
        end_task(job.task.pk, Task.Status.FAILED, attempt=job.attempt, error=error_dict)
    except (OperationalError, InterfaceError):
        # As where a store is lost: the row says for a while that it is processed, then the sweep sees to it.
        logger.warning("task %s: attempt %d could not be ended", job.task.pk, job.attempt, exc_info=True)
