"""The scheduler gone, killed, and two of them."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis

from tests.faults.beside import beside, redis_of, schedulers_of
from tests.faults.desk import Desk
from tests.running import wait_until
from tests.test_faults import all_end, submit_many

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(300)]

EVERY_SECOND = "alerts.send_due"
COUNTED_SECONDS = 10


def leader(desk: Desk) -> int | None:
    """The process id of the scheduler that leads; None while it is not exactly one."""
    leading = [pid for pid, pulse in schedulers_of(desk).items() if pulse.leads]
    return leading[0] if len(leading) == 1 else None


@contextmanager
def counted_sendings(desk: Desk) -> Iterator[Counter[str]]:
    """What is put on the queues meanwhile, by the name of the task, as Redis itself sees it."""
    names: Counter[str] = Counter()
    client = redis_of(desk)
    with client.monitor() as monitor:

        def listen() -> None:
            try:
                for seen in monitor.listen():
                    if seen["command"].startswith("LPUSH") and EVERY_SECOND in seen["command"]:
                        names[EVERY_SECOND] += 1
            except (redis.RedisError, OSError, ValueError):
                return  # closed with the block

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        yield names
    listener.join(10)


def test_scheduler_that_is_gone_is_told_and_everything_goes_on_once_it_is_back(desk: Desk, fault_line: Callable):
    line = fault_line("workers: the scheduler gone")
    wait_until(lambda: leader(desk), 30, "a scheduler")
    desk.platform.stop("scheduler")
    line.injected()
    said = desk.wait_for_symptom("scheduler", "scheduler-gone", 30)
    assert said["remedy"] == "scripts/restart-service.sh scheduler"
    line.seen(said["symptom"])
    with desk.platform.client() as client:
        meanwhile = submit_many(client, 5, 400)
    desk.platform.start("scheduler")
    desk.wait_until_healthy("scheduler", 60)
    ended = all_end(desk.platform, meanwhile, 60)
    line.mended(lost=5 - ended["succeeded"])
    assert ended == {"succeeded": 5}


def test_scheduler_that_was_killed_is_back_and_leads_within_fifteen_seconds(desk: Desk, fault_line: Callable):
    line = fault_line("workers: the scheduler killed with -9")
    before = wait_until(lambda: leader(desk), 30, "a scheduler")
    desk.platform.kill("scheduler")
    line.injected()
    wait_until(lambda: not schedulers_of(desk).get(before), 20, "its silence")
    line.seen("(started again by itself)")
    after = wait_until(lambda: (now := leader(desk)) != before and now, 30, "its successor to lead")
    wait_until(lambda: schedulers_of(desk)[after].last_sent_at, 15, "its successor to send")
    line.mended(lost=0)
    assert after == desk.platform.pid("scheduler")


def test_of_two_schedulers_one_stands_by_and_takes_over_and_nothing_is_sent_twice(desk: Desk, fault_line: Callable):
    line = fault_line("workers: two schedulers")
    first = wait_until(lambda: leader(desk), 30, "a scheduler")
    line.injected()
    with beside(desk, "scheduler-2", "-q", "-A", "nautilus", "beat", "--loglevel", "INFO", "--pidfile", "") as second:
        wait_until(lambda: second.pid in schedulers_of(desk), 60, "the second scheduler's pulse")
        with counted_sendings(desk) as sent:
            start = time.monotonic()
            wait_until(lambda: sent[EVERY_SECOND] >= COUNTED_SECONDS, 60, "sendings")
            seconds = time.monotonic() - start
        assert sent[EVERY_SECOND] <= seconds + 1, "one a second, and one at the start"
        assert leader(desk) == first
        assert "1 stand by" in desk.component("scheduler")["detail"]
        line.seen(desk.component("scheduler")["detail"])
        os.kill(first, signal.SIGSTOP)  # as one whose machine stands still: its successor waits for the lease
        line.cured()
        wait_until(lambda: leader(desk) == second.pid, 30, "the second to lead")
        line.mended(lost=0)
        os.kill(first, signal.SIGCONT)
        wait_until(lambda: len(schedulers_of(desk)) == 2, 30, "both to be there")
        assert leader(desk) == second.pid, "who comes back stands by"
    wait_until(lambda: leader(desk) == first, 30, "the platform's own to lead again")
    desk.wait_until_healthy("scheduler", 30)
