"""What a VaR method gets, what it gives, and where it registers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Parameters = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PricedBook:
    """A book at one close: `values` (symbols,) in its currency, `returns` (days, symbols) up to and including it.

    `dates` (days,) are the days on which the returns end; `pnl` (days,) is today's book through each of them, every
    sum correctly rounded; `total` is the book's value with its cash; `warnings` say what was done about missing prices.
    """

    symbols: tuple[str, ...]
    values: FloatArray
    returns: FloatArray
    dates: NDArray[np.datetime64]
    pnl: FloatArray
    total: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scenario:
    date: str
    pnl: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """Figures over the horizon, positive for a loss, in the book's currency; arrays are (symbols,).

    The components add up to their figure exactly, in any order. Marginal figures are per unit of currency more in the
    position; incremental ones are the book's figure minus that of the book without the position.
    """

    var: float
    expected_shortfall: float
    observations: int
    component_var: FloatArray
    marginal_var: FloatArray
    incremental_var: FloatArray
    component_es: FloatArray
    marginal_es: FloatArray
    incremental_es: FloatArray
    worst: list[Scenario]
    standard_error: float | None = None
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Forecast:
    """VaR and ES of the next day, positive for a loss, in the unit of the P&L that they were made from."""

    var: float
    expected_shortfall: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Method:
    """One VaR method: the full estimate of a book, and the bare forecast from one P&L series, for backtests.

    `forecast(pnl, parameters)`: `pnl` (days,), oldest first, is one book's P&L through the window, and nothing else
    is known. It is the one-day `estimate` of that book, but for the noise of simulated paths.
    `uses` names the parameters that this method has beside those of all: the others do not touch its figures.
    """

    name: str
    estimate: Callable[[PricedBook, Parameters], Estimate]
    forecast: Callable[[FloatArray, Parameters], Forecast]
    uses: tuple[str, ...] = ()


METHODS: dict[str, Method] = {}

# What only some methods use (`Method.uses`), as it is where nothing was asked for.
DEFAULTS: Parameters = {"distribution": "normal", "paths": 100_000, "seed": 0, "decay": 0.98}
DISTRIBUTIONS = ("normal", "student_t")


def relevant(methods: Iterable[str], parameters: Parameters) -> Parameters:
    """The parameters without those that none of these methods uses: they are no part of the inputs."""
    used = {name for method in methods for name in METHODS[method].uses}
    return {name: value for name, value in parameters.items() if name not in DEFAULTS.keys() - used}


def register(
    name: str,
    estimate: Callable[[PricedBook, Parameters], Estimate],
    forecast: Callable[[FloatArray, Parameters], Forecast],
    uses: tuple[str, ...] = (),
) -> None:
    METHODS[name] = Method(name, estimate, forecast, uses)
