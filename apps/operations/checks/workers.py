"""Celery workers by their pulses: whether each queue has one, and whether each takes what waits for it."""

from collections.abc import Sequence
from datetime import UTC, datetime

import redis
from django.conf import settings

from apps.operations.checks.queues import lengths_of_queues
from apps.operations.checks.registry import register_check
from apps.operations.checks.standing_still import STANDING
from apps.operations.findings import Finding, Health, Status
from nautilus.connections import redis_client
from nautilus.pulses import WorkerPulse, worker_pulses

# A worker writes its pulse every 5 s.
SILENT_SECONDS = 15.0
# One that is silent for longer has been replaced by another, where its queue has one: its machine is gone for good.
GONE_SECONDS = 300.0
# So long the same message has waited in front of a worker with a free slot that takes nothing.
NOT_CONSUMING_SECONDS = 10.0
# So long the loss of a pool process is told of.
LOSS_TOLD_SECONDS = 300.0

_PROBE_KEY = "health:pulse-probe"
_PROBE_LIVES_MS = 10_000

# By the words of nautilus/watchdog.py: the kernel's signal where memory runs out, and a worker that ended itself.
_LOSSES = {"signal 9": "worker-out-of-memory", "ended itself": "worker-not-consuming"}

# Who takes from which queue, by the Procfile's and compose's names.
SERVICES = {
    "risk_queue": "risk-worker",
    "analytics_queue": "analytics-worker",
    "strategy_queue": "strategy-deployer",
    "maintenance_queue": "maintenance-worker",
    "alerts_queue": "alert-sender",
}


@register_check("workers")
def check_workers() -> Health:
    client = redis_client()
    pulses, lengths = worker_pulses(client), lengths_of_queues(client)
    alive = [pulse for pulse in pulses if pulse.silent_seconds <= SILENT_SECONDS]
    if len(alive) < len(pulses) or queues_without_worker(alive):
        prove_that_pulses_are_taken(client)
    findings = [
        *_without_worker(pulses, alive, lengths),
        *_silent(pulses, alive),
        *_not_consuming(alive, lengths),
        *_lost_processes(alive),
    ]
    slots, active = sum(pulse.slots for pulse in alive), sum(pulse.active for pulse in alive)
    return Health(f"{len(alive)} workers alive, {active} of {slots} slots busy", tuple(findings))


def prove_that_pulses_are_taken(client: redis.Redis) -> None:
    """Raises what Redis says to a write: where it refuses all, as with a full memory, silence is no worker's fault."""
    client.set(_PROBE_KEY, "1", px=_PROBE_LIVES_MS)


def queues_without_worker(alive: Sequence[WorkerPulse]) -> list[str]:
    served = {queue for pulse in alive for queue in pulse.queues}
    return [queue for queue in settings.CELERY_TASK_QUEUES if queue not in served]


def restart_of(queue: str) -> str:
    return f"scripts/restart-service.sh {SERVICES.get(queue, queue)}"


def _without_worker(
    pulses: Sequence[WorkerPulse], alive: Sequence[WorkerPulse], lengths: dict[str, int]
) -> list[Finding]:
    return [_gone(queue, pulses, lengths[queue]) for queue in queues_without_worker(alive)]


def _gone(queue: str, pulses: Sequence[WorkerPulse], waiting: int) -> Finding:
    last = min((pulse for pulse in pulses if queue in pulse.queues), key=lambda one: one.silent_seconds, default=None)
    said = f"{last.worker} has been silent for {last.silent_seconds:.0f} s" if last else "none has said anything lately"
    return Finding(
        Status.UNHEALTHY,
        f"Nobody takes from {queue}: {waiting} messages wait",
        f"No worker of {queue} is alive; {said}.",
        restart_of(queue),
        "workers-all-gone",
    )


def _silent(pulses: Sequence[WorkerPulse], alive: Sequence[WorkerPulse]) -> list[Finding]:
    """Of queues that another worker serves; where there is none, that is said by the queue."""
    missing = set(queues_without_worker(alive))
    silent = [pulse for pulse in pulses if SILENT_SECONDS < pulse.silent_seconds <= GONE_SECONDS]
    return [_killed(pulse) for pulse in silent if not missing & set(pulse.queues)]


def _killed(pulse: WorkerPulse) -> Finding:
    return Finding(
        Status.DEGRADED,
        f"The worker {pulse.worker} is silent",
        f"It has said nothing for {pulse.silent_seconds:.0f} s: it was killed, or its machine is gone.",
        restart_of(pulse.queues[0]) if pulse.queues else "scripts/manage.sh doctor --only workers",
        "worker-killed",
    )


def _not_consuming(alive: Sequence[WorkerPulse], lengths: dict[str, int]) -> list[Finding]:
    idle = [pulse for pulse in alive if pulse.active < pulse.slots]
    found = []
    for pulse in idle:
        waited = {queue: STANDING.seconds(queue) for queue in pulse.queues if lengths.get(queue)}
        queue, seconds = max(waited.items(), key=lambda item: item[1], default=("", 0.0))
        if seconds >= NOT_CONSUMING_SECONDS and _took_nothing(pulse, seconds):
            found.append(_stands_still(pulse, queue, lengths[queue], seconds))
    return found


def _took_nothing(pulse: WorkerPulse, seconds: float) -> bool:
    since = pulse.last_received_at or pulse.started_at
    return datetime.now(UTC).timestamp() - since >= seconds


def _stands_still(pulse: WorkerPulse, queue: str, waiting: int, seconds: float) -> Finding:
    return Finding(
        Status.UNHEALTHY,
        f"The worker {pulse.worker} is connected and takes no task",
        f"{waiting} messages wait in {queue}, the first for {seconds:.0f} s or more, and "
        f"{pulse.slots - pulse.active} of its {pulse.slots} slots are free: it no longer listens to Redis.",
        restart_of(queue),
        "worker-not-consuming",
    )


def _lost_processes(alive: Sequence[WorkerPulse]) -> list[Finding]:
    now = datetime.now(UTC).timestamp()
    lately = [pulse for pulse in alive if pulse.last_lost_at and now - pulse.last_lost_at <= LOSS_TOLD_SECONDS]
    return [_lost(pulse, now - (pulse.last_lost_at or now)) for pulse in lately]


def _lost(pulse: WorkerPulse, seconds: float) -> Finding:
    return Finding(
        Status.DEGRADED,
        f"The worker {pulse.worker} has lost processes",
        f"{pulse.lost} since its start, the last {seconds:.0f} s ago: {pulse.last_lost or 'without a word'}.",
        "scripts/manage.sh doctor --only workers worker-tasks",
        next((section for words, section in _LOSSES.items() if words in pulse.last_lost), "worker-killed"),
    )
