"""Orders that bring a book to its target weights, and what they are filled at.

Shapes: all arrays (symbols,); quantities in units, negative for sales or short positions; closes and equity in the
currency of the book. Backtests and paper portfolios both size by these two functions.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

# The ledger keeps quantities to 8 decimal places.
DECIMALS = 8
SMALLEST_STEP = 1e-8

# A quotient this near below a whole number of steps is one: 0.3 / 0.1 comes out below 3, an equity summed over years
# of trades carries errors of about 1e-13, and truncation would lose the whole step. In parts of the quotient, but never
# more than the second, in steps.
_ROUNDING = 1e-12
_ROUNDING_STEPS = 1e-3


def order_quantities(
    weights: FloatArray,
    equity: float,
    closes: FloatArray,
    held: FloatArray,
    steps: FloatArray,
    min_notional: float = 0.0,
    *,
    min_quantities: FloatArray | None = None,
    symbols: Sequence[str] | None = None,
) -> FloatArray:
    """What to buy (sell where negative), (symbols,), units: target - held, target = weight x equity / close.

    `weights` fractions of `equity` (above 0), 0 where the strategy names none; `closes` of the decision day, NaN where
    there is none: such a symbol is not ordered, whatever is held. Targets are rounded toward zero to `steps`, 0 for
    none, which is the ledger's 8 decimal places; rounding buys no more than asked, but for 1e-12 of it. So are orders,
    which makes no difference where what is held is on its steps: what lies between two of them cannot be traded, and
    stays. Orders worth less than `min_notional` at the close, or of less than `min_quantities` (symbols,), are left
    out. `symbols` are for the words of errors.

    Raises ValueError for a weight that is no number, too large for one, or not 0 without a close; for an equity that is
    not above 0; for closes not above 0, steps or a notional below 0, a held quantity that is no number, and shapes that
    do not fit.
    """
    _check(weights, equity, closes, held, steps, min_notional, symbols)
    priced = ~np.isnan(closes)
    known = np.where(priced, closes, 1.0)
    with np.errstate(over="ignore", invalid="ignore"):
        targets = rounded_to_steps(weights * equity / known, steps)
        orders = np.where(priced, _orders_between(held, targets, steps), 0.0)
    _refuse(~np.isfinite(orders), weights, symbols, "weight", "one whose quantity is a number")
    least = np.zeros(len(orders)) if min_quantities is None else min_quantities
    small = (np.abs(orders) * known < min_notional) | (np.abs(orders) < least)
    return np.where(small, 0.0, orders)


def _orders_between(held: FloatArray, targets: FloatArray, steps: FloatArray) -> FloatArray:
    """(symbols,): target - held, toward zero to whole steps where there are some: the ledger's own need no rounding."""
    size = np.where(steps > 0, steps, SMALLEST_STEP)
    change = targets - held
    whole = _whole_steps(change, size, np.maximum(np.abs(targets), np.abs(held)))
    orders: FloatArray = np.where(steps > SMALLEST_STEP, whole, change)
    return np.round(orders, DECIMALS) + 0.0


def rounded_to_steps(quantities: FloatArray, steps: FloatArray) -> FloatArray:
    """`quantities` toward zero to whole numbers of `steps`, both (symbols,); a step of 0 is one of 1e-8."""
    size = np.where(steps > 0, steps, SMALLEST_STEP)
    return np.round(_whole_steps(quantities, size, np.abs(quantities)), DECIMALS) + 0.0  # never -0.0


def _whole_steps(quantities: FloatArray, size: FloatArray, scale: FloatArray) -> FloatArray:
    """Toward zero to whole steps of `size`; `scale` is of the numbers that the quantities carry the errors of."""
    lots = quantities / size
    slack = np.minimum(scale / size * _ROUNDING, _ROUNDING_STEPS)
    return np.asarray(np.trunc(lots + np.copysign(slack, lots)) * size)


def fill_prices(quantities: FloatArray, closes: FloatArray, cost_rate: float) -> FloatArray:
    """(symbols,), currency: close x (1 + cost_rate) for purchases, close x (1 - cost_rate) for sales.

    `cost_rate` is a fraction, 0.001 for 10 basis points. The close itself where nothing is traded, NaN where there is
    none. Raises ValueError for a rate below 0, or of 1 and more.
    """
    check_cost_rate(cost_rate)
    return np.asarray(closes * (1.0 + cost_rate * np.sign(quantities)))


def check_cost_rate(cost_rate: float) -> None:
    """Raises ValueError for a rate that is no fraction of at least 0 and below 1."""
    if not 0 <= cost_rate < 1:
        raise ValueError(f"cost_rate is {cost_rate}; expected a fraction of at least 0 and below 1, as in 0.001")


def check_min_notional(min_notional: float) -> None:
    """Raises ValueError for a notional that is not finite and at least 0."""
    if not 0 <= min_notional < np.inf:
        raise ValueError(f"min_notional is {min_notional}; expected at least 0, in the currency of the book")


def check_closes(closes: FloatArray, symbols: Sequence[str] | None = None) -> None:
    """Raises ValueError for a close that is neither above 0 and finite nor NaN, `closes` (symbols,)."""
    _refuse(~np.isnan(closes) & ~((closes > 0) & (closes < np.inf)), closes, symbols, "close", "above 0, or NaN")


def check_steps(steps: FloatArray, symbols: Sequence[str] | None = None) -> None:
    """Raises ValueError for a step that is not finite and at least 0, `steps` (symbols,)."""
    _refuse(~((steps >= 0) & (steps < np.inf)), steps, symbols, "quantity step", "at least 0")


def _check(
    weights: FloatArray,
    equity: float,
    closes: FloatArray,
    held: FloatArray,
    steps: FloatArray,
    min_notional: float,
    symbols: Sequence[str] | None,
) -> None:
    _check_shapes(weights, closes, held, steps)
    if not 0 < equity < np.inf:
        raise ValueError(f"equity is {equity}; expected above 0: there is nothing to size orders by")
    check_min_notional(min_notional)
    check_closes(closes, symbols)
    check_steps(steps, symbols)
    _refuse(~np.isfinite(held), held, symbols, "held quantity", "a finite number")
    _refuse(~np.isfinite(weights), weights, symbols, "weight", "a finite fraction of the equity")
    _refuse((weights != 0) & np.isnan(closes), weights, symbols, "weight", "0, as it has no price on the day")


def _check_shapes(weights: FloatArray, *others: FloatArray) -> None:
    shapes = [weights.shape, *(other.shape for other in others)]
    if weights.ndim != 1 or len(set(shapes)) != 1:
        names = ("weights", "closes", "held", "steps")
        given = ", ".join(f"{name} {shape}" for name, shape in zip(names, shapes, strict=True))
        raise ValueError(f"{given}; expected all of one shape (symbols,)")


def _refuse(wrong: BoolArray, values: FloatArray, symbols: Sequence[str] | None, what: str, expected: str) -> None:
    """Raises ValueError for the first that is wrong, by its symbol, or by its place where there are no names."""
    if not wrong.any():
        return
    place = int(np.flatnonzero(wrong)[0])
    name = f"symbol {place}" if symbols is None else symbols[place]
    raise ValueError(f"{what} of {name} is {float(values[place])}; expected {expected}")
