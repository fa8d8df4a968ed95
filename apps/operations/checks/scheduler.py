"""Celery beat by its pulses: whether one leads, and that it is one."""

from collections.abc import Sequence
from datetime import UTC, datetime

from apps.operations.checks.registry import register_check
from apps.operations.checks.workers import prove_that_pulses_are_taken
from apps.operations.findings import Finding, Health, Status
from nautilus.connections import redis_client
from nautilus.pulses import SchedulerPulse, scheduler_pulses

# A scheduler writes its pulse every second; one that stands by takes over within 15 s.
SILENT_SECONDS = 15.0
RESTART = "scripts/restart-service.sh scheduler"


@register_check("scheduler")
def check_scheduler() -> Health:
    client = redis_client()
    pulses = scheduler_pulses(client)
    alive = [pulse for pulse in pulses if pulse.silent_seconds <= SILENT_SECONDS]
    leading = [pulse for pulse in alive if pulse.leads]
    if not leading:
        prove_that_pulses_are_taken(client)  # and the lease
    findings = [*([] if leading else [_gone(pulses, alive)]), *([_two(leading)] if len(leading) > 1 else [])]
    return Health(_detail(leading, alive), tuple(findings))


def _detail(leading: Sequence[SchedulerPulse], alive: Sequence[SchedulerPulse]) -> str:
    if not leading:
        return f"{len(alive)} schedulers alive, none leads"
    sent = max((pulse.last_sent_at or 0.0 for pulse in leading), default=0.0)
    ago = f"sent {datetime.now(UTC).timestamp() - sent:.0f} s ago" if sent else "has sent nothing yet"
    return f"{leading[0].scheduler} leads and {ago}; {len(alive) - len(leading)} stand by"


def _gone(pulses: Sequence[SchedulerPulse], alive: Sequence[SchedulerPulse]) -> Finding:
    last = min(pulses, key=lambda pulse: pulse.silent_seconds, default=None)
    if alive:
        cause = f"{len(alive)} schedulers run and none of them leads: none could take the lease in Redis."
    elif last:
        cause = f"{last.scheduler} has been silent for {last.silent_seconds:.0f} s: it ended, or Redis was away."
    else:
        cause = "No scheduler has said anything in the last hour."
    symptom = "Nothing happens by itself: limits are not evaluated, lost tasks are not sent again"
    return Finding(Status.UNHEALTHY, symptom, cause, RESTART, "scheduler-gone")


def _two(leading: Sequence[SchedulerPulse]) -> Finding:
    names = ", ".join(pulse.scheduler for pulse in leading)
    return Finding(
        Status.DEGRADED, "What happens by itself happens twice", f"{names} all lead.", RESTART, "scheduler-two"
    )
