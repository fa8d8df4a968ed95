"""Queues, workers and schedulers, as the operations page shows them: by Redis; the tasks' ages by the database."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.utils import Error as DatabaseError
from django.utils import timezone
from redis import Redis

from apps.dashboard.pages.operations_access import check_database_answers
from apps.dashboard.pages.page import finding_of
from apps.operations.checks.queues import LONG_WAIT_SECONDS, Waiting, lengths_of_queues, oldest_seconds, waiting_tasks
from apps.operations.checks.scheduler import SILENT_SECONDS as SCHEDULER_SILENT_SECONDS
from apps.operations.checks.workers import SERVICES, SILENT_SECONDS, restart_of
from nautilus.pulses import SchedulerPulse, WorkerPulse, scheduler_pulses, worker_pulses


@dataclass(frozen=True, slots=True)
class Queue:
    """`tasks` is None where the database, which knows them, is away. `service` is what takes from it."""

    name: str
    service: str
    messages: int
    tasks: int | None
    oldest_seconds: float
    workers: int
    restart: str

    @property
    def is_late(self) -> bool:
        return self.oldest_seconds > LONG_WAIT_SECONDS

    @property
    def waits(self) -> bool:
        return bool(self.messages or self.tasks)


@dataclass(frozen=True, slots=True)
class Worker:
    pulse: WorkerPulse
    pulse_at: datetime
    started_at: datetime
    last_received_at: datetime | None
    last_lost_at: datetime | None


@dataclass(frozen=True, slots=True)
class Scheduler:
    pulse: SchedulerPulse
    pulse_at: datetime
    last_sent_at: datetime | None


def queue_figures(client: Redis) -> dict[str, Any]:
    """Raises RedisError."""
    lengths, pulses, schedulers = lengths_of_queues(client), worker_pulses(client), scheduler_pulses(client)
    waiting, why_no_tasks = _waiting()
    alive = [pulse for pulse in pulses if pulse.silent_seconds <= SILENT_SECONDS]
    return {
        "queues": [_queue(name, length, waiting, alive) for name, length in lengths.items()],
        "why_no_tasks": why_no_tasks,
        "workers": [_worker(pulse) for pulse in pulses],
        "alive": len(alive),
        "slots": sum(pulse.slots for pulse in alive),
        "active": sum(pulse.active for pulse in alive),
        "silent_seconds": SILENT_SECONDS,
        "schedulers": [_scheduler(pulse) for pulse in schedulers],
        "scheduler_silent_seconds": SCHEDULER_SILENT_SECONDS,
    }


def _waiting() -> tuple[dict[str, Waiting] | None, str]:
    """By queue; where the database is away, None and the reason."""
    try:
        check_database_answers()
        return waiting_tasks(), ""
    except DatabaseError as error:
        return None, f"{finding_of(error).symptom}."


def _queue(name: str, messages: int, waiting: dict[str, Waiting] | None, alive: list[WorkerPulse]) -> Queue:
    return Queue(
        name=name,
        service=SERVICES.get(name, name),
        messages=messages,
        tasks=None if waiting is None else waiting[name].tasks if name in waiting else 0,
        oldest_seconds=oldest_seconds(name, messages, waiting or {}),
        workers=sum(name in pulse.queues for pulse in alive),
        restart=restart_of(name),
    )


def _worker(pulse: WorkerPulse) -> Worker:
    return Worker(
        pulse,
        _heard_at(pulse.silent_seconds),
        _moment_of(pulse.started_at),
        _moment_of(pulse.last_received_at) if pulse.last_received_at else None,
        _moment_of(pulse.last_lost_at) if pulse.last_lost_at else None,
    )


def _scheduler(pulse: SchedulerPulse) -> Scheduler:
    sent_at = _moment_of(pulse.last_sent_at) if pulse.last_sent_at else None
    return Scheduler(pulse, _heard_at(pulse.silent_seconds), sent_at)


def _heard_at(silent_seconds: float) -> datetime:
    return timezone.now() - timedelta(seconds=silent_seconds)


def _moment_of(unix_seconds: float) -> datetime:
    return datetime.fromtimestamp(unix_seconds, UTC)
