"""Two engines as processes on real servers: one is killed, stopped, frozen; the other goes on with all portfolios."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from apps.analytics.streaming.leases import LEASE_PREFIX, SHARDS
from apps.analytics.tests.streamed import forget_streams, quote, us_of
from apps.portfolios.tests.factories import make_portfolio, make_trade
from apps.risk.tests.desks import make_desk
from nautilus.connections import redis_client
from nautilus.local.home import ROOT
from tests.running import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

BOOKS = [f"P{number:02d}" for number in range(40)]


@pytest.fixture(autouse=True)
def desk() -> Iterator[None]:
    forget_streams()
    make_desk()
    for each in BOOKS:
        make_trade(make_portfolio(each, initial_cash=10_000), "AAA", 10, 10)
    yield
    forget_streams()


@pytest.fixture
def feed() -> Iterator[None]:
    """A quote each 50 ms, as long as the test runs."""
    ended = threading.Event()

    def send() -> None:
        price = 10.0
        while not ended.wait(0.05):
            price += 0.01
            quote(AAA=price)

    thread = threading.Thread(target=send)
    thread.start()
    yield
    ended.set()
    thread.join()


@contextmanager
def an_engine() -> Iterator["subprocess.Popen[bytes]"]:
    database = settings.DATABASE_URL.rpartition("/")[0] + f"/{connection.settings_dict['NAME']}"
    environment = {
        **os.environ,
        "DATABASE_URL": database,
        "NAUTILUS_LIMIT_WINDOW_DAYS": "20",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
    }
    process = subprocess.Popen([sys.executable, "manage.py", "run_analytics_engine"], cwd=ROOT, env=environment)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        process.wait(20)


def holders() -> list[str]:
    """Which engine has each shard, empty where none has it."""
    leases = redis_client().mget([f"{LEASE_PREFIX}{shard}" for shard in range(SHARDS)])
    return [str(lease or "").rpartition(":")[0] for lease in leases]


def shared_by(count: int) -> Callable[[], bool]:
    def is_shared() -> bool:
        held = [holders().count(engine) for engine in set(holders())]
        return len(held) == count and min(held) == SHARDS // count and "" not in holders()

    return is_shared


def engine_of(process: "subprocess.Popen[bytes]") -> str:
    return next(holder for holder in set(holders()) if f"-{process.pid}-" in holder)


class Listener:
    """All updates from here on, by portfolio, with when they came."""

    def __enter__(self) -> "Listener":
        self.heard: list[tuple[float, dict[str, Any]]] = []
        self._ended = threading.Event()
        self._pubsub = redis_client().pubsub(ignore_subscribe_messages=True)
        self._pubsub.psubscribe("analytics:updates:*")
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        return self

    def _listen(self) -> None:
        while not self._ended.is_set():
            message = self._pubsub.get_message(timeout=0.1)
            if message:
                self.heard.append((time.monotonic(), json.loads(message["data"])["data"]))

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._pubsub.close()

    def since(self, begun: float) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for at, update in list(self.heard):
            if at >= begun:
                found.setdefault(update["portfolio_id"], []).append(update)
        return found

    def gaps(self, reason: str) -> dict[str, float]:
        """The seconds of the gap that each portfolio's first update after a takeover says, by portfolio."""
        return {
            update["portfolio_id"]: update["gap"]["seconds"]
            for _, update in list(self.heard)
            if update["gap"] and update["gap"]["reason"] == reason
        }

    def went_back(self) -> list[str]:
        newest: dict[str, int] = {}
        back = []
        for _, update in list(self.heard):
            if update["quoted_at"]:
                at = us_of(update["quoted_at"])
                back += [update["portfolio_id"]] if at < newest.get(update["portfolio_id"], 0) else []
                newest[update["portfolio_id"]] = at
        return back


def both_publish(listener: Listener) -> Callable[[], bool]:
    """Once every portfolio has been updated from now on: an engine that has published nothing yet leaves no gap."""
    begun = time.monotonic()
    return lambda: set(listener.since(begun)) >= set(BOOKS)


def test_engine_that_is_killed_is_taken_over_and_the_gap_is_said(feed, record_property):
    with an_engine() as first, an_engine():
        wait_until(shared_by(2), 60, "two engines to share the portfolios")
        dead = engine_of(first)
        with Listener() as listener:
            wait_until(both_publish(listener), 30, "both engines to publish")
            first.kill()
            reason = f"{dead} fell silent"
            wait_until(lambda: set(listener.gaps(reason)), 30, "the first update after the takeover")
            begun = time.monotonic()
            wait_until(lambda: set(listener.since(begun)) >= set(BOOKS), 30, "every portfolio to be updated again")
            gaps = listener.gaps(reason)
            record_property("longest_gap_seconds", max(gaps.values()))
            print(f"Taken over after {max(gaps.values()):.2f} s at the longest")  # noqa: T201
            assert set(holders()) != {dead}
            assert max(gaps.values()) < 30
            assert listener.went_back() == []


def test_engine_that_stops_lets_go_at_once(feed):
    with an_engine() as first, an_engine():
        wait_until(shared_by(2), 60, "two engines to share the portfolios")
        stopping = engine_of(first)
        with Listener() as listener:
            wait_until(both_publish(listener), 30, "both engines to publish")
            first.terminate()
            assert first.wait(20) == 0
            wait_until(lambda: listener.gaps(f"{stopping} stopped"), 30, "the other engine to say so")
            wait_until(shared_by(1), 30, "the other engine to have everything")


def test_engine_that_was_frozen_publishes_nothing_that_is_older(feed):
    with an_engine() as first, an_engine():
        wait_until(shared_by(2), 60, "two engines to share the portfolios")
        frozen = engine_of(first)
        with Listener() as listener:
            wait_until(both_publish(listener), 30, "both engines to publish")
            first.send_signal(signal.SIGSTOP)
            wait_until(lambda: frozen not in holders() and "" not in holders(), 30, "the takeover")
            wait_until(lambda: listener.gaps(f"{frozen} fell silent"), 30, "the gap to be said")
            first.send_signal(signal.SIGCONT)
            wait_until(shared_by(2), 60, "the two to share again")
            begun = time.monotonic()
            wait_until(lambda: set(listener.since(begun)) >= set(BOOKS), 30, "every portfolio to be updated")
            assert listener.went_back() == []
