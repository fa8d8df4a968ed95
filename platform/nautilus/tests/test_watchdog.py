"""Real workers on a real Redis that fall ill: they are seen, end with all their processes, and say why."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from celery.worker import state
from celery.worker.request import Request
from django.conf import settings
from kombu import Message

from nautilus import pulses
from nautilus.celery import app
from nautilus.connections import redis_client
from nautilus.local.home import ROOT
from nautilus.pulses import WorkerPulse
from nautilus.tests.ill_worker import CONSUMER_GONE, DEAF, STUCK, echo, hold
from nautilus.watchdog import EXIT_CODE, LOOK_SECONDS, OVERDUE_SECONDS, WorkerState
from tests.running import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(120)]

QUEUE = "maintenance_queue"
WORKER = "ill@desk"
PATIENCE_SECONDS = 3
POOLS = [("prefork", 2), ("threads", 3)]


@pytest.fixture(autouse=True)
def _empty_queue() -> Iterator[None]:
    client = redis_client()
    keys = (QUEUE, "unacked", "unacked_index", pulses.WORKERS_KEY, pulses.ENDINGS_KEY)
    client.delete(*keys)
    yield
    client.delete(*keys)


@contextmanager
def ill_worker(log: Path, pool: str = "prefork", slots: int = 2) -> "Iterator[subprocess.Popen[bytes]]":
    command = ["celery", "-A", "nautilus.tests.ill_worker", "worker", "-n", WORKER, "-Q", QUEUE, "-c", str(slots)]
    flags = ["--pool", pool, "--without-gossip", "--without-mingle", "--loglevel", "INFO"]
    ours = {
        "NAUTILUS_WORKER_PATIENCE_SECONDS": str(PATIENCE_SECONDS),
        "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
        "REMAP_SIGTERM": "SIGQUIT",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, *flags],
            cwd=ROOT,
            env={**os.environ, **ours},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: (now := pulse()) and now.pid == process.pid, 60, "the worker's pulse")
        wait_until(lambda: " ready." in log.read_text(), 60, "the worker to be ready")
        yield process
    finally:
        process.kill()
        process.wait()


def pulse() -> WorkerPulse | None:
    return next((found for found in pulses.worker_pulses(redis_client()) if found.worker == WORKER), None)


def send(task: object, *arguments: float) -> None:
    app.signature(task.name, args=arguments, queue=QUEUE).apply_async()


def family(process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    parent = psutil.Process(process.pid)
    return [parent, *parent.children(recursive=True)]


def has_ended_itself(process: "subprocess.Popen[bytes]", seconds: float = 30) -> str:
    """The reason that the worker gave."""
    assert process.wait(seconds) == EXIT_CODE
    (ending,) = pulses.worker_endings(redis_client())
    assert (ending.worker, ending.pid) == (WORKER, process.pid)
    return ending.reason


@contextmanager
def full_memory() -> Iterator[None]:
    """Redis refuses whatever would take room, and so the pulses and why a worker ended."""
    redis_client().config_set("maxmemory", 1)
    try:
        yield
    finally:
        redis_client().config_set("maxmemory", 0)


def a_request() -> Request:
    """A task as Celery's worker holds it."""
    message = Message(json.dumps([[], {}, {}]), content_type="application/json", content_encoding="utf-8")
    message.headers = {"id": str(uuid4()), "task": echo.name}
    return Request(message, app=app, task=echo, decoded=False)


def active_of(worker_state: WorkerState, request: Request) -> int:
    state.active_requests.add(request)
    try:
        return worker_state._requests()[0]
    finally:
        state.active_requests.discard(request)


@pytest.mark.parametrize(("more_seconds", "active"), [(-5, 1), (5, 0)])
def test_task_counts_as_running_until_it_is_overdue(more_seconds: float, active: int):
    request = a_request()
    limit_seconds = settings.CELERY_TASK_TIME_LIMIT + OVERDUE_SECONDS
    request.on_accepted(os.getpid(), time.monotonic() - limit_seconds - more_seconds)
    assert active_of(WorkerState(worker=None), request) == active


@pytest.mark.parametrize(("pool", "slots"), POOLS)
def test_pulse_says_what_the_worker_is_and_does(tmp_path: Path, pool: str, slots: int):
    with ill_worker(tmp_path / "log", pool, slots) as process:
        first = pulse()
        assert (first.queues, first.pid, first.slots) == ((QUEUE,), process.pid, slots)
        assert (first.active, first.received, first.last_received_at) == (0, 0, None)
        send(hold, 12)
        send(echo)
        busy = wait_until(
            lambda: (now := pulse()) and now.active and now.received == 2 and now, 20, "a pulse with both"
        )
        assert (busy.active, busy.slots) == (1, slots)
        assert time.time() - busy.last_received_at < 60


@pytest.mark.parametrize(("pool", "slots"), POOLS)
def test_worker_whose_loop_stands_still_ends_with_all_its_processes(tmp_path: Path, pool: str, slots: int):
    with ill_worker(tmp_path / "log", pool, slots) as process:
        before = family(process)
        os.kill(process.pid, STUCK)
        assert "its event loop has not turned for 3 s" in has_ended_itself(process)
        wait_until(lambda: not any(one.is_running() for one in before), 10, "its pool processes to be gone")
        log = (tmp_path / "log").read_text()
    assert '"level": "critical"' in log
    assert "time.sleep(3600)" in log, "the place where it stood is not told"


def test_worker_whose_loop_stands_still_ends_also_while_redis_memory_is_full(tmp_path: Path):
    log = tmp_path / "log"
    with ill_worker(log) as process, full_memory():
        wait_until(lambda: "waits for Redis" in log.read_text(), 20, "a pulse to be refused")
        os.kill(process.pid, STUCK)
        assert process.wait(30) == EXIT_CODE
        assert "its event loop has not turned for 3 s" in log.read_text()


@pytest.mark.parametrize(("pool", "slots"), POOLS)
def test_worker_that_lost_its_consumer_ends_though_its_queue_is_empty(tmp_path: Path, pool: str, slots: int):
    with ill_worker(tmp_path / "log", pool, slots) as process:
        os.kill(process.pid, CONSUMER_GONE)
        assert "it is not registered for its queues for 3 s" in has_ended_itself(process)


@pytest.mark.parametrize(("pool", "slots"), POOLS)
def test_worker_that_takes_none_of_its_messages_ends(tmp_path: Path, pool: str, slots: int):
    with ill_worker(tmp_path / "log", pool, slots) as process:
        os.kill(process.pid, DEAF)
        for _ in range(5):
            send(echo)
        reason = has_ended_itself(process)
    assert f"it took no task, with {slots} of {slots} slots free" in reason
    assert redis_client().llen(QUEUE) > 0, "what it left lying is there for the next one"


def test_worker_that_works_on_all_its_slots_is_left_alone_until_they_are_free(tmp_path: Path):
    with ill_worker(tmp_path / "log") as process:
        for _ in range(2):
            send(hold, PATIENCE_SECONDS * 4)
        wait_until(lambda: (now := pulse()) and now.active == 2, 20, "both slots to be taken")
        os.kill(process.pid, DEAF)
        for _ in range(3):
            send(echo)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(PATIENCE_SECONDS * 2)
        assert "it took no task" in has_ended_itself(process)


def test_worker_that_ends_in_order_takes_its_pulse_along_and_is_no_case_for_the_watchdog(tmp_path: Path):
    with ill_worker(tmp_path / "log") as process:
        send(hold, PATIENCE_SECONDS + 3)
        wait_until(lambda: (now := pulse()) and now.received, 20, "the task to be taken")
        process.terminate()  # Celery's soft shutdown: 10 s for what runs, with the event loop at rest
        assert process.wait(60) != EXIT_CODE
        assert pulse() is None
        assert pulses.worker_endings(redis_client()) == []


def test_pool_process_that_is_killed_is_told_by_the_pulse(tmp_path: Path):
    with ill_worker(tmp_path / "log") as process:
        send(hold, 60)
        wait_until(lambda: (now := pulse()) and now.active, 20, "the task to begin")
        running = [one for one in family(process)[1:] if one.memory_info().rss]
        for one in running:
            one.kill()
        told = wait_until(lambda: (now := pulse()) and now.lost and now, 20, "the pulse to tell of the loss")
        assert told.pid == process.pid
        how = "signal 9 (SIGKILL), as from the kernel where memory runs out, took a pool process while it had"
        assert told.last_lost.startswith(f"{how} ill.hold[")


@pytest.mark.parametrize(
    ("fault", "how"),
    [(signal.SIGKILL, "ended without a word, as one does that is killed"), (STUCK, "ended itself: its event loop")],
)
def test_worker_that_was_started_again_tells_of_its_predecessor(tmp_path: Path, fault: int, how: str):
    with ill_worker(tmp_path / "log") as first:
        os.kill(first.pid, fault)
        first.wait(30)
    with ill_worker(tmp_path / "log2"):
        told = pulse()
    assert told.lost == 1
    assert told.last_lost.startswith(f"its process {first.pid} {how}")


def test_illness_is_seen_within_thirty_seconds():
    answer_seconds = 2 * settings.REDIS_TIMEOUT_SECONDS  # the longest that a look waits for Redis, with its one retry
    assert settings.WORKER_PATIENCE_SECONDS + LOOK_SECONDS + answer_seconds < 30
