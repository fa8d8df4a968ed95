"""Many books at the prices of this moment: values, exposures, and what was won or lost since the close before.

Shapes: `quantities` (books, symbols), negative when short, 0 where nothing is held; `prices` and `closes` (symbols,);
all that is of a book (books,). Amounts in the book's currency, fractions as such. VaR and expected shortfall of the
same values come from apps/risk/kernels/batch.py.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

US_PER_DAY = 86_400_000_000


class Exposures(NamedTuple):
    value: FloatArray
    gross: FloatArray
    net: FloatArray


class SinceClose(NamedTuple):
    """NaN where it is not known. `day_pnl` is negative for a loss, `drawdown` 0 at the peak."""

    day_pnl: FloatArray
    day_pnl_pct: FloatArray
    drawdown: FloatArray


def quotes_that_count(seen_us: IntArray, close_day: int) -> BoolArray:
    """Whether a quote is newer than the close of `close_day` (days since 1970): its UTC day is a later one.

    `seen_us` (symbols,) microseconds since 1970, 0 where there is no quote. A close stands for the end of its day, so
    that no quote of the same day is newer.
    """
    counts: BoolArray = seen_us // US_PER_DAY > close_day
    return counts


def live_prices(closes: FloatArray, quoted: FloatArray, counts: BoolArray) -> FloatArray:
    """The quote where it counts, else the close; (symbols,)."""
    return np.where(counts, quoted, closes)


def market_values(quantities: FloatArray, prices: FloatArray) -> FloatArray:
    """Quantity x price, (books, symbols)."""
    return quantities * prices


def exposures(values: FloatArray, cash: FloatArray) -> Exposures:
    """Value = cash + sum of values; gross = sum of their sizes; net = their sum."""
    net = values.sum(axis=1)
    return Exposures(cash + net, np.abs(values).sum(axis=1), net)


def since_close(value: FloatArray, before: FloatArray, flows: FloatArray, of_peak: FloatArray) -> SinceClose:
    """P&L = value - (value at the close before + flows since); its part of that value; 1 - index / its peak.

    The index moves by (value - flows) / before, the time-weighted return of the day; `of_peak` is the index at that
    close as a fraction of its highest, NaN where the past is not known. Parts of a value that is not above zero are
    NaN, and so are those too large for a float. As risk.figures.Past has it for one book.
    """
    known = np.isfinite(of_peak)
    day_pnl = np.where(known, value - flows - before, np.nan)
    base = np.where(known & (before > 0), before, np.nan)
    with np.errstate(over="ignore"):
        index = of_peak * ((value - flows) / base)
        part = day_pnl / base
    drawdown = np.where(np.isnan(index), np.nan, np.maximum(0.0, 1.0 - index))
    return SinceClose(day_pnl, np.where(np.isfinite(part), part, np.nan), drawdown)


def newest_of_held(held: BoolArray, times_us: IntArray) -> IntArray:
    """The latest of the times of what each book holds, (books,); 0 where none of it has one.

    `held` (books, symbols), `times_us` (symbols,) 0 where there is none.
    """
    newest: IntArray = np.where(held, times_us, 0).max(axis=1, initial=0)
    return newest


def touched_books(held: BoolArray, changed: BoolArray) -> BoolArray:
    """Which books hold any of the symbols that changed, (books,)."""
    return np.asarray(held[:, np.flatnonzero(changed)].any(axis=1))
