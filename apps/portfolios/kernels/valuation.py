"""A book's value day by day, from its trades, its cash and the closes; and returns of books and of prices.

Days are rows: row d of `prices` (days, symbols) holds the closes of day d, and day numbers of trades and flows are rows
of it. Amounts are in the book's currency, quantities in units, negative when short.
Source for the returns: Global Investment Performance Standards (CFA Institute, 2020), 2.A.21-22, time-weighted return
with a valuation at every external flow; Bacon (2008), Practical Portfolio Performance Measurement, 2nd ed., ch. 2.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.integer]

# Half of the ledger's smallest quantity (8 decimals), plus what a float sum over the traded quantities may be off.
# Without it 0.1 + 0.2 - 0.3 would go on as a position of 5.6e-17, counted, and NaN where the symbol has no price.
_HALF_UNIT = 0.5e-8
_SUM_ERROR = 8 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class ValueHistory:
    """A book at each day's close: (days,) arrays; `quantities` (days, symbols). values = cash + net_exposure.

    A day on which a held symbol has no price (NaN) has NaN for values, gross_exposure and net_exposure.
    """

    values: FloatArray
    cash: FloatArray
    net_flows: FloatArray
    gross_exposure: FloatArray
    net_exposure: FloatArray
    positions_count: npt.NDArray[np.int64]
    quantities: FloatArray


def value_history(
    prices: FloatArray,
    trade_day: IntArray,
    trade_symbol: IntArray,
    trade_quantity: FloatArray,
    trade_price: FloatArray,
    initial_cash: float,
    flow_day: IntArray | None = None,
    flow_amount: FloatArray | None = None,
) -> ValueHistory:
    """Value, cash and exposure at each close; a trade or flow of day d is in from the close of d on.

    `prices` (days, symbols), NaN where there is none; the trades' arrays (trades,), in any order, with rows and columns
    of `prices`; the flows' (flows,), positive when paid in. cash = initial_cash + flows - sum(quantity x price); the
    initial cash is not a flow. Takes about four arrays of the size of `prices`.
    Raises ValueError for shapes that do not fit, a day or symbol outside `prices`, an infinite price, and NaN or
    infinity in anything else.
    """
    flow_day = np.empty(0, np.intp) if flow_day is None else flow_day
    flow_amount = np.empty(0) if flow_amount is None else flow_amount
    _check_prices(prices)
    _check_events("trade", prices.shape[0], trade_day, trade_quantity=trade_quantity, trade_price=trade_price)
    _check_events("trade", prices.shape[1], trade_symbol, trade_quantity=trade_quantity)
    _check_events("flow", prices.shape[0], flow_day, flow_amount=flow_amount)
    if not np.isfinite(initial_cash):
        raise ValueError(f"initial_cash is {initial_cash}; expected a finite number")

    flows = _by_day(len(prices), flow_day, flow_amount)
    paid = _by_day(len(prices), trade_day, trade_quantity * trade_price)
    cash = initial_cash + np.cumsum(flows) - np.cumsum(paid)
    return _valued(prices, _holdings(prices.shape, trade_day, trade_symbol, trade_quantity), cash, flows)


def time_weighted_returns(values: FloatArray, net_flows: FloatArray) -> FloatArray:
    """r_t = (V_t - F_t) / V_(t-1) - 1, a fraction, (days - 1,): row t is the return of day t + 1.

    `values` and `net_flows` (days,), currency. A flow comes at the close of its day: it earns nothing that day, and is
    no return itself. The flow of day 0 is in V_0 already and is not looked at.
    Raises ValueError for shapes that do not fit, NaN or infinity, and a V_(t-1) that is not positive, naming its row.
    """
    if values.ndim != 1 or values.shape != net_flows.shape:
        raise ValueError(f"values {values.shape} and net_flows {net_flows.shape}; expected both (days,)")
    _check_finite("values", values)
    _check_finite("net_flows", net_flows)
    if (values[:-1] <= 0).any():
        day = int(np.argmax(values[:-1] <= 0))
        raise ValueError(f"values[{day}] is {values[day]}; a return on the day after needs a value above 0")
    return (values[1:] - net_flows[1:]) / values[:-1] - 1.0


def simple_returns(prices: FloatArray) -> FloatArray:
    """p_t / p_(t-1) - 1, a fraction, (days - 1, symbols), in Fortran order: a symbol's column is contiguous.

    NaN where either price is NaN. Raises ValueError for a price that is 0, negative or infinite, naming its place.
    """
    _check_prices(prices)
    if (prices <= 0).any():
        day, symbol = (int(index) for index in np.argwhere(prices <= 0)[0])
        raise ValueError(f"prices[{day}, {symbol}] is {prices[day, symbol]}; expected more than 0, or NaN for none")
    returns = np.empty((max(len(prices) - 1, 0), prices.shape[1]), order="F")
    np.divide(prices[1:], prices[:-1], out=returns)
    returns -= 1.0
    return returns


def _holdings(
    shape: tuple[int, ...], trade_day: IntArray, trade_symbol: IntArray, trade_quantity: FloatArray
) -> FloatArray:
    """Quantities held at each close, (days, symbols); exactly 0 where all was sold again."""
    held, traded = np.zeros(shape), np.zeros(shape)
    np.add.at(held, (trade_day, trade_symbol), trade_quantity)
    np.add.at(traded, (trade_day, trade_symbol), np.abs(trade_quantity))
    np.cumsum(held, axis=0, out=held)
    np.cumsum(traded, axis=0, out=traded)
    held[np.abs(held) <= _HALF_UNIT + _SUM_ERROR * traded] = 0.0
    return held


def _valued(prices: FloatArray, quantities: FloatArray, cash: FloatArray, flows: FloatArray) -> ValueHistory:
    is_held = quantities != 0
    # Not quantities * prices alone: 0 x NaN is NaN, and a symbol without a price yet would poison the book.
    worth = np.multiply(quantities, prices, out=np.zeros(prices.shape), where=is_held)
    net = worth.sum(axis=1)
    return ValueHistory(
        values=cash + net,
        cash=cash,
        net_flows=flows,
        gross_exposure=np.abs(worth).sum(axis=1),
        net_exposure=net,
        positions_count=np.count_nonzero(is_held, axis=1).astype(np.int64),
        quantities=quantities,
    )


def _by_day(days: int, day: IntArray, amount: FloatArray) -> FloatArray:
    return np.bincount(day, weights=amount, minlength=days).astype(np.float64)


def _check_prices(prices: FloatArray) -> None:
    if prices.ndim != 2:
        raise ValueError(f"prices has shape {prices.shape}; expected (days, symbols)")
    if np.isinf(prices).any():
        day, symbol = (int(index) for index in np.argwhere(np.isinf(prices))[0])
        raise ValueError(f"prices[{day}, {symbol}] is {prices[day, symbol]}; expected a price, or NaN for none")


def _check_events(kind: str, size: int, index: IntArray, **amounts: FloatArray) -> None:
    for name, amount in amounts.items():
        if index.ndim != 1 or amount.shape != index.shape:
            raise ValueError(f"{name} has shape {amount.shape}; expected that of the {kind}s' rows, {index.shape}")
        _check_finite(name, amount)
    if len(index) and not 0 <= int(index.min()) <= int(index.max()) < size:
        raise ValueError(f"{kind}s from row or column {index.min()} to {index.max()}; expected 0 to {size - 1}")


def _check_finite(name: str, array: FloatArray) -> None:
    if not np.isfinite(array).all():
        row = int(np.argmin(np.isfinite(array)))
        raise ValueError(f"{name}[{row}] is {array[row]}; expected finite numbers only")
