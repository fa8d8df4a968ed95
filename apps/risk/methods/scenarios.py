"""What the methods share whose distribution is a list of scenarios."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from apps.risk.errors import InsufficientHistoryError
from apps.risk.kernels.historical import overlapping_returns, scenario_pnl, worst_scenarios
from apps.risk.kernels.tail import TailSplit, exact_split, incremental_tail, tail_split
from apps.risk.methods.registry import Estimate, FloatArray, Parameters, PricedBook, Scenario

WORST_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Scenarios:
    """`returns` (scenarios, symbols) over the horizon or one day, `dates` (scenarios,) on which they end, `pnl` theirs.

    `scale` takes the figures from the scenarios' days to the horizon: 1, or its square root.
    """

    returns: FloatArray
    dates: NDArray[np.datetime64]
    pnl: FloatArray
    scale: float

    @classmethod
    def of_window(cls, book: PricedBook, parameters: Parameters) -> Self:
        """The window's returns as they were, day by day or compounded over runs of the horizon's days."""
        return cls.of_returns(book, book.returns, book.pnl, parameters)

    @classmethod
    def of_returns(cls, book: PricedBook, returns: FloatArray, pnl: FloatArray, parameters: Parameters) -> Self:
        """Daily scenarios and their P&L, taken to the horizon as `horizon_method` says."""
        horizon = parameters["horizon_days"]
        if parameters["horizon_method"] == "sqrt_time" or horizon == 1:
            return cls(returns, book.dates, pnl, math.sqrt(horizon))
        if len(returns) <= horizon:
            raise InsufficientHistoryError(
                f"{len(returns)} returns are left in the window; runs of {horizon} days need more.",
                f"Ask for horizon_days of {len(returns) - 1} or less, or a longer window_days.",
                attr="horizon_days",
            )
        runs = overlapping_returns(returns, horizon)
        return cls(runs, book.dates[horizon - 1 :], scenario_pnl(runs, book.values), 1.0)


def scenario_estimate(
    book: PricedBook, scenarios: Scenarios, parameters: Parameters, warnings: tuple[str, ...] = ()
) -> Estimate:
    confidence = parameters["confidence"]
    split = tail_split(scenarios.returns, book.values, confidence, scenarios.pnl)
    incremental = incremental_tail(scenarios.returns, book.values, scenarios.pnl, confidence)
    return scaled_estimate(book, scenarios, split, incremental, warnings)


def scaled_estimate(
    book: PricedBook,
    scenarios: Scenarios,
    split: TailSplit,
    incremental: tuple[FloatArray, FloatArray],
    warnings: tuple[str, ...],
) -> Estimate:
    scale = scenarios.scale
    (var, shortfall), components = exact_split(np.stack([split.component_var, split.component_es]) * scale)
    worst = worst_scenarios(scenarios.pnl, WORST_SHOWN)
    return Estimate(
        var=var,
        expected_shortfall=shortfall,
        observations=len(scenarios.pnl),
        component_var=components[0],
        marginal_var=split.marginal_var * scale,
        incremental_var=incremental[0] * scale,
        component_es=components[1],
        marginal_es=split.marginal_es * scale,
        incremental_es=incremental[1] * scale,
        worst=[Scenario(str(scenarios.dates[row]), float(scenarios.pnl[row])) for row in worst],
        warnings=[*book.warnings, *warnings],
    )
