"""The replay: real closes of real days, forwards and backwards; and quotes from a file."""

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from threading import Event, Timer
from typing import Any

import numpy as np
import pytest

from apps.portfolios.errors import NoRowsError
from apps.portfolios.feeds.pace import due_rows
from apps.portfolios.feeds.recorded import RecordedFeed
from apps.portfolios.feeds.replay import ReplayFeed
from apps.portfolios.quotes import QuoteBatch
from apps.portfolios.tests.factories import make_prices
from nautilus.api.errors import DomainError

pytestmark = pytest.mark.django_db

# Every close is of one day alone, so that a tick says which day is played. BBB has no close on the second.
CLOSES: dict[str, list[float | None]] = {
    "AAA": [10.0, 11.0, 12.0, 13.0],
    "BBB": [50.0, None, 52.0, 53.0],
    "CCC": [90.1, 91.1, 92.1, 93.1],
}
DAY_OF = {close: day for values in CLOSES.values() for day, close in enumerate(values) if close is not None}
FAST = 0.002  # seconds a day


def ticks(feed: Any, count: int, stop: Event | None = None) -> list[tuple[str, float, int]]:
    """The feed's first `count` quotes, or fewer where it ends."""
    taken: list[tuple[str, float, int]] = []
    stop = stop or Event()
    for batch in feed.batches(stop):
        taken += rows(batch)
        if len(taken) >= count:
            stop.set()
    return taken[:count]


def rows(batch: QuoteBatch) -> Iterator[tuple[str, float, int]]:
    return zip(batch.symbols, np.asarray(batch.prices).tolist(), np.asarray(batch.timestamps_us).tolist(), strict=True)


def days(played: list[tuple[str, float, int]]) -> list[int]:
    """The days in the order of their ticks, each once as long as it lasts."""
    every = [DAY_OF[close] for _, close, _ in played]
    return [day for place, day in enumerate(every) if place == 0 or every[place - 1] != day]


def test_a_day_ticks_each_close_that_it_has_once() -> None:
    make_prices(CLOSES)
    played = ticks(ReplayFeed(seconds_per_day=FAST), 11)
    by_day: dict[int, dict[str, float]] = {}
    for symbol, close, _ in played:
        assert symbol not in by_day.setdefault(DAY_OF[close], {})
        by_day[DAY_OF[close]][symbol] = close
    assert by_day == {
        0: {"AAA": 10.0, "BBB": 50.0, "CCC": 90.1},
        1: {"AAA": 11.0, "CCC": 91.1},
        2: {"AAA": 12.0, "BBB": 52.0, "CCC": 92.1},
        3: {"AAA": 13.0, "BBB": 53.0, "CCC": 93.1},
    }


def test_it_turns_at_the_last_day_and_at_the_first() -> None:
    make_prices(CLOSES)
    # 11 ticks forth, 8 back to the first day, and forth again.
    assert days(ticks(ReplayFeed(seconds_per_day=FAST), 30)) == [0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2]


def test_only_the_last_days_asked_for_are_played() -> None:
    make_prices(CLOSES)
    feed = ReplayFeed(days=2, seconds_per_day=FAST)
    assert days(ticks(feed, 12)) == [2, 3, 2, 3]
    assert feed.source == "replay of 2022-01-05 to 2022-01-06"


def test_single_day_is_played_again_and_again() -> None:
    make_prices(CLOSES)
    assert set(days(ticks(ReplayFeed(days=1, seconds_per_day=FAST), 9))) == {3}


def test_same_seed_gives_the_same_order_and_another_seed_another() -> None:
    make_prices({f"S{number}": [float(number + 1)] * 3 for number in range(20)})

    def order(seed: int) -> list[str]:
        return [symbol for symbol, _, _ in ticks(ReplayFeed(seconds_per_day=FAST, seed=seed), 60)]

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert order(1)[:20] != order(1)[20:40]


def test_timestamps_are_of_now_and_rise_within_and_across_batches() -> None:
    make_prices(CLOSES)
    before = time.time_ns() // 1000
    stamps = [timestamp for _, _, timestamp in ticks(ReplayFeed(seconds_per_day=FAST), 40)]
    assert all(later > earlier for earlier, later in pairwise(stamps))
    assert before <= stamps[0] <= stamps[-1] <= time.time_ns() // 1000 + 40


def test_prices_imported_meanwhile_are_played_from_the_next_turn_on() -> None:
    make_prices({"AAA": [10.0, 11.0]})
    played = []
    for batch in ReplayFeed(seconds_per_day=FAST).batches(stop := Event()):
        played += [close for _, close, _ in rows(batch)]
        if len(played) == 1:
            make_prices({"AAA": [10.0, 12.0]}, source="a correction")
        if len(played) >= 4:
            stop.set()
    assert played[:4] == [10.0, 12.0, 10.0, 12.0]


def test_without_prices_it_waits_for_them_and_stops_when_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="apps.portfolios.feeds")
    stop = Event()
    Timer(0.2, stop.set).start()
    assert ticks(ReplayFeed(), 1, stop) == []
    assert [record.message for record in caplog.records] == ["The replay waits: no prices have been imported yet"]


def test_it_goes_on_with_the_day_that_it_was_in_when_it_is_asked_again() -> None:
    make_prices(CLOSES)
    feed = ReplayFeed(seconds_per_day=FAST)
    assert days(ticks(feed, 5))[-1] == 1
    assert days(ticks(feed, 3))[0] in (1, 2)


def test_rows_are_spread_over_their_time_and_those_overdue_come_at_once() -> None:
    begun = time.monotonic() - 0.5
    slices = list(due_rows(np.array([0.1, 0.2, 0.5, 0.6, 0.7]), Event(), begun))
    assert slices[0].start == 0
    assert slices[0].stop >= 3
    assert slices[-1].stop == 5
    assert time.monotonic() >= begun + 0.7


# --- Quotes from a file -------------------------------------------------------------------------------


def written(folder: Path, *lines: str) -> Path:
    path = folder / "quotes.csv"
    path.write_text("\n".join(["timestamp,symbol,price", *lines, ""]))
    return path


def test_file_is_played_once_in_the_order_of_its_times(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "2022-12-28T15:00:02Z,BBB,50.25",
        "2022-12-28T10:00:00-05:00,AAA,10.5",
        "2022-12-28T15:00:01Z,AAA,10.75",
    )
    feed = RecordedFeed(path, speed=100)
    begun = time.monotonic()
    played = ticks(feed, 10)
    assert [(symbol, price) for symbol, price, _ in played] == [("AAA", 10.5), ("AAA", 10.75), ("BBB", 50.25)]
    assert time.monotonic() - begun >= 0.02  # two seconds, a hundred times as fast
    assert feed.source == "quotes.csv"


def test_file_with_faults_is_refused_by_row_and_column(tmp_path: Path) -> None:
    path = written(tmp_path, "2022-12-28T15:00:00,AAA,10", "2022-12-28T15:00:00Z,A|A,-1")
    with pytest.raises(DomainError) as caught:
        RecordedFeed(path)
    faults = caught.value.as_dict()["errors"]
    assert {(fault["attr"], fault["code"]) for fault in faults} == {
        ("rows.2.timestamp", "invalid_time"),
        ("rows.3.symbol", "invalid_symbol"),
        ("rows.3.price", "not_positive"),
    }


def test_file_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoRowsError):
        RecordedFeed(written(tmp_path))
