"""A backtest day by day: it is shown one day's closes at a time, so nothing in it can know of a later one.

On a decision day t the orders are sized at the closes of t, and filled at those of t + 1; a symbol without a close then
is filled at its next one, unless another decision cancels what is open. Costs are in the fill price. Order of a day:
`step` fills and values, `decide` may then follow. Shapes: (symbols,) for a day, (days, symbols) for all; quantities in
units, everything else in the currency of the book.

Why never the close that a decision saw: Luo et al. (2014), Seven Sins of Quantitative Investing, Deutsche Bank Markets
Research (look-ahead bias).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from apps.strategies.kernels.rebalancing import (
    DECIMALS,
    FloatArray,
    check_closes,
    check_cost_rate,
    check_min_notional,
    check_steps,
    fill_prices,
    order_quantities,
)


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a backtest came to, a row a day.

    `values` (days,): cash + positions at the last known closes; `cash` (days,); `exposures` (days,): gross, the sum of
    absolute positions; `quantities` (days, symbols) held at the end of the day; `orders` (days, symbols) decided that
    day; `traded_notional` (days,): |quantity| x close of what is filled that day; `costs` (days,): what fills lost
    against the close, never negative.
    """

    values: FloatArray
    cash: FloatArray
    exposures: FloatArray
    quantities: FloatArray
    orders: FloatArray
    traded_notional: FloatArray
    costs: FloatArray


@dataclass(frozen=True, slots=True)
class _Day:
    value: float
    cash: float
    exposure: float
    quantities: FloatArray
    traded_notional: float
    cost: float


@dataclass(frozen=True, slots=True)
class _Fills:
    quantities: FloatArray
    spent: float
    notional: float
    cost: float


class Simulation:
    """A book that trades by the rules above: `step` with each day's closes, `decide` after those of a decision day."""

    def __init__(
        self,
        cash: float,
        steps: FloatArray,
        cost_rate: float = 0.0,
        min_notional: float = 0.0,
        symbols: Sequence[str] | None = None,
        *,
        min_quantities: FloatArray | None = None,
    ) -> None:
        """`cash` at the start, above 0; `cost_rate` a fraction of a fill; the others as in order_quantities.

        Raises ValueError for a number out of its range.
        """
        _check_cash(cash)
        check_cost_rate(cost_rate)
        check_min_notional(min_notional)
        check_steps(steps, symbols)
        self._steps = np.array(steps, dtype=np.float64)
        self._cost_rate, self._min_notional, self._symbols = cost_rate, min_notional, symbols
        self._min_quantities = min_quantities
        self._cash = float(cash)
        self._held = np.zeros(len(steps))
        self._open = np.zeros(len(steps))
        self._last = np.zeros(len(steps))  # where no close is known yet nothing is held
        self._today = np.full(len(steps), np.nan)
        self._days: list[_Day] = []
        self._orders: dict[int, FloatArray] = {}

    @property
    def equity(self) -> float:
        """Cash + positions at the last known closes, of the day of the last step."""
        return self._cash + float((self._held * self._last).sum())

    @property
    def held(self) -> FloatArray:
        """Quantities held, (symbols,), a copy."""
        return self._held.copy()

    def step(self, closes: FloatArray) -> float:
        """The next trading day: fills open orders at its `closes` (symbols,), NaN where missing; answers the equity.

        Raises ValueError for closes of another shape, or not above 0.
        """
        self._check_closes(closes)
        self._today = np.array(closes, dtype=np.float64)
        self._last = np.where(np.isnan(closes), self._last, closes)
        fills = self._fill()
        equity = self.equity
        exposure = float(np.abs(self._held * self._last).sum())
        self._days.append(_Day(equity, self._cash, exposure, self._held.copy(), fills.notional, fills.cost))
        return equity

    def decide(self, weights: FloatArray) -> FloatArray:
        """Orders for `weights` (symbols,), fractions of the equity, to be filled from the next step on; answers them.

        What was still open is cancelled. Raises ValueError before the first step, for an equity of 0 or less, and for
        weights that order_quantities refuses.
        """
        if not self._days:
            raise ValueError("no day yet; expected a step with the closes that the weights were decided on")
        self._open = order_quantities(
            weights,
            self.equity,
            self._today,
            self._held,
            self._steps,
            self._min_notional,
            min_quantities=self._min_quantities,
            symbols=self._symbols,
        )
        self._orders[len(self._days) - 1] = self._open
        return self._open.copy()

    def results(self) -> Simulated:
        """All days so far. Raises ValueError before the first step."""
        if not self._days:
            raise ValueError("no day yet; expected at least one step")
        quantities = np.stack([day.quantities for day in self._days])
        orders = np.zeros(quantities.shape)
        for row, ordered in self._orders.items():
            orders[row] = ordered
        return Simulated(
            values=np.array([day.value for day in self._days]),
            cash=np.array([day.cash for day in self._days]),
            exposures=np.array([day.exposure for day in self._days]),
            quantities=quantities,
            orders=orders,
            traded_notional=np.array([day.traded_notional for day in self._days]),
            costs=np.array([day.cost for day in self._days]),
        )

    def _fill(self) -> _Fills:
        """Moves what is open and has a close today into the book, and its price out of the cash."""
        fills = _fills(self._open, self._today, self._cost_rate)
        self._cash -= fills.spent
        self._held = np.round(self._held + fills.quantities, DECIMALS)
        self._open = self._open - fills.quantities
        return fills

    def _check_closes(self, closes: FloatArray) -> None:
        if closes.shape != self._steps.shape:
            raise ValueError(f"closes has shape {closes.shape}; expected {self._steps.shape}, one for each symbol")
        check_closes(closes, self._symbols)


def simulate(
    closes: FloatArray,
    decision_rows: npt.NDArray[np.integer],
    weights: FloatArray,
    *,
    cash: float,
    steps: FloatArray,
    cost_rate: float = 0.0,
    min_notional: float = 0.0,
    symbols: Sequence[str] | None = None,
) -> Simulated:
    """The backtest of weights that are known: `closes` (days, symbols), `weights` (decisions, symbols).

    `decision_rows` (decisions,), ascending, are the rows of `closes` that the weights are decided on. Raises ValueError
    for rows out of order or out of range, shapes that do not fit, and whatever `Simulation` refuses.
    """
    _check_decisions(closes, decision_rows, weights)
    simulation = Simulation(cash, steps, cost_rate, min_notional, symbols)
    decided = dict(zip(decision_rows.tolist(), weights, strict=True))
    for row, of_day in enumerate(closes):
        simulation.step(of_day)
        if row in decided:
            simulation.decide(decided[row])
    return simulation.results()


def _fills(open_orders: FloatArray, closes: FloatArray, cost_rate: float) -> _Fills:
    """What of the orders is filled at `closes`; nothing of those without one."""
    priced = ~np.isnan(closes)
    quantities = np.where(priced, open_orders, 0.0)
    known = np.where(priced, closes, 0.0)
    notional = float((np.abs(quantities) * known).sum())
    spent = float((quantities * fill_prices(quantities, known, cost_rate)).sum())
    return _Fills(quantities, spent, notional, notional * cost_rate)


def _check_cash(cash: float) -> None:
    if not 0 < cash < np.inf:
        raise ValueError(f"cash is {cash}; expected above 0, in the currency of the book")


def _check_decisions(closes: FloatArray, rows: npt.NDArray[np.integer], weights: FloatArray) -> None:
    if closes.ndim != 2 or weights.shape != (len(rows), closes.shape[1]):
        words = "expected (days, symbols), (decisions,) and (decisions, symbols)"
        raise ValueError(f"closes {closes.shape}, decision_rows {rows.shape}, weights {weights.shape}; {words}")
    if len(rows) and (rows.min() < 0 or rows.max() >= len(closes)):
        raise ValueError(f"decision_rows run from {rows.min()} to {rows.max()}; expected from 0 to {len(closes) - 1}")
    if (np.diff(rows) <= 0).any():
        raise ValueError(f"decision_rows are {rows.tolist()}; expected ascending, none twice")
