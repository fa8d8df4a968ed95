"""What tests of workers and schedulers share: pulses as Redis has them, and processes beside the platform's own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import redis

from nautilus.local.home import ROOT
from nautilus.local.supervision import MARK
from nautilus.pulses import SchedulerPulse, WorkerPulse, scheduler_pulses, worker_pulses
from tests.faults.desk import Desk
from tests.running import wait_until

ANSWERS_SECONDS = 5.0


def redis_of(desk: Desk) -> redis.Redis:
    return redis.Redis.from_url(desk.platform.redis_url, decode_responses=True, socket_timeout=ANSWERS_SECONDS)


def pulse_of(desk: Desk, service: str) -> WorkerPulse | None:
    """None where there is none, or nobody can say."""
    try:
        found = worker_pulses(redis_of(desk))
    except redis.RedisError:
        return None
    return next((pulse for pulse in found if pulse.worker.startswith(f"{service}@")), None)


def wait_for_worker(desk: Desk, service: str, pid: int | None = None, seconds: float = 60) -> WorkerPulse:
    """Waits until a service's worker has a fresh pulse; with `pid`, until that process has one."""

    def fresh() -> WorkerPulse | None:
        pulse = pulse_of(desk, service)
        return pulse if pulse and pulse.silent_seconds < 10 and pulse.pid == (pid or pulse.pid) else None

    return wait_until(fresh, seconds, f"the pulse of {service}")


def schedulers_of(desk: Desk) -> dict[int, SchedulerPulse]:
    """By their process' id, those that were not silent for five seconds."""
    return {pulse.pid: pulse for pulse in scheduler_pulses(redis_of(desk)) if pulse.silent_seconds < 5}


def environment_of(desk: Desk) -> dict[str, str]:
    """What the platform's own processes were started with."""
    theirs = psutil.Process(desk.platform.pid("web")).environ()
    return {name: value for name, value in theirs.items() if name != MARK}


@contextmanager
def beside(desk: Desk, name: str, *arguments: str, **settings: str) -> "Iterator[subprocess.Popen[bytes]]":
    """`python -m celery ARGUMENTS` beside the platform's own processes; its log is NAME.log in their folder."""
    with (desk.platform.home.logs / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", *arguments],
            cwd=ROOT,
            env={**os.environ, **environment_of(desk), **settings},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """In order, so that it leaves no pulse behind."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def worker_arguments(application: str, name: str, queue: str, slots: int = 2) -> tuple[str, ...]:
    """As the Procfile has them."""
    what = ("-A", application, "worker", "-n", f"{name}@%h", "-Q", queue, "-c", str(slots), "--pool", "prefork")
    return (*what, "--without-gossip", "--without-mingle", "--loglevel", "INFO")
