"""Real schedulers on a real Redis: one sends, the others stand by, and nothing is sent twice."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings

from nautilus import pulses
from nautilus.beat import FREE_SECONDS, LEASE_KEY, SENT_KEY, TICK_SECONDS, Leadership
from nautilus.connections import redis_client
from nautilus.local.home import ROOT
from nautilus.pulses import SchedulerPulse
from tests.running import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(120)]

QUEUES = ("maintenance_queue", "analytics_queue")
EVERY_SECOND = "alerts.send_due"
BEAT = ("-A", "nautilus", "beat", "--pidfile", "")
TOLD_TO_END_WHILE_IT_SENDS = f"""
import os, signal, sys
from celery.__main__ import main
from kombu.transport.redis import Channel

put = Channel._put

def told_to_end(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGTERM)
    put(*args, **kwargs)

Channel._put = told_to_end
sys.argv = ["celery", *{BEAT}]
main()
"""


@pytest.fixture(autouse=True)
def _empty_queues() -> Iterator[None]:
    keys = (*QUEUES, pulses.SCHEDULERS_KEY, LEASE_KEY, SENT_KEY)
    redis_client().delete(*keys)
    yield
    redis_client().delete(*keys)


@contextmanager
def scheduler(home: Path, **ours: str) -> "Iterator[subprocess.Popen[bytes]]":
    with started(home, "-m", "celery", *BEAT, **ours) as process:
        wait_until(lambda: pulse(process), 60, "the scheduler's pulse")
        yield process


@contextmanager
def started(home: Path, *arguments: str, **ours: str) -> "Iterator[subprocess.Popen[bytes]]":
    home.mkdir(exist_ok=True)
    ours |= {
        "NAUTILUS_HOME": str(home),
        "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
    }
    with (home / "log").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, **ours},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def pulse(process: "subprocess.Popen[bytes]") -> SchedulerPulse | None:
    return next((found for found in pulses.scheduler_pulses(redis_client()) if found.pid == process.pid), None)


def leads(process: "subprocess.Popen[bytes]") -> bool:
    found = pulse(process)
    return found is not None and found.leads


def sent() -> Counter[str]:
    """What lies in the queues, by the name of the task: no worker takes any of it."""
    messages = [message for queue in QUEUES for message in redis_client().lrange(queue, 0, -1)]
    return Counter(json.loads(message)["headers"]["task"] for message in messages)


def test_two_schedulers_send_what_one_would(tmp_path: Path):
    with scheduler(tmp_path / "a") as first, scheduler(tmp_path / "b") as second:
        wait_until(lambda: leads(first), 10, "the first to lead")
        redis_client().delete(*QUEUES)
        start = time.monotonic()
        wait_until(lambda: sent()[EVERY_SECOND] >= 10, 60, "ten sendings")
        most = (time.monotonic() - start) / 1 + 1
        assert 10 <= sent()[EVERY_SECOND] <= most, "one each second, and one at the start of the count"
        assert (leads(first), leads(second)) == (True, False)


def test_second_scheduler_takes_over_when_the_first_is_killed(tmp_path: Path):
    with scheduler(tmp_path / "a") as first, scheduler(tmp_path / "b") as second:
        wait_until(lambda: leads(first), 10, "the first to lead")
        first.kill()
        wait_until(lambda: leads(second), 15, "the second to lead")
        redis_client().delete(*QUEUES)
        wait_until(lambda: sent()[EVERY_SECOND] >= 2, 15, "the second to send")


def test_scheduler_that_ends_in_order_gives_its_lease_back(tmp_path: Path):
    with scheduler(tmp_path / "a") as first, scheduler(tmp_path / "b") as second:
        wait_until(lambda: leads(first), 10, "the first to lead")
        first.terminate()
        first.wait(30)
        assert pulse(first) is None
        wait_until(lambda: leads(second), 15, "the second to lead")


def test_scheduler_that_is_told_to_end_while_it_sends_has_sent_and_ends_in_order(tmp_path: Path):
    with started(tmp_path, "-c", TOLD_TO_END_WHILE_IT_SENDS) as process:
        assert process.wait(60) == 0
    assert sent().total() == 1
    assert redis_client().hlen(SENT_KEY) == 1
    assert redis_client().get(LEASE_KEY) is None


def test_scheduler_that_stood_still_and_lost_its_lease_stops_sending(tmp_path: Path):
    with scheduler(tmp_path / "a") as first, scheduler(tmp_path / "b") as second:
        wait_until(lambda: leads(first), 10, "the first to lead")
        first.send_signal(signal.SIGSTOP)
        wait_until(lambda: leads(second), 15, "the second to lead")
        first.send_signal(signal.SIGCONT)
        wait_until(
            lambda: (seen := pulse(first)) and seen.silent_seconds < 1 and not seen.leads, 15, "the first to see it"
        )
        told = pulse(first).last_sent_at
        redis_client().delete(*QUEUES)
        wait_until(lambda: sent()[EVERY_SECOND] >= 3, 15, "the second to go on")
        assert pulse(first).last_sent_at == told


def test_wiped_redis_leaves_the_one_that_leads_leading(tmp_path: Path):
    with scheduler(tmp_path / "a") as first, scheduler(tmp_path / "b") as second:
        # Both: one that is just starting takes a free lease at once.
        wait_until(lambda: leads(first) and pulse(second), 10, "the first to lead and the second to stand by")
        for _ in range(5):
            redis_client().delete(LEASE_KEY, SENT_KEY, pulses.SCHEDULERS_KEY, *QUEUES)
            wait_until(lambda: leads(first) and pulse(second), 15, "both to be back")
            # Wiped at each tick just before the second looks, the lease would be free for it all of the time.
            time.sleep(2 * TICK_SECONDS)
            assert (leads(first), leads(second)) == (True, False)


def test_one_that_takes_over_does_not_send_again_what_was_sent_today(tmp_path: Path):
    now = time.time()
    yesterday = time.strftime("%H:%M", time.gmtime(now - 600))  # ten minutes ago: it was due, and has been sent
    redis_client().hset(SENT_KEY, "risk.nightly", now - 300)
    with scheduler(tmp_path / "a", NAUTILUS_RISK_NIGHTLY_AT=yesterday) as process:
        wait_until(lambda: leads(process) and sent()[EVERY_SECOND] >= 3, 30, "it to send")
        assert sent()["risk.nightly"] == 0


def test_task_that_was_due_while_no_scheduler_ran_is_sent_late_once(tmp_path: Path):
    now = time.time()
    due = time.strftime("%H:%M", time.gmtime(now - 600))
    redis_client().hset(SENT_KEY, "risk.nightly", now - 86_400)
    with scheduler(tmp_path / "a", NAUTILUS_RISK_NIGHTLY_AT=due) as process:
        wait_until(lambda: leads(process) and sent()[EVERY_SECOND] >= 3, 30, "it to send")
        assert sent()["risk.nightly"] == 1


def test_nightly_task_that_could_not_be_sent_is_tried_again_and_not_told_as_sent(tmp_path: Path):
    now = time.time()
    due = time.strftime("%H:%M", time.gmtime(now - 600))
    redis_client().hset(SENT_KEY, "risk.nightly", now - 86_400)
    redis_client().set("maintenance_queue", "no list: whatever is sent there is refused")
    home = tmp_path / "a"
    with scheduler(home, NAUTILUS_RISK_NIGHTLY_AT=due) as process:
        refused = "Couldn't apply scheduled task risk.nightly"
        wait_until(lambda: (home / "log").read_text().count(refused) >= 2, 60, "it to be refused twice")
        assert float(redis_client().hget(SENT_KEY, "risk.nightly")) == now - 86_400
        assert redis_client().hget(SENT_KEY, EVERY_SECOND) is None, "an interval that was refused is not sent either"
        assert json.loads((home / "celerybeat-schedule.json").read_text())["risk.nightly"] < now - 80_000
        redis_client().delete("maintenance_queue")
        wait_until(lambda: sent()["risk.nightly"] and sent()[EVERY_SECOND] >= 3, 30, "it to be sent")
        assert sent()["risk.nightly"] == 1
        assert leads(process)


def test_file_says_what_was_sent_where_redis_was_wiped(tmp_path: Path):
    now = time.time()
    due = time.strftime("%H:%M", time.gmtime(now - 600))
    home = tmp_path / "a"
    home.mkdir()
    (home / "celerybeat-schedule.json").write_text(json.dumps({"risk.nightly": now - 86_400}))
    with scheduler(home, NAUTILUS_RISK_NIGHTLY_AT=due) as process:
        wait_until(lambda: sent()["risk.nightly"], 30, "what was due to be sent")
        process.terminate()
        process.wait(30)
    assert json.loads((home / "celerybeat-schedule.json").read_text())["risk.nightly"] >= now


def test_spoilt_file_stops_no_scheduler(tmp_path: Path):
    home = tmp_path / "a"
    home.mkdir()
    (home / "celerybeat-schedule.json").write_text("{")
    with scheduler(home) as process:
        wait_until(lambda: leads(process) and sent(), 30, "it to send")


def test_lease_is_held_by_one_of_many():
    many = [Leadership(f"scheduler-{number}") for number in range(5)]
    assert sum(one.hold(redis_client()) for one in many) == 1
    assert [one.hold(redis_client()) for one in many] == [True, False, False, False, False]


def test_lease_that_is_found_free_is_taken_by_who_stands_by_only_after_a_while():
    first, second = Leadership("first"), Leadership("second")
    assert first.hold(redis_client())
    assert not second.hold(redis_client())
    redis_client().delete(LEASE_KEY)
    assert not second.hold(redis_client())
    assert first.hold(redis_client()), "who led has it back"
    redis_client().delete(LEASE_KEY)
    wait_until(lambda: second.hold(redis_client()), FREE_SECONDS + 5, "the second to take it")


def test_takeover_is_within_fifteen_seconds():
    assert settings.SCHEDULER_LEASE_SECONDS + FREE_SECONDS + 2 * TICK_SECONDS < 15
