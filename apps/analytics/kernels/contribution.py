"""What each position contributed to a book's return, day by day and linked over a period.

Shapes: `prices` and `quantities` (days, symbols) at each close; `values` (days,), the book's; results for the days
after the first, (days - 1, symbols): fractions of the value at the close before.
Source: Carino (1999), Combining attribution effects over time, J. Performance Measurement 3(4) (linking); Bacon (2008),
Practical Portfolio Performance Measurement and Attribution, 2nd ed., ch. 5 and 8.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class DailyGains:
    """P&L in the book's currency, (days - 1, symbols): `held` of what was held at the close before, `traded` of trades.

    held = q_(t-1) (p_t - p_(t-1)); traded = sum(q (p_t - price)) of the day's trades. Together they are all that the
    value gained that day beside money paid in or out, as cash earns nothing.
    """

    held: FloatArray
    traded: FloatArray


def daily_gains(
    prices: FloatArray,
    quantities: FloatArray,
    trade_day: IntArray,
    trade_symbol: IntArray,
    trade_quantity: FloatArray,
    trade_price: FloatArray,
) -> DailyGains:
    """The trades' arrays (trades,) are rows and columns of `prices`; those of day 0 are in its quantities already.

    NaN is a price that is not there. It is not looked at where nothing is held or traded; where all of a position was
    sold on a day without a close, the price of that trade stands for it.
    Raises ValueError for shapes that do not fit, and a price that is needed and not there.
    """
    if prices.ndim != 2 or prices.shape != quantities.shape:
        raise ValueError(f"prices {prices.shape} and quantities {quantities.shape}; expected both (days, symbols)")
    prices = _with_trades_for_closes(prices, quantities, trade_day, trade_symbol, trade_price)
    moved = np.diff(prices, axis=0)
    before = quantities[:-1]
    held = np.multiply(before, moved, out=np.zeros(moved.shape), where=before != 0)
    traded = _traded(prices, trade_day, trade_symbol, trade_quantity, trade_price)
    if not (np.isfinite(held).all() and np.isfinite(traded).all()):
        day, symbol = (int(index) for index in np.argwhere(~np.isfinite(held + traded))[0])
        raise ValueError(f"symbol {symbol} has no gain on day {day + 1}; expected a price where it is held or traded")
    return DailyGains(held, traded)


def _with_trades_for_closes(
    prices: FloatArray, quantities: FloatArray, day: IntArray, symbol: IntArray, price: FloatArray
) -> FloatArray:
    """With nothing held at the close, the close cancels out of the day's gain: any price will do."""
    needed = np.isnan(prices[day, symbol]) & (quantities[day, symbol] == 0)
    filled = prices.copy()
    filled[day[needed], symbol[needed]] = price[needed]
    return filled


def _traded(prices: FloatArray, day: IntArray, symbol: IntArray, quantity: FloatArray, price: FloatArray) -> FloatArray:
    gains = np.zeros((len(prices) - 1, prices.shape[1]))
    late = day > 0
    rows, columns = day[late], symbol[late]
    gain = quantity[late] * (prices[rows, columns] - price[late])
    np.add.at(gains, (rows - 1, columns), gain)
    return gains


def carino_factors(returns: FloatArray, benchmark: FloatArray | None = None) -> FloatArray:
    """What each day's effects are multiplied by so that they add up over the period, (days,).

    k_t / k with k_t = (ln(1 + r_t) - ln(1 + b_t)) / (r_t - b_t), k the same of the whole period's R and B, and each its
    limit 1 / (1 + r) where the two are equal (Carino 1999). Without a benchmark b is 0. Then sum(k_t / k (r_t - b_t)) =
    R - B. Raises ValueError for a return of -100 % or less: it has no logarithm.
    """
    other = np.zeros_like(returns) if benchmark is None else benchmark
    if returns.ndim != 1 or returns.shape != other.shape:
        raise ValueError(f"returns {returns.shape} and benchmark {other.shape}; expected both (days,)")
    if not (np.concatenate([returns, other]) > -1).all():
        raise ValueError("a return is -100 % or less, or no number: it has no logarithm to link by")
    logs = [np.log1p(returns), np.log1p(other)]
    whole = [float(np.add.reduce(each)) for each in logs]
    active = float(np.add.reduce(logs[0] - logs[1]))
    return np.asarray(_factor(returns, other) / _factor_of_logs(active, whole[1]))


def _factor(returns: FloatArray, benchmark: FloatArray) -> FloatArray:
    relative = (returns - benchmark) / (1.0 + benchmark)
    ones = np.ones_like(relative)
    return np.divide(np.log1p(relative), relative, out=ones, where=relative != 0) / (1.0 + benchmark)


def _factor_of_logs(active: float, benchmark: float) -> float:
    """(ln(1 + R) - ln(1 + B)) / (R - B) from ln(1 + R) - ln(1 + B) and ln(1 + B)."""
    ratio = active / np.expm1(active) if active else 1.0
    return float(ratio / np.exp(benchmark))
