"""The outbox where its thread cannot start or dies, time limits strike, and ends of attempts are not known."""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from redis.exceptions import RedisError

from apps.realtime.outgoing import GIVEN_UP_AFTER_SECONDS, Attempt, Outgoing, Ready
from apps.realtime.tests.conftest import OwnValkey
from apps.realtime.tests.test_outgoing import all_gone, frozen, kept, stopped, store, until
from apps.realtime.topics import OUTGOING, head_key, publish, publish_all

__all__ = ["store"]  # a fixture of theirs


@contextmanager
def no_new_threads() -> Iterator[None]:
    """A stack for which no machine has the addresses."""
    earlier = threading.stack_size(1 << 47)
    try:
        yield
    finally:
        threading.stack_size(earlier)


# --- The thread -------------------------------------------------------------------------------------------
def test_thread_that_could_not_start_is_started_by_the_next_publish(
    store: OwnValkey, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    with stopped(store), no_new_threads():
        assert publish(topic, {"n": 1}) is None
    assert "no thread sends them" in caplog.text
    assert publish(topic, {"n": 2}) is None
    all_gone()
    assert kept(store, topic) == [(1, 1), (2, 2)]


def test_thread_outlives_an_address_that_is_none(
    store: OwnValkey, topic: str, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with stopped(store):
        publish(topic, {"n": 1})
        settings.REDIS_URL = "nonsense"
        until(lambda: "could not be asked" in caplog.text)
        settings.REDIS_URL = store.url
    all_gone()
    assert kept(store, topic) == [(1, 1)]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_thread_that_died_is_followed_by_another() -> None:
    sent: list[str] = []

    def send(attempt: Attempt) -> list[int]:
        faults: Any = (RedisError, SystemExit)
        if not sent:
            raise faults[threading.current_thread() is not threading.main_thread()]
        return [1]

    box = Outgoing(send)
    box.publish([Ready("t", "first")])
    until(lambda: not any(thread.name == "outgoing-messages" for thread in threading.enumerate()))
    sent.append("from here on all is well")
    assert box.publish([Ready("t", "second")]) == [None]
    until(lambda: not box.waiting)


# --- Time limits ------------------------------------------------------------------------------------------
class Strikes(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        raise SoftTimeLimitExceeded


def test_time_limit_that_strikes_while_the_outage_is_logged_leaves_nothing_behind(store: OwnValkey, topic: str) -> None:
    logger, strikes = logging.getLogger("apps.realtime.outgoing"), Strikes()
    with stopped(store):
        logger.addFilter(strikes)
        with pytest.raises(SoftTimeLimitExceeded):
            publish(topic, {"n": 1})
        logger.removeFilter(strikes)
    all_gone()
    assert kept(store, topic) == [(1, 1)]


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """As Celery's soft one."""

    def strike(*_: Any) -> None:
        raise SoftTimeLimitExceeded

    earlier = signal.signal(signal.SIGUSR1, strike)
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        yield
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, earlier)


def test_time_limit_in_the_middle_of_many_messages_loses_none_of_them(
    store: OwnValkey, topic: str, settings: Any
) -> None:
    settings.REDIS_TIMEOUT_SECONDS = 60
    publish(topic, {"n": 0})
    with frozen(store), pytest.raises(SoftTimeLimitExceeded), time_limit(1):
        publish_all([(topic, {"n": n}) for n in range(1, 201)])
    all_gone()
    assert kept(store, topic) == [(n + 1, n) for n in range(201)]


# --- Unknown ends -----------------------------------------------------------------------------------------
@contextmanager
def mute(store: OwnValkey) -> Iterator[None]:
    """In the place of the server one that takes everything and answers nothing."""
    with stopped(store), socket.create_server(("127.0.0.1", store.port)):
        yield


def test_gap_of_a_message_that_is_given_up_comes_before_what_was_published_later(store: OwnValkey, topic: str) -> None:
    with ThreadPoolExecutor(2) as pool, mute(store):
        list(pool.map(lambda n: publish(topic, {"n": n}), (1, 2)))
        with OUTGOING._changed:
            first = OUTGOING._unsettled[0]
            first.risked_at = time.monotonic() - GIVEN_UP_AFTER_SECONDS - 1
    all_gone()
    assert store.client.hget(head_key(topic), "seq") == "2"
    assert [seq for seq, _ in kept(store, topic)] == [2]
