"""Workers and schedulers by their pulses (nautilus/pulses.py): those of the last hour, so that a series goes away."""

import time
from collections import Counter as Count
from collections.abc import Iterator, Sequence

from django.conf import settings
from prometheus_client import Metric

from apps.operations.metrics.families import counter, gauge
from apps.operations.metrics.sources.registry import register_source
from nautilus.connections import redis_client
from nautilus.pulses import SchedulerPulse, WorkerPulse, scheduler_pulses, worker_endings, worker_pulses

# A worker says that it lives every 5 s.
SILENT_SECONDS = 15.0


@register_source("workers")
def workers() -> Iterator[Metric]:
    client = redis_client()
    pulses = worker_pulses(client)
    yield from _of_each(pulses)
    yield from _of_queues([pulse for pulse in pulses if pulse.silent_seconds <= SILENT_SECONDS])
    endings = Count(ending.worker for ending in worker_endings(client) if ending.at > time.time() - 3600)
    ended = [((name,), number) for name, number in sorted(endings.items())]
    yield gauge("worker_replaced_last_hour", "How often a worker ended itself to be replaced", ["worker"], ended)
    yield from _schedulers(scheduler_pulses(client))


def _of_each(pulses: Sequence[WorkerPulse]) -> Iterator[Metric]:
    silent = [((pulse.worker,), pulse.silent_seconds) for pulse in pulses]
    yield gauge("worker_silent_seconds", "Since a worker's last sign of life", ["worker"], silent)
    alive = [((pulse.worker,), float(pulse.silent_seconds <= SILENT_SECONDS)) for pulse in pulses]
    yield gauge("worker_alive", f"0 for one that is silent for more than {SILENT_SECONDS:g} s", ["worker"], alive)
    slots = [((pulse.worker,), pulse.slots) for pulse in pulses]
    yield gauge("worker_slots", "Tasks that a worker carries out at once", ["worker"], slots)
    active = [((pulse.worker,), pulse.active) for pulse in pulses]
    yield gauge("worker_active", "Tasks that it carries out now", ["worker"], active)
    received = [((pulse.worker,), pulse.received) for pulse in pulses]
    yield counter("worker_received", "Tasks that it took since its start", ["worker"], received)
    lost = [((pulse.worker,), pulse.lost) for pulse in pulses]
    yield counter("worker_lost_processes", "Pool processes that died under it since its start", ["worker"], lost)


def _of_queues(living: Sequence[WorkerPulse]) -> Iterator[Metric]:
    queues = list(settings.CELERY_TASK_QUEUES)
    serving = {queue: [pulse for pulse in living if queue in pulse.queues] for queue in queues}
    counts = [((queue,), len(serving[queue])) for queue in queues]
    yield gauge("queue_workers", "Workers that live and take from the queue", ["queue"], counts)
    free = [((queue,), sum(max(pulse.slots - pulse.active, 0) for pulse in serving[queue])) for queue in queues]
    yield gauge("queue_free_slots", "Tasks that they could take at once now", ["queue"], free)
    ages = [((queue,), _since_received(serving[queue])) for queue in queues]
    yield gauge("queue_idle_seconds", "Since one of them took a task, or began", ["queue"], ages)


def _since_received(pulses: Sequence[WorkerPulse]) -> float | None:
    """By this process' clock: rules hold it against a minute and more."""
    newest = max((pulse.last_received_at or pulse.started_at for pulse in pulses), default=None)
    return None if newest is None else max(time.time() - newest, 0.0)


def _schedulers(pulses: Sequence[SchedulerPulse]) -> Iterator[Metric]:
    leads = [((pulse.scheduler,), float(pulse.leads)) for pulse in pulses]
    yield gauge("scheduler_leads", "1 for the scheduler that sends, 0 for one that stands by", ["scheduler"], leads)
    silent = [((pulse.scheduler,), pulse.silent_seconds) for pulse in pulses]
    yield gauge("scheduler_silent_seconds", "Since a scheduler's last sign of life", ["scheduler"], silent)
    leading = [pulse for pulse in pulses if pulse.leads and pulse.silent_seconds <= SILENT_SECONDS]
    yield gauge("schedulers_leading", "Schedulers that live and send: exactly one is right", [], [((), len(leading))])
