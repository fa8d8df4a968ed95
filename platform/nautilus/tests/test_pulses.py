"""Signs of life in a real Redis: written, read with how long they are silent, dropped when they are old."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, replace

import pytest
import redis

from nautilus import pulses
from nautilus.connections import redis_client
from nautilus.pulses import SchedulerPulse, WorkerEnding, WorkerPulse

WORKER = WorkerPulse(
    worker="risk-worker@desk",
    queues=("risk_queue", "alerts_queue"),
    pid=4711,
    slots=2,
    active=1,
    received=9,
    last_received_at=1_700_000_000.5,
    started_at=1_699_999_000.0,
    lost=1,
    last_lost_at=1_700_000_000.0,
    last_lost="signal 9 (SIGKILL)",
)
SCHEDULER = SchedulerPulse("beat@desk", 4712, leads=True, started_at=1_699_999_000.0, last_sent_at=None)


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    client = redis_client()
    keys = (pulses.WORKERS_KEY, pulses.SCHEDULERS_KEY, pulses.ENDINGS_KEY)
    client.delete(*keys)
    yield client
    client.delete(*keys)


def write_silent_for(client: redis.Redis, pulse: WorkerPulse, seconds: float) -> None:
    """As the worker wrote it so long ago."""
    entry = {name: value for name, value in asdict(pulse).items() if name != "silent_seconds"}
    client.hset(pulses.WORKERS_KEY, pulse.worker, f"{time.time() - seconds:.6f} {json.dumps(entry)}")


def test_what_a_worker_wrote_is_what_a_reader_finds(client: redis.Redis):
    pulses.write_worker_pulse(client, WORKER)
    (found,) = pulses.worker_pulses(client)
    assert replace(found, silent_seconds=0.0) == WORKER


def test_silence_is_counted_from_the_last_entry_of_a_worker(client: redis.Redis):
    write_silent_for(client, WORKER, 100)
    (found,) = pulses.worker_pulses(client)
    assert 99 < found.silent_seconds < 130
    pulses.write_worker_pulse(client, WORKER)
    (found,) = pulses.worker_pulses(client)
    assert found.silent_seconds < 30


def test_worker_silent_for_an_hour_is_not_shown_and_the_next_entry_of_another_drops_it(client: redis.Redis):
    write_silent_for(client, WORKER, pulses.KEPT_SECONDS + 1)
    assert pulses.worker_pulses(client) == []
    pulses.write_worker_pulse(client, replace(WORKER, worker="other@desk"))
    assert client.hkeys(pulses.WORKERS_KEY) == ["other@desk"]


def test_workers_are_told_apart_by_name(client: redis.Redis):
    for name in ("b@desk", "a@desk"):
        pulses.write_worker_pulse(client, replace(WORKER, worker=name))
    assert [pulse.worker for pulse in pulses.worker_pulses(client)] == ["a@desk", "b@desk"]


def test_worker_that_ends_in_order_is_forgotten(client: redis.Redis):
    pulses.write_worker_pulse(client, WORKER)
    pulses.forget_worker(client, WORKER.worker, WORKER.pid)
    assert pulses.worker_pulses(client) == []


def test_worker_that_ends_does_not_take_its_successors_entry_along(client: redis.Redis):
    pulses.write_worker_pulse(client, replace(WORKER, pid=os.getpid()))
    pulses.forget_worker(client, WORKER.worker, WORKER.pid)
    assert [pulse.pid for pulse in pulses.worker_pulses(client)] == [os.getpid()]


def test_who_was_never_there_is_forgotten_without_an_error(client: redis.Redis):
    pulses.forget_worker(client, "nobody@desk", 1)
    assert pulses.worker_pulses(client) == []


def test_what_a_scheduler_wrote_is_what_a_reader_finds(client: redis.Redis):
    pulses.write_scheduler_pulse(client, SCHEDULER)
    (found,) = pulses.scheduler_pulses(client)
    assert replace(found, silent_seconds=0.0) == SCHEDULER
    pulses.forget_scheduler(client, SCHEDULER.scheduler, SCHEDULER.pid)
    assert pulses.scheduler_pulses(client) == []


def test_the_last_hundred_workers_that_ended_themselves_are_kept_the_latest_first(client: redis.Redis):
    for number in range(pulses.KEPT_ENDINGS + 5):
        pulses.write_ending(client, WorkerEnding("risk-worker@desk", number, 1_700_000_000.0, "it took no task"))
    endings = pulses.worker_endings(client)
    assert len(endings) == pulses.KEPT_ENDINGS
    assert (endings[0].pid, endings[-1].pid) == (pulses.KEPT_ENDINGS + 4, 5)
    assert endings[0].reason == "it took no task"
