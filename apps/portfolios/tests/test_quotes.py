"""The newest quote of each symbol: in whatever order they come, and however many send at once."""

import threading
import time
from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from redis import Redis

from apps.portfolios.quotes import (
    QUOTES_KEY,
    RING_KEY,
    STATE_KEY,
    Accepted,
    BadQuotesError,
    accept_quotes,
    feed_counters,
    latest_quotes,
)
from nautilus.connections import redis_client

NOON_US = 1_672_228_800_000_000  # 2022-12-28T12:00:00Z

Sent = tuple[str, float, int]


def clear() -> None:
    redis_client().delete(QUOTES_KEY, STATE_KEY, RING_KEY)


@pytest.fixture(autouse=True)
def _no_quotes() -> Iterator[None]:
    clear()
    yield
    clear()


def send(*quotes: Sent, client: Redis | None = None) -> Accepted:
    return accept_quotes([q[0] for q in quotes], [q[1] for q in quotes], [q[2] for q in quotes], "test", client)


def newest() -> dict[str, tuple[float, int]]:
    quotes = latest_quotes()
    rows = zip(quotes.symbols, quotes.prices.tolist(), quotes.timestamps_us.tolist(), strict=True)
    return {symbol: (price, timestamp) for symbol, price, timestamp in rows}


def plainly(calls: list[list[Sent]]) -> tuple[dict[str, tuple[float, int]], list[Accepted]]:
    """The plain twin: one quote after the other, strictly newer ones stay."""
    kept: dict[str, tuple[float, int]] = {}
    answers = []
    for call in calls:
        accepted = 0
        for symbol, price, timestamp in call:
            if symbol not in kept or timestamp > kept[symbol][1]:
                kept[symbol], accepted = (price, timestamp), accepted + 1
        answers.append(Accepted(accepted, len(call) - accepted))
    return kept, answers


def test_without_quotes_there_are_no_symbols() -> None:
    assert latest_quotes().symbols == ()
    assert latest_quotes().prices.dtype == np.float64
    counters = feed_counters()
    assert counters.version == 0
    assert (counters.symbols, counters.source, counters.received_us, counters.updates_per_second) == (0, None, None, 0)


def test_newer_quote_takes_the_place_of_an_older_one() -> None:
    send(("AAA", 10.0, NOON_US), ("BBB", 50.0, NOON_US))
    assert send(("AAA", 10.5, NOON_US + 1)) == Accepted(accepted=1, older=0)
    assert newest() == {"AAA": (10.5, NOON_US + 1), "BBB": (50.0, NOON_US)}


def test_older_quote_is_dropped_and_counted() -> None:
    send(("AAA", 10.5, NOON_US))
    assert send(("AAA", 10.0, NOON_US - 1), ("BBB", 50.0, NOON_US - 1)) == Accepted(accepted=1, older=1)
    assert newest()["AAA"] == (10.5, NOON_US)


def test_call_that_is_repeated_changes_nothing() -> None:
    send(("AAA", 10.0, NOON_US))
    version, before = feed_counters().version, latest_quotes()
    assert send(("AAA", 10.0, NOON_US)) == Accepted(accepted=0, older=1)
    assert feed_counters().version == version
    assert latest_quotes().received_us == before.received_us


def test_of_two_prices_with_one_timestamp_the_first_stays() -> None:
    send(("AAA", 10.0, NOON_US), ("AAA", 11.0, NOON_US))
    send(("AAA", 12.0, NOON_US))
    assert newest() == {"AAA": (10.0, NOON_US)}


quote = st.tuples(
    st.sampled_from(["A", "B.X", "C-D", "^E="]),
    st.floats(min_value=0, exclude_min=True, max_value=1e15),
    st.integers(NOON_US, NOON_US + 5),
)


@hypothesis_settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(quote, max_size=8), max_size=6))
def test_any_order_of_any_calls_leaves_what_the_plain_twin_leaves(calls: list[list[Sent]]) -> None:
    clear()
    kept, answers = plainly(calls)
    assert [send(*call) for call in calls] == answers
    assert newest() == kept


def test_writers_at_once_leave_the_newest_and_a_reader_never_sees_a_price_go_back() -> None:
    # 8 writers send the same 400 quotes of each of 5 symbols, each in an order of its own.
    quotes = [(f"S{number}", float(step + 1), NOON_US + step) for number in range(5) for step in range(400)]
    is_done, seen = threading.Event(), []

    def write(seed: int) -> None:
        own = Random(seed).sample(quotes, len(quotes))
        for start in range(0, len(own), 25):
            send(*own[start : start + 25])

    def read() -> None:
        while not is_done.is_set():
            seen.append(newest())

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(8)]
    reader = threading.Thread(target=read)
    for thread in (reader, *writers):
        thread.start()
    for writer in writers:
        writer.join()
    is_done.set()
    reader.join()
    assert newest() == {f"S{number}": (400.0, NOON_US + 399) for number in range(5)}
    for symbol in ("S0", "S4"):
        times = [state[symbol][1] for state in seen if symbol in state]
        assert times == sorted(times)


@hypothesis_settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(min_value=5e-324, max_value=1e15), min_size=1, max_size=50))
def test_prices_come_back_as_the_same_float(prices: list[float]) -> None:
    clear()
    accept_quotes([f"S{number}" for number in range(len(prices))], prices, [NOON_US] * len(prices), "test")
    kept = newest()
    assert [kept[f"S{number}"][0] for number in range(len(prices))] == prices


def test_ten_thousand_symbols_go_in_by_chunks_and_come_back_whole() -> None:
    symbols = [f"S{number:05}" for number in range(10_000)]
    prices = np.random.default_rng(1).uniform(1, 500, 10_000)
    times = np.arange(NOON_US, NOON_US + 10_000)
    assert accept_quotes(symbols, prices, times, "test") == Accepted(10_000, 0)
    quotes = latest_quotes()
    order = np.argsort(quotes.symbols)
    assert [quotes.symbols[place] for place in order] == symbols
    np.testing.assert_array_equal(quotes.prices[order], prices)
    np.testing.assert_array_equal(quotes.timestamps_us[order], times)


@pytest.mark.parametrize(
    ("price", "timestamp_us", "said"),
    [
        (float("nan"), NOON_US, "nan; expected a price above zero"),
        (float("inf"), NOON_US, "inf; expected a price above zero"),
        (0.0, NOON_US, "0.0; expected a price above zero"),
        (-1.0, NOON_US, "-1.0; expected a price above zero"),
        (1.1e15, NOON_US, "at most 1e15"),
        (10.0, 0, "expected microseconds since 1970"),
        (10.0, 32_503_680_000_000_000, "a minute from now"),  # the year 3000
    ],
)
def test_what_is_no_quote_is_refused_with_its_value_and_nothing_is_kept(
    price: float, timestamp_us: int, said: str
) -> None:
    with pytest.raises(BadQuotesError, match=f"Quote 1, of BBB: .*{said}"):
        send(("AAA", 10.0, NOON_US), ("BBB", price, timestamp_us))
    assert newest() == {}


@pytest.mark.parametrize("symbol", ["", "A|B", "A\nB", "A|1|2"])
def test_symbol_that_would_shift_the_fields_is_refused_and_no_other_gets_its_price(symbol: str) -> None:
    with pytest.raises(BadQuotesError, match=r"Quote 1: .* is not a symbol; expected 1 to 32 letters"):
        send(("AAA", 10.0, NOON_US), (symbol, 20.0, NOON_US))
    assert newest() == {}


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(BadQuotesError, match="2 symbols, 1 prices and 1 timestamps"):
        accept_quotes(["AAA", "BBB"], [10.0], [NOON_US], "test")


def test_version_grows_with_what_changes_also_across_a_wipe() -> None:
    send(("AAA", 10.0, NOON_US))
    first = feed_counters().version
    send(("AAA", 11.0, NOON_US + 1))
    second = feed_counters().version
    clear()
    send(("AAA", 10.0, NOON_US))
    assert first < second < feed_counters().version


def test_counters_say_source_symbols_and_quotes_a_second() -> None:
    accept_quotes([f"S{number}" for number in range(100)], np.ones(100), np.full(100, NOON_US), "a source")
    counters = feed_counters()
    assert (counters.source, counters.symbols) == ("a source", 100)
    assert counters.newest_us == NOON_US
    assert counters.received_us is not None
    assert 0 <= counters.now_us - counters.received_us < 60_000_000
    assert 20 <= counters.updates_per_second <= 25  # 100 in the second that runs and the four before it


def test_quote_from_ahead_of_our_clock_is_of_when_it_came() -> None:
    ahead_us = time.time_ns() // 1000 + 30_000_000
    send(("AAA", 10.0, ahead_us))
    quotes, counters = latest_quotes(), feed_counters()
    assert quotes.timestamps_us.tolist() == [ahead_us]
    assert quotes.seen_us().tolist() == quotes.received_us.tolist() == [counters.newest_us]


def test_few_symbols_are_a_table_in_redis_too_and_not_a_list_that_is_searched() -> None:
    send(("AAA", 10.0, NOON_US))
    client: Any = redis_client()
    assert client.object("encoding", QUOTES_KEY) == "hashtable"
    assert client.hkeys(QUOTES_KEY) == ["AAA"]
