"""What a VaR method gets, what it gives, and where it registers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Method = Callable[["PricedBook", dict[str, Any]], "Estimate"]

METHODS: dict[str, Method] = {}


@dataclass(frozen=True, slots=True)
class PricedBook:
    """A book at one close: `values` (symbols,) in its currency, `returns` (days, symbols) up to and including it.

    `dates` (days,) are the days on which the returns end; `total` is the book's value with its cash.
    """

    symbols: tuple[str, ...]
    values: NDArray[np.float64]
    returns: NDArray[np.float64]
    dates: NDArray[np.datetime64]
    total: float


@dataclass(frozen=True, slots=True)
class Scenario:
    date: str
    pnl: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """Figures over the horizon, positive for a loss, in the book's currency; arrays are (symbols,)."""

    var: float
    expected_shortfall: float
    observations: int
    component: NDArray[np.float64]
    marginal: NDArray[np.float64]
    incremental: NDArray[np.float64]
    worst: list[Scenario]
    standard_error: float | None = None
    warnings: list[str] = field(default_factory=list)


def method(name: str) -> Callable[[Method], Method]:
    def register(function: Method) -> Method:
        METHODS[name] = function
        return function

    return register
