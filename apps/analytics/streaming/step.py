"""The figures of many books at the newest quotes, in one vectorized step."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from apps.analytics.kernels.live import (
    BoolArray,
    FloatArray,
    IntArray,
    exposures,
    live_prices,
    market_values,
    newest_of_held,
    quotes_that_count,
    since_close,
)
from apps.analytics.streaming.groups import Group, PastArrays
from apps.analytics.streaming.known_quotes import KnownQuotes
from apps.risk.kernels.batch import batch_tail
from apps.risk.windows import Rows

CONFIDENCES = (0.95, 0.975, 0.99)

logger = logging.getLogger(__name__)


class Prices(NamedTuple):
    """Of a group's symbols, (symbols,): what each is worth now, whether that is a quote, and of when; 0 where none."""

    prices: FloatArray
    counts: BoolArray
    timestamps_us: IntArray
    seen_us: IntArray


@dataclass(frozen=True, slots=True)
class Figures:
    """Of the books in these rows of the group, (rows,) each; NaN where there is none. Amounts in the book's currency.

    `quoted_us`: of the newest quote in the book, 0 where it stands at its closes.
    """

    group: Group
    rows: Rows
    value: FloatArray
    gross: FloatArray
    net: FloatArray
    day_pnl: FloatArray
    day_pnl_pct: FloatArray
    drawdown: FloatArray
    var_95: FloatArray
    var_99: FloatArray
    expected_shortfall_975: FloatArray
    quoted_us: IntArray
    before: PastArrays


def prices_of(group: Group, known: KnownQuotes, places: Rows) -> Prices:
    """`places` (symbols,): of each symbol among the known quotes, -1 where it has none."""
    has_quote = places >= 0
    found = np.where(has_quote, places, 0)
    if not len(known.prices):
        nothing = np.zeros(len(places), np.int64)
        return Prices(group.closes, has_quote, nothing, nothing)
    seen_us = np.where(has_quote, known.seen_us[found], 0)
    counts = quotes_that_count(seen_us, group.close_day)
    prices = live_prices(group.closes, known.prices[found], counts)
    return Prices(prices, counts, np.where(counts, known.timestamps_us[found], 0), np.where(counts, seen_us, 0))


def compute(group: Group, rows: Rows, prices: Prices) -> Iterator[Figures | int]:
    """The figures of these rows; a row that fails comes alone, as its number, and takes no other with it."""
    try:
        yield _figures(group, rows, prices)
    except Exception:
        if len(rows) == 1:
            logger.exception("The live figures of %s could not be computed", group.ids[rows[0]])
            yield int(rows[0])
            return
        half = len(rows) // 2
        yield from compute(group, rows[:half], prices)
        yield from compute(group, rows[half:], prices)


def _figures(group: Group, rows: Rows, prices: Prices) -> Figures:
    values = market_values(group.quantities[rows], prices.prices)
    value, gross, net = exposures(values, group.cash[rows])
    quoted_us = newest_of_held(group.held[rows], prices.timestamps_us)
    before = _before(group, rows, quoted_us > 0)
    tail = _tail(group, values)
    past = since_close(value, before.value, before.flows, before.of_peak)
    return Figures(group, rows, value, gross, net, *past, *tail, quoted_us, before)


def _before(group: Group, rows: Rows, is_live: BoolArray) -> PastArrays:
    """A book with a quote is of a later day than its closes, which are the ones before then."""
    at_closes, live = group.at_closes, group.live
    return PastArrays(
        np.where(is_live, live.value[rows], at_closes.value[rows]),
        np.where(is_live, live.flows[rows], at_closes.flows[rows]),
        np.where(is_live, live.of_peak[rows], at_closes.of_peak[rows]),
        tuple(
            (live if one else at_closes).behind[row] for row, one in zip(rows.tolist(), is_live.tolist(), strict=True)
        ),
    )


def _tail(group: Group, values: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """VaR 95 % and 99 % and expected shortfall 97.5 %; 0 of books that hold nothing."""
    if group.returns is None or not values.shape[1]:
        nothing = np.full(len(values), np.nan if values.shape[1] else 0.0)
        return nothing, nothing, nothing
    var, shortfall = batch_tail(group.returns, values, CONFIDENCES)
    return var[0], var[2], shortfall[1]
