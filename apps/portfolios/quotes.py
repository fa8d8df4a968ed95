"""Live prices: the newest quote of each symbol, in one Redis hash.

The hash is the buffer between who sends and who computes: a quote replaces the one before, so that nothing can queue
up, an outage leaves no backlog, and whoever starts has every symbol at once. Quotes are not kept in PostgreSQL; after
a wipe of Redis the next ones fill the hash again.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from redis import Redis
from redis.commands.core import Script

from apps.portfolios.names import SYMBOL_EXPECTED
from nautilus.connections import redis_client

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

QUOTES_KEY = "market:quotes"  # hash: symbol -> "timestamp_us|price|received_us"
STATE_KEY = "market:quotes:state"  # hash: version, source, received_us, newest_us
RING_KEY = "market:quotes:seconds"  # hash: second % slots -> "second|accepted"

MAX_PRICE = 1e15
# A quote from the future would stand in the way of every one until then.
MAX_AHEAD_SECONDS = 60

# About 5 ms of Redis, which does nothing else meanwhile.
CHUNK = 1_000
RATE_SECONDS = 5
RING_SLOTS = 16
RING_KEPT_SECONDS = 60
US = 1_000_000


class BadQuotesError(ValueError):
    """Quotes that no source should send; the message names the first one."""


@dataclass(frozen=True, slots=True)
class QuoteBatch:
    """Quotes as they come in: the same three fields, a row a quote; a symbol may come more than once."""

    symbols: Sequence[str]
    prices: Sequence[float] | FloatArray
    timestamps_us: Sequence[int] | IntArray


@dataclass(frozen=True, slots=True)
class Quotes:
    """The newest quote of each symbol at one moment, the symbols in no particular order.

    `prices` (symbols,) in each instrument's currency; `timestamps_us` (symbols,) when the source says that it was;
    `received_us` (symbols,) when the platform took it, by the clock of Redis. Microseconds since 1970 UTC.
    """

    symbols: tuple[str, ...]
    prices: FloatArray
    timestamps_us: IntArray
    received_us: IntArray

    def seen_us(self) -> IntArray:
        """The moment that each price is known to be of, (symbols,): the earlier of its two times."""
        return np.minimum(self.timestamps_us, self.received_us)


@dataclass(frozen=True, slots=True)
class Accepted:
    """`accepted` were newer than what was there; `older` were not, and are dropped."""

    accepted: int
    older: int


@dataclass(frozen=True, slots=True)
class FeedCounters:
    """What is known of the quotes without reading them.

    `version` grows with every call that changed a quote, across wipes too, and is 0 where there is none.
    `newest_us` is the moment that the newest quote is of: a source's timestamp, at most that of its arrival.
    """

    version: int
    symbols: int
    source: str | None
    received_us: int | None
    newest_us: int | None
    updates_per_second: float
    now_us: int


def accept_quotes(
    symbols: Sequence[str],
    prices: Sequence[float] | FloatArray,
    timestamps_us: Sequence[int] | IntArray,
    source: str,
    client: Redis | None = None,
) -> Accepted:
    """Keeps those that are newer than their symbol's newest, however many processes send at once.

    Of two with the same timestamp the first stays: a call that is repeated, or comes late, then changes nothing.
    Raises BadQuotesError, with nothing kept, for what is no symbol, price or time; RedisError where Redis is away, with
    the first chunks perhaps kept.
    """
    price_array, time_array = checked_quotes(symbols, prices, timestamps_us)
    script = _script(client or redis_client(), "accept_quotes")
    counts = [
        script(keys=[QUOTES_KEY, STATE_KEY, RING_KEY], args=[lines, source, RING_SLOTS, RING_KEPT_SECONDS])
        for lines in _chunks(symbols, price_array, time_array)
    ]
    return Accepted(sum(count[0] for count in counts), sum(count[1] for count in counts))


def latest_quotes(client: Redis | None = None) -> Quotes:
    text = _script(client or redis_client(), "latest_quotes")(keys=[QUOTES_KEY])
    parts = text.split("|") if text else []
    return Quotes(
        symbols=tuple(parts[0::4]),
        prices=np.array(list(map(float, parts[2::4])), np.float64),
        timestamps_us=np.array(list(map(int, parts[1::4])), np.int64),
        received_us=np.array(list(map(int, parts[3::4])), np.int64),
    )


def feed_counters(client: Redis | None = None) -> FeedCounters:
    pipeline = (client or redis_client()).pipeline(transaction=True)
    pipeline.time()
    pipeline.hlen(QUOTES_KEY)
    pipeline.hgetall(STATE_KEY)
    pipeline.hvals(RING_KEY)
    (second, microsecond), symbols, state, ring = pipeline.execute()
    now_us = second * US + microsecond
    return FeedCounters(
        version=int(state.get("version", 0)),
        symbols=symbols,
        source=state.get("source"),
        received_us=_whole(state, "received_us"),
        newest_us=_whole(state, "newest_us"),
        updates_per_second=_rate(ring, now_us),
        now_us=now_us,
    )


def _whole(state: Mapping[str, str], name: str) -> int | None:
    return int(state[name]) if name in state else None


def _rate(ring: Sequence[str], now_us: int) -> float:
    """Quotes accepted a second, over the second that runs and the four before it."""
    first_second = now_us // US - (RATE_SECONDS - 1)
    counts = [int(count) for second, count in (slot.split("|") for slot in ring) if int(second) >= first_second]
    return sum(counts) * US / (now_us - first_second * US)


def checked_quotes(
    symbols: Sequence[str], prices: Sequence[float] | FloatArray, timestamps_us: Sequence[int] | IntArray
) -> tuple[FloatArray, IntArray]:
    """Prices and timestamps as arrays, (quotes,) each. Raises BadQuotesError."""
    price_array, time_array = np.asarray(prices, np.float64), np.asarray(timestamps_us, np.int64)
    _check(symbols, price_array, time_array)
    return price_array, time_array


def _check(symbols: Sequence[str], prices: FloatArray, timestamps_us: IntArray) -> None:
    if not len(symbols) == len(prices) == len(timestamps_us):
        raise BadQuotesError(f"{len(symbols)} symbols, {len(prices)} prices and {len(timestamps_us)} timestamps.")
    _check_symbols(symbols)
    _refuse(symbols, prices, ~((prices > 0) & (prices <= MAX_PRICE)), "expected a price above zero and at most 1e15")
    _refuse(symbols, timestamps_us, timestamps_us <= 0, "expected microseconds since 1970")
    latest_us = int((time.time() + MAX_AHEAD_SECONDS) * US)
    _refuse(symbols, timestamps_us, timestamps_us > latest_us, f"expected at most {latest_us}, a minute from now")


def _check_symbols(symbols: Sequence[str]) -> None:
    """`|` and a line's end part the fields that the scripts read: a price would go to another symbol."""
    joined = "".join(symbols)
    if "|" in joined or "\n" in joined or "" in symbols:
        first = next(place for place, symbol in enumerate(symbols) if not symbol or {"|", "\n"} & set(symbol))
        raise BadQuotesError(f"Quote {first}: {symbols[first]!r} is not a symbol; {SYMBOL_EXPECTED}")


def _refuse(symbols: Sequence[str], values: npt.NDArray[Any], wrong: npt.NDArray[np.bool_], expected: str) -> None:
    if wrong.any():
        first = int(np.argmax(wrong))
        raise BadQuotesError(f"Quote {first}, of {symbols[first]}: {values[first]}; {expected}.")


def _chunks(symbols: Sequence[str], prices: FloatArray, timestamps_us: IntArray) -> Iterator[str]:
    """Lines for the script. `repr` of a float is the shortest text that reads back as the same float."""
    for start in range(0, len(symbols), CHUNK):
        chunk = slice(start, start + CHUNK)
        rows = zip(symbols[chunk], timestamps_us[chunk].tolist(), prices[chunk].tolist(), strict=True)
        yield "\n".join([f"{symbol}|{timestamp}|{price!r}" for symbol, timestamp, price in rows])


@cache
def _script(client: Redis, name: str) -> Script:
    return client.register_script((Path(__file__).parent / "lua" / f"{name}.lua").read_text())
