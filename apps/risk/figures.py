"""One book, and one order, as limits look at them: the same for the monitor and for the pre-trade check."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from apps.portfolios.matrix import FloatArray
from apps.risk.kernels.incremental import TailFigures
from nautilus.api.errors import DomainError


class NotMeasurableError(DomainError):
    """A measure that this book does not have, and why: its limit is `unknown`."""

    code = "not_measurable"


@dataclass(frozen=True, slots=True)
class Past:
    """Where a book comes from: its value at the close before, and what was paid in since.

    `of_peak`: the time-weighted index at that close, as a fraction of the highest it has been, at most 1. `behind`:
    why it is not that of the close before, empty where it is.
    """

    value: float
    flows: float
    of_peak: float
    behind: str = ""

    def daily_loss(self, value: float) -> float:
        """What was lost since that close, paid in and out apart; 0 for a gain. Raises NotMeasurableError."""
        self._refuse_behind()
        return max(0.0, self.value + self.flows - value)

    def drawdown(self, value: float) -> float:
        """1 - index now / its peak, 0 at a peak. The return since the close is that of time-weighted returns.

        Raises NotMeasurableError.
        """
        self._refuse_behind()
        if self.value <= 0:
            raise NotMeasurableError(f"the portfolio was worth {self.value:.2f} at the close before, not above zero")
        return max(0.0, 1 - self.of_peak * (value - self.flows) / self.value)

    def _refuse_behind(self) -> None:
        if self.behind:
            raise NotMeasurableError(self.behind)


@dataclass
class BookFigures:
    """Positions at their closes (symbols,), negative when short, and cash; in the portfolio's currency.

    `find_tail` and `find_past` are asked once, and only for limits that need them; both raise NotMeasurableError.
    """

    places: Mapping[str, int]
    values: FloatArray
    cash: float
    find_tail: Callable[[], TailFigures]
    find_past: Callable[[], Past]

    @cached_property
    def net(self) -> float:
        return float(self.values.sum())

    @cached_property
    def gross(self) -> float:
        return float(np.abs(self.values).sum())

    @cached_property
    def largest(self) -> float:
        return float(np.abs(self.values).max(initial=0.0))

    @property
    def value(self) -> float:
        return self.cash + self.net

    def value_of(self, symbol: str) -> float:
        place = self.places.get(symbol)
        return 0.0 if place is None else float(self.values[place])

    def part_of_value(self, amount: float) -> float:
        """The amount / the portfolio's value; 0 of nothing."""
        if amount == 0:
            return 0.0
        if self.value <= 0:
            raise NotMeasurableError(f"the portfolio is worth {self.value:.2f}, not above zero")
        return amount / self.value

    def tail(self) -> TailFigures:
        return self._tail

    def past(self) -> Past:
        return self._past

    @cached_property
    def _tail(self) -> TailFigures:
        return self.find_tail()

    @cached_property
    def _past(self) -> Past:
        return self.find_past()


@dataclass(frozen=True, slots=True)
class Order:
    """A trade that is asked for. `quantity` is negative to sell; `last_price` is the symbol's latest close.

    `recent`: how many orders of each symbol the portfolio has sent in the last minute, this one not among them.
    """

    symbol: str
    quantity: float
    price: float
    last_price: float
    recent: Mapping[str, int]

    @property
    def notional(self) -> float:
        """At its price or at the latest close, whichever is the higher: a low price makes no order small."""
        return abs(self.quantity) * max(self.price, self.last_price)

    def earlier_orders(self, symbol: str | None) -> int:
        return sum(self.recent.values()) if symbol is None else self.recent.get(symbol, 0)
