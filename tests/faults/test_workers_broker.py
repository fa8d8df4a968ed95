"""The fault that Celery on Redis is known for: a worker that connects anew and takes no more tasks.

Celery issues 8030, 8091, 9054 and 10205. Redis is restarted, and all connections to it are killed, under load; each
worker must go on taking tasks, or be seen within 30 s and replace itself.
"""

import json
import os
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
import redis
from django.conf import settings

from nautilus.celery import app
from nautilus.pulses import worker_endings
from tests.faults.beside import redis_of, wait_for_worker
from tests.faults.desk import Desk
from tests.running import ANALYZE, wait_until
from tests.test_faults import all_end, stored_once

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(600)]

SERVICES = {
    "risk-worker": "risk_queue",
    "analytics-worker": "analytics_queue",
    "strategy-deployer": "strategy_queue",
    "maintenance-worker": "maintenance_queue",
    "alert-sender": "alerts_queue",
}
TURNS = 20
# Seen within 30 s, started again within some more on a busy machine.
LONGEST_GAP_SECONDS = 60.0


@dataclass(slots=True)
class Turn:
    """What one fault did: seconds from Redis' return until each worker took a task, and who was started again."""

    fault: str
    gaps: dict[str, float]
    replaced: list[str]
    reasons: list[str]


class Probes:
    """A message for each queue that names no task of ours: whoever takes it drops it at once."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._ids = {service: str(uuid.uuid4()) for service in SERVICES}

    def send(self) -> None:
        with app.connection_for_write(url=self._desk.platform.redis_url) as connection:
            for service, queue in SERVICES.items():
                message = app.signature("risk.analyze", args=[self._ids[service]], queue=queue)
                message.apply_async(connection=connection, retry=False)

    def seconds_until_taken(self, since: float) -> dict[str, float]:
        """From `since` until each service has taken its message, and those that came before."""
        taken: dict[str, float] = {}

        def all_taken() -> bool:
            for service in SERVICES.keys() - taken.keys():
                if not self._waits(service):
                    taken[service] = time.monotonic() - since
            return len(taken) == len(SERVICES)

        try:
            wait_until(all_taken, LONGEST_GAP_SECONDS, "every worker to take a task", pause_seconds=0.05)
        except AssertionError as error:
            missing = ", ".join(sorted(SERVICES.keys() - taken.keys()))
            raise AssertionError(f"{error}; these took none: {missing}") from None
        return taken

    def _waits(self, service: str) -> bool:
        return any(self._ids[service] in message for message in redis_of(self._desk).lrange(SERVICES[service], 0, -1))


def restart_broker(desk: Desk) -> None:
    desk.platform.stop("redis")
    desk.platform.start("redis")
    wait_until(lambda: answers(desk), 30, "Redis to answer")


def kill_connections(desk: Desk) -> None:
    redis_of(desk).client_kill_filter(_type="normal", skipme=True)
    redis_of(desk).client_kill_filter(_type="pubsub", skipme=True)


def answers(desk: Desk) -> bool:
    try:
        return bool(redis_of(desk).ping())
    except redis.RedisError:
        return False


def submit(desk: Desk, confidence: float, windows: range) -> list[str]:
    """Jobs that differ, so that none shares another's computation."""
    bodies = [{"portfolio_id": "PORTFOLIO_001", "confidence": confidence, "window_days": days} for days in windows]
    return [desk.ask("POST", ANALYZE, 202, json=body)["task_id"] for body in bodies]


def run_turn(desk: Desk, fault: Callable[[Desk], None], confidence: float) -> tuple[Turn, list[str]]:
    """Does it while the workers work; answers with the tasks that were submitted before and after, too."""
    pids = {service: wait_for_worker(desk, service).pid for service in SERVICES}
    ended_before = {(ending.worker, ending.pid) for ending in worker_endings(redis_of(desk))}
    task_ids = submit(desk, confidence, range(300, 304))
    fault(desk)
    back = time.monotonic()
    probes = Probes(desk)
    probes.send()
    gaps = probes.seconds_until_taken(back)
    task_ids += submit(desk, confidence, range(304, 305))
    endings = [one for one in worker_endings(redis_of(desk)) if (one.worker, one.pid) not in ended_before]
    replaced = [service for service, pid in pids.items() if desk.platform.pid(service) != pid]
    return Turn(fault.__name__, gaps, replaced, [f"{one.worker}: {one.reason}" for one in endings]), task_ids


@pytest.mark.parametrize("fault", [restart_broker, kill_connections])
def test_every_worker_goes_on_or_replaces_itself(desk: Desk, fault_line: Callable, fault: Callable):
    line = fault_line(f"workers: {fault.__name__.replace('_', ' ')} under load, {TURNS} times")
    line.injected()
    turns, task_ids = [], []
    for number in range(TURNS):
        turn, submitted = run_turn(desk, fault, (0.9 if fault is restart_broker else 0.95) + number / 1000)
        keep(turn)
        turns.append(turn)
        task_ids += submitted
    replaced = sum(len(turn.replaced) for turn in turns)
    longest = max(gap for turn in turns for gap in turn.gaps.values())
    line.seen(f"{replaced} workers replaced; after {longest:.1f} s at the longest each took a task")
    ended = all_end(desk.platform, task_ids, 120)
    line.mended(lost=len(task_ids) - ended["succeeded"])
    assert ended == {"succeeded": len(task_ids)}
    assert stored_once(desk.platform, task_ids)


def keep(seen: Turn) -> None:
    """Where NAUTILUS_BROKER_TURNS names a file, each turn becomes a line of it."""
    if file := os.environ.get("NAUTILUS_BROKER_TURNS"):
        with Path(file).open("a") as lines:
            lines.write(json.dumps(asdict(seen)) + "\n")


def test_every_queue_has_a_worker_in_this_test():
    assert set(SERVICES.values()) == set(settings.CELERY_TASK_QUEUES)
