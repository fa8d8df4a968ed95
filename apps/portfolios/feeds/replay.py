"""The imported closes as ticks: real closes of real days, at a chosen speed, for demonstrations and tests."""

import logging
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from threading import Event
from typing import Any

import numpy as np
from django.db import DatabaseError, InterfaceError, connection

from apps.portfolios.errors import NoPricesError
from apps.portfolios.feeds.pace import due_rows, timestamps_now
from apps.portfolios.feeds.registry import FeedKind, register_feed
from apps.portfolios.matrix import PriceMatrix, load_current_matrix
from apps.portfolios.quotes import QuoteBatch

NAME = "replay"
DAYS = 250
# Below half of NAUTILUS_FEED_STALE_SECONDS: a symbol may be the first of one day and the last of the next.
SECONDS_PER_DAY = 2.0
RETRY_SECONDS = 1.0

logger = logging.getLogger(__name__)


class ReplayFeed:
    """The last `days` days, forwards, then backwards, and so on: no jump from the last day to the first.

    A day takes `seconds_per_day`, in which each symbol that has a close that day ticks once, in an order drawn anew
    from `seed`. At each turn it looks for newer prices. Timestamps are the wall clock's.
    """

    name = NAME

    def __init__(self, days: int = DAYS, seconds_per_day: float = SECONDS_PER_DAY, seed: int = 0) -> None:
        self._days = days
        self._seconds_per_day = seconds_per_day
        self._random = np.random.default_rng(seed)
        self._forwards = True
        self._matrix: PriceMatrix | None = None
        self._rows: list[int] = []  # still to be played before the next turn

    @property
    def source(self) -> str:
        if self._matrix is None:
            return "replay"
        dates = self._matrix.dates[-self._days :]
        return f"replay of {dates[0]} to {dates[-1]}"

    def batches(self, stop: Event) -> Iterator[QuoteBatch]:
        begun = time.monotonic()
        while not stop.is_set():
            matrix = self._matrix if self._rows else self._turned(stop)
            if matrix is None:
                return
            # One day after the other without a drift; after a pause the clock begins anew.
            if time.monotonic() > begun + self._seconds_per_day:
                begun = time.monotonic()
            yield from self._day(matrix, self._rows[0], begun, stop)
            if stop.is_set():
                return
            self._rows.pop(0)
            begun += self._seconds_per_day

    def _day(self, matrix: PriceMatrix, row: int, begun: float, stop: Event) -> Iterator[QuoteBatch]:
        closes = matrix.prices[row]
        columns = self._random.permutation(np.flatnonzero(np.isfinite(closes)))
        offsets = np.arange(1, len(columns) + 1, dtype=np.float64) * (self._seconds_per_day / max(len(columns), 1))
        for due in due_rows(offsets, stop, begun):
            ticking = columns[due]
            symbols = [matrix.symbols[column] for column in ticking]
            yield QuoteBatch(symbols, closes[ticking], timestamps_now(len(symbols)))

    def _turned(self, stop: Event) -> PriceMatrix | None:
        """The newest prices, with the rows of the way back, or forth, ahead; None where it is to stop."""
        matrix = _loaded(stop, self._matrix)
        if matrix is None:
            return None
        first, last = max(len(matrix.dates) - self._days, 0), len(matrix.dates) - 1
        forth, back = list(range(first, last)), list(range(last, first, -1))
        self._rows = (forth if self._forwards else back) or [last]
        self._forwards = not self._forwards
        self._matrix = matrix
        return matrix


def _loaded(stop: Event, known: PriceMatrix | None) -> PriceMatrix | None:
    """The current prices, those known where the database is away; waits while there are none at all."""
    said = ""
    while not stop.is_set():
        try:
            return load_current_matrix()
        except NoPricesError:
            reason = "no prices have been imported yet"
        except (DatabaseError, InterfaceError) as error:
            connection.close()
            logger.warning("The replay has not looked for newer prices: the database does not answer: %s", error)
            if known:
                return known
            reason = "the database does not answer"
        if reason != said:
            logger.info("The replay waits: %s", reason)
            said = reason
        stop.wait(RETRY_SECONDS)
    return None


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--days", type=int, default=DAYS, help="How many of the last trading days are played (default: %(default)s)"
    )
    parser.add_argument(
        "--seconds-per-day",
        type=float,
        default=SECONDS_PER_DAY,
        help="How long a day takes; at more than half of NAUTILUS_FEED_STALE_SECONDS symbols grow stale between their "
        "ticks (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="Of the order of a day's ticks (default: %(default)s)")


def _make(options: dict[str, Any]) -> ReplayFeed:
    if options["days"] < 1 or not 0 < options["seconds_per_day"] < float("inf") or options["seed"] < 0:
        raise ValueError("Expected --days of 1 or more, --seconds-per-day above zero and --seed of 0 or more.")
    return ReplayFeed(options["days"], options["seconds_per_day"], options["seed"])


register_feed(NAME, FeedKind("The imported closes as ticks, forwards and backwards without end", _add_arguments, _make))
