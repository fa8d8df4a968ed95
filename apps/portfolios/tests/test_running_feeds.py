"""A feed that runs: alone under its lease, through outages of Redis, until it is told to stop."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from redis import Redis

from apps.portfolios.feeds import FeedRun, run_feed
from apps.portfolios.feeds import lease as lease_module
from apps.portfolios.quotes import QUOTES_KEY, RING_KEY, STATE_KEY, QuoteBatch, feed_counters, latest_quotes
from apps.portfolios.tests.factories import make_prices
from apps.realtime.tests.conftest import OwnValkey
from nautilus.connections import redis_client
from nautilus.stopping import on_stop_signals

LEASE_KEY = "market:feed:scripted"
NOON_US = 1_672_228_800_000_000  # 2022-12-28T12:00:00Z


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    keys = (QUOTES_KEY, STATE_KEY, RING_KEY, LEASE_KEY, "market:feed:replay")
    redis_client().delete(*keys)
    yield
    redis_client().delete(*keys)


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[OwnValkey]:
    server = OwnValkey(tmp_path)
    yield server
    server.client.close()
    server.stop()


class ScriptedFeed:
    """Sends AAA at 1, 2, 3, … until it is told to stop, or as many as it has; `before` is asked before each."""

    name = "scripted"

    def __init__(self, quotes: int | None = None, source: str = "a script") -> None:
        self.source = source
        self._left = quotes
        self.sent = 0

    def batches(self, stop: threading.Event) -> Iterator[QuoteBatch]:
        while not stop.wait(0.005) and self._left != 0:
            self._left = None if self._left is None else self._left - 1
            self.sent += 1
            yield QuoteBatch(["AAA"], [float(self.sent)], [NOON_US + self.sent])


class Running:
    """A feed in a thread of its own."""

    def __init__(self, feed: Any, client: Redis | None = None) -> None:
        self.feed = feed
        self.stop = threading.Event()
        self.run: FeedRun | None = None
        self._thread = threading.Thread(target=self._run, args=(client,))
        self._thread.start()

    def _run(self, client: Redis | None) -> None:
        self.run = run_feed(self.feed, self.stop, client)

    def ended(self) -> FeedRun:
        self.stop.set()
        self._thread.join(timeout=20)
        assert self.run is not None
        return self.run


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def source() -> str | None:
    return feed_counters().source


def test_feed_that_ends_has_all_of_its_quotes_in_and_gives_its_lease_back() -> None:
    assert run_feed(ScriptedFeed(quotes=20), threading.Event()) == FeedRun(accepted=20)
    assert latest_quotes().prices.tolist() == [20.0]
    assert (source(), redis_client().get(LEASE_KEY)) == ("a script", None)


def test_quotes_that_are_none_are_refused_and_the_feed_goes_on() -> None:
    class Careless(ScriptedFeed):
        def batches(self, stop: threading.Event) -> Iterator[QuoteBatch]:
            yield QuoteBatch(["AAA"], [float("nan")], [NOON_US])
            yield from super().batches(stop)

    assert run_feed(Careless(quotes=3), threading.Event()) == FeedRun(accepted=3, refused=1)


def test_of_two_feeds_of_a_name_one_plays_and_the_other_follows_when_it_stops() -> None:
    first = Running(ScriptedFeed(source="first"))
    wait_for(lambda: source() == "first")
    second = Running(ScriptedFeed(source="second"))
    played = first.feed.sent
    wait_for(lambda: first.feed.sent > played + 20)
    assert (second.feed.sent, source()) == (0, "first")
    first.ended()
    wait_for(lambda: second.feed.sent > 0)
    second.ended()


def test_feed_takes_over_when_the_lease_of_a_dead_process_has_run_out() -> None:
    redis_client().set(LEASE_KEY, "of a process that was killed", px=300)
    assert run_feed(ScriptedFeed(quotes=1), threading.Event()) == FeedRun(accepted=1)


def test_feed_whose_lease_another_has_sends_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module.FeedLease.__init__, "__defaults__", (0.3,))
    running = Running(ScriptedFeed())
    wait_for(lambda: running.feed.sent > 0)
    redis_client().set(LEASE_KEY, "another's", px=60_000)
    wait_for(lambda: not _is_playing(running.feed))
    assert redis_client().get(LEASE_KEY) == "another's"
    redis_client().delete(LEASE_KEY)
    wait_for(lambda: _is_playing(running.feed))
    running.ended()


def _is_playing(feed: ScriptedFeed) -> bool:
    sent = feed.sent
    time.sleep(0.2)
    return feed.sent > sent


def test_lease_that_was_wiped_is_taken_again_and_the_feed_plays_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module.FeedLease.__init__, "__defaults__", (0.3,))
    running = Running(ScriptedFeed())
    wait_for(lambda: running.feed.sent > 0)
    redis_client().delete(LEASE_KEY, QUOTES_KEY, STATE_KEY, RING_KEY)
    wait_for(lambda: redis_client().get(LEASE_KEY) is not None)
    assert _is_playing(running.feed)
    wait_for(lambda: latest_quotes().symbols == ("AAA",))
    running.ended()


def test_outage_of_redis_leaves_no_backlog_and_the_newest_quote_comes_in_after_it(
    valkey: OwnValkey, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="apps.portfolios.feeds")
    client = Redis.from_url(valkey.url, decode_responses=True, socket_timeout=2)
    running = Running(ScriptedFeed(), client)
    wait_for(lambda: running.feed.sent > 10)
    valkey.stop()
    before = running.feed.sent
    wait_for(lambda: running.feed.sent > before + 50)
    valkey.start()
    during = running.feed.sent
    wait_for(lambda: bool(latest_quotes(client).prices.max(initial=0) > during))
    run = running.ended()
    assert run.replaced >= 40
    assert run.accepted <= running.feed.sent - run.replaced
    said = [record.message.split(":")[0] for record in caplog.records]
    assert said.count("Quotes are kept back, the newest of each symbol") == 1
    assert sum(message.startswith("Redis answers again after") for message in said) == 1


class PromptedFeed(ScriptedFeed):
    """Sends each of its batches when it is prompted, and ends after the last."""

    def __init__(self, *quotes: tuple[str, float]) -> None:
        super().__init__()
        self._quotes = quotes
        self._prompts = threading.Semaphore(0)

    def prompt(self) -> None:
        sent = self.sent
        self._prompts.release()
        wait_for(lambda: self.sent > sent)

    def batches(self, stop: threading.Event) -> Iterator[QuoteBatch]:
        for place, (symbol, price) in enumerate(self._quotes):
            while not self._prompts.acquire(timeout=0.05):
                if stop.is_set():
                    return
            yield QuoteBatch([symbol], [price], [NOON_US + place])
            self.sent += 1  # taken, or kept back


def test_feed_that_ends_during_an_outage_has_its_newest_quotes_in_after_it(valkey: OwnValkey) -> None:
    client = Redis.from_url(valkey.url, decode_responses=True, socket_timeout=2)
    running = Running(feed := PromptedFeed(("AAA", 1.0), ("AAA", 2.0), ("BBB", float("nan")), ("CCC", 3.0)), client)
    feed.prompt()
    valkey.stop()
    for _ in range(3):
        feed.prompt()
    valkey.start()
    wait_for(lambda: running.run is not None)
    assert running.ended() == FeedRun(accepted=3, refused=1)
    quotes = latest_quotes(client)
    assert dict(zip(quotes.symbols, quotes.prices.tolist(), strict=True)) == {"AAA": 2.0, "CCC": 3.0}


# --- The command --------------------------------------------------------------------------------------


@pytest.fixture
def _own_signals() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.django_db
@pytest.mark.usefixtures("_own_signals")
def test_command_plays_the_closes_until_sigterm() -> None:
    make_prices()

    def stop_once_it_plays() -> None:
        wait_for(lambda: feed_counters().symbols == 2)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop_once_it_plays).start()
    said = StringIO()
    call_command("feed_quotes", "replay", "--seconds-per-day", "0.05", stdout=said)
    assert source() == "replay of 2022-01-03 to 2022-01-07"
    assert said.getvalue().endswith("0 older, 0 refused.\n")


@pytest.mark.usefixtures("_own_signals")
def test_signal_does_not_wait_for_a_lock_that_the_interrupted_thread_may_hold() -> None:
    class Watched(threading.Event):
        set_by: threading.Thread | None = None

        def set(self) -> None:
            self.set_by = threading.current_thread()
            super().set()

    on_stop_signals((stop := Watched()).set)
    signal.raise_signal(signal.SIGTERM)
    assert stop.wait(10)
    assert stop.set_by is not threading.main_thread()


@pytest.mark.usefixtures("_own_signals")
def test_command_plays_a_file_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "ticks.csv"
    path.write_text("timestamp,symbol,price\n2022-12-28T15:00:00Z,AAA,10.5\n2022-12-28T15:00:01Z,AAA,10.75\n")
    said = StringIO()
    call_command("feed_quotes", "file", str(path), "--speed", "50", stdout=said)
    assert said.getvalue() == "2 quotes accepted, 0 older, 0 refused.\n"
    assert latest_quotes().prices.tolist() == [10.75]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["replay", "--days", "0"], "--days of 1 or more"),
        (["replay", "--seconds-per-day", "0"], "--seconds-per-day above zero"),
        (["replay", "--seconds-per-day", "nan"], "--seconds-per-day above zero"),
        (["replay", "--seed", "-1"], "--seed of 0 or more"),
        (["file", "no-such-file.csv"], "No such file"),
        (["file", __file__, "--speed", "0"], "--speed above zero"),
        (["carrier-pigeon"], "invalid choice: 'carrier-pigeon'"),
    ],
)
@pytest.mark.usefixtures("_own_signals")
def test_command_refuses_what_it_cannot_play(arguments: list[str], expected: str) -> None:
    with pytest.raises(CommandError, match=expected):
        call_command("feed_quotes", *arguments)
