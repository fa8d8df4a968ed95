"""Workers and their tasks, closer than the check does: tasks that wear workers out, workers that end, their memory."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psutil
from django.db.models import Count, Max
from django.db.models.functions import Now

from apps.operations.checks.workers import GONE_SECONDS
from apps.operations.diagnosis.asking import megabytes
from apps.operations.diagnosis.probes.file_descriptors import is_ours
from apps.operations.diagnosis.registry import Diagnosis, Store, register_probe
from apps.operations.findings import Finding, Status
from apps.tasks.models import Task
from nautilus.connections import redis_client
from nautilus.pulses import WorkerPulse, worker_pulses

SILENT_SECONDS = 15.0
LARGE_BYTES = 1_500 * 2**20
RECENT = timedelta(hours=1)
KILLED = 2  # attempts by which a task counts as one that may kill its workers


@register_probe("worker-tasks", Store.POSTGRESQL, Store.REDIS)
def look() -> Diagnosis:
    """Workers that are silent or lose processes, tasks that are begun again and again, and the memory they take"""
    pulses = worker_pulses(redis_client())
    large = [process for process in _worker_processes() if process.info["memory_info"].rss >= LARGE_BYTES]
    worn = _worn()
    said = "; ".join(f"{one.worker} {one.active}/{one.slots} busy, {one.received} received" for one in pulses)
    detail = f"{said or 'no worker has given a sign of life within the hour'}."
    findings = (*_silent(pulses), *_losing(pulses), *map(_large, large), *map(_poison, worn))
    return Diagnosis(detail, findings)


def _silent(pulses: list[WorkerPulse]) -> Iterator[Finding]:
    for one in pulses:
        if SILENT_SECONDS < one.silent_seconds <= GONE_SECONDS:
            yield Finding(
                Status.DEGRADED,
                f"{one.worker} is silent for {one.silent_seconds:.0f} s (queues {', '.join(one.queues)}).",
                f"It was killed, hangs, or its machine is gone (pid {one.pid}).",
                f"scripts/restart-service.sh {one.worker.split('@')[0]}",
                "worker-killed",
            )


def _losing(pulses: list[WorkerPulse]) -> Iterator[Finding]:
    now = redis_client().time()[0]
    for one in pulses:
        if one.lost and one.last_lost_at and now - one.last_lost_at < RECENT.total_seconds():
            yield Finding(
                Status.DEGRADED,
                f"{one.worker} has lost {one.lost} of its processes since it started.",
                one.last_lost or "They were killed, by the kernel for want of memory or by hand.",
                "scripts/manage.sh doctor --only worker-tasks workers",
                "worker-out-of-memory",
            )


def _worker_processes() -> Iterator[psutil.Process]:
    """Of this platform, on this machine."""
    for process in psutil.process_iter(["cmdline", "memory_info"]):
        try:
            if "worker" in (process.info["cmdline"] or ()) and is_ours(process):
                yield process
        except psutil.Error:
            continue


def _large(process: psutil.Process) -> Finding:
    name = next((word.split("@")[0] for word in process.info["cmdline"] if word.endswith("@%h")), "worker")
    return Finding(
        Status.DEGRADED,
        f"A process of {name} (pid {process.pid}) takes {megabytes(process.info['memory_info'].rss)}.",
        "A task with a large window or many paths; what it took the process keeps.",
        f"scripts/restart-service.sh {name}",
        "worker-out-of-memory",
    )


def _worn() -> list[dict[str, Any]]:
    """By kind: tasks that are begun for the second time or more, and those that were given up for it."""
    begun = Task.objects.filter(attempts__gte=KILLED, created_at__gte=Now() - RECENT)
    by_kind = (begun.filter(status=Task.Status.PROCESSING) | begun.filter(error__code="worker_lost")).order_by()
    counted = by_kind.values_list("kind").annotate(count=Count("pk"), most=Max("attempts"))
    return [{"kind": kind, "count": count, "most": most} for kind, count, most in counted]


def _poison(row: dict[str, Any]) -> Finding:
    return Finding(
        Status.DEGRADED,
        f"{row['count']} tasks of the kind {row['kind']} lost their worker, up to {row['most']} times.",
        "The tasks kill their workers (memory, a crash), or the workers were killed from outside.",
        f"curl 'http://localhost:8001/api/v1/tasks?kind={row['kind']}&status=failed'",
        "worker-poison-task",
    )
