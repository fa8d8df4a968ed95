"""Whether what beat asks for is asked for in time: by its own pulse, and by what its tasks leave behind."""

import time
from collections.abc import Iterator

from apps.operations.diagnosis.registry import Diagnosis, Store, register_probe
from apps.operations.findings import Finding, Status
from nautilus.connections import redis_client
from nautilus.pulses import SchedulerPulse, scheduler_pulses

# alerts.send_due is sent every second: a leader that has sent nothing for this long is late.
LATE_SECONDS = 10.0


@register_probe("beat", Store.REDIS)
def look() -> Diagnosis:
    """Whether one scheduler leads, and sends in time"""
    pulses = scheduler_pulses(redis_client())
    leaders = [one for one in pulses if one.leads and one.silent_seconds < LATE_SECONDS]
    detail = f"{len(pulses)} schedulers within the hour, {len(leaders)} lead."
    return Diagnosis(detail, (*_leaderless(leaders), *_late(leaders), *_several(leaders)))


def _leaderless(leaders: list[SchedulerPulse]) -> Iterator[Finding]:
    if not leaders:
        yield _gone(
            "No scheduler leads: nothing is swept, monitored or sent by the clock.", "Every scheduler has ended."
        )


def _late(leaders: list[SchedulerPulse]) -> Iterator[Finding]:
    for one in leaders:
        late = time.time() - (one.last_sent_at or one.started_at)
        if late > LATE_SECONDS:
            yield _gone(
                f"{one.scheduler} leads and has sent nothing for {late:.0f} s.",
                f"It hangs (pid {one.pid}), or Redis does.",
            )


def _gone(symptom: str, cause: str) -> Finding:
    return Finding(Status.UNHEALTHY, symptom, cause, "scripts/restart-service.sh scheduler", "scheduler-gone")


def _several(leaders: list[SchedulerPulse]) -> Iterator[Finding]:
    if len(leaders) > 1:
        names = ", ".join(one.scheduler for one in leaders)
        yield Finding(
            Status.DEGRADED,
            f"{len(leaders)} schedulers lead: each task of the clock is asked for {len(leaders)} times.",
            f"{names}; one of them has lost its lease and has not seen it yet.",
            "scripts/restart-service.sh scheduler",
            "scheduler-two",
        )
