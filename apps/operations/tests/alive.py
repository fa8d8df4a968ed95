"""Workers, schedulers and hubs as Redis sees them: what each says of itself, without the processes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from django.conf import settings

from apps.operations.checks import standing_still
from apps.realtime.tests.said_processes import report, said_processes
from nautilus.connections import redis_client
from nautilus.pulses import (
    SCHEDULERS_KEY,
    WORKERS_KEY,
    SchedulerPulse,
    WorkerPulse,
    write_scheduler_pulse,
    write_worker_pulse,
)


def a_worker(queue: str, **changed: Any) -> WorkerPulse:
    """One that has just taken a task and is free."""
    now = time.time()
    return replace(WorkerPulse(f"{queue}@host", (queue,), 1, 2, 0, 1, now, now - 60), **changed)


def a_scheduler(name: str = "scheduler@host", **changed: Any) -> SchedulerPulse:
    now = time.time()
    return replace(SchedulerPulse(name, 1, leads=True, started_at=now - 60, last_sent_at=now), **changed)


def say_worker(pulse: WorkerPulse, silent_seconds: float = 0.0) -> None:
    write_worker_pulse(redis_client(), pulse)
    _age(WORKERS_KEY, pulse.worker, silent_seconds)


def say_scheduler(pulse: SchedulerPulse, silent_seconds: float = 0.0) -> None:
    write_scheduler_pulse(redis_client(), pulse)
    _age(SCHEDULERS_KEY, pulse.scheduler, silent_seconds)


def say_all_workers(*, without: str = "") -> None:
    for queue in settings.CELERY_TASK_QUEUES:
        if queue != without:
            say_worker(a_worker(queue))


def forget_all() -> None:
    redis_client().delete(WORKERS_KEY, SCHEDULERS_KEY, standing_still.KEY, *settings.CELERY_TASK_QUEUES)


@contextmanager
def all_processes_alive() -> Iterator[None]:
    forget_all()
    say_all_workers()
    say_scheduler(a_scheduler())
    with said_processes() as say:
        say(report())
        yield
    forget_all()


def _age(key: str, name: str, seconds: float) -> None:
    """Moves an entry's time back, as if so much had passed since."""
    at, _, told = str(redis_client().hget(key, name)).partition(" ")
    redis_client().hset(key, name, f"{float(at) - seconds} {told}")
