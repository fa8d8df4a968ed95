"""What parametric VaR and Monte Carlo share: a book described by location and scale, its split by position linear."""

import math
from dataclasses import dataclass

import numpy as np

from apps.risk.errors import InsufficientHistoryError
from apps.risk.kernels.historical import worst_scenarios
from apps.risk.kernels.parametric import (
    LARGEST_DF,
    Elliptical,
    Moments,
    StudentT,
    elliptical_split,
    fit_student_t,
    moments,
)
from apps.risk.kernels.tail import exact_split
from apps.risk.methods.registry import Estimate, FloatArray, PricedBook, Scenario
from apps.risk.methods.scenarios import WORST_SHOWN, Scenarios

FEWEST_FOR_STUDENT_T = 3
_FEW_DF = 2.0


@dataclass(frozen=True, slots=True)
class Fitted:
    """Location and scale of the book's P&L; `df` is None for the normal distribution."""

    location: float
    scale: float
    df: float | None
    warnings: tuple[str, ...] = ()


def fitted(pnl: FloatArray, distribution: str) -> Fitted:
    """Normal by mean and standard deviation (n - 1), Student t by maximum likelihood."""
    if distribution == "normal":
        deviation = float(np.std(pnl, ddof=1))
        return Fitted(float(np.mean(pnl)), deviation if deviation > 1e-14 * float(np.abs(pnl).max()) else 0.0, None)
    if len(pnl) < FEWEST_FOR_STUDENT_T:
        raise InsufficientHistoryError(
            f"{len(pnl)} returns for the Student t distribution; expected at least {FEWEST_FOR_STUDENT_T}.",
            "Ask for a longer window_days, or for the normal distribution.",
            attr="window_days",
        )
    fit = fit_student_t(pnl)
    return Fitted(fit.location, fit.scale, fit.df, _doubts(fit))


def _doubts(fit: StudentT) -> tuple[str, ...]:
    if fit.scale and fit.df >= LARGEST_DF * (1 - 1e-6):
        return (
            f"the P&L has no fatter tails than the normal distribution: degrees of freedom stopped at {fit.df:.0f}",
        )
    if fit.scale and fit.df <= _FEW_DF:
        return (f"{fit.df:.2f} degrees of freedom fitted: the P&L has no finite variance, and ES leans on few days",)
    return ()


def elliptical_estimate(
    book: PricedBook, scenarios: Scenarios, fit: Fitted, tail: Elliptical, standard_error: float | None = None
) -> Estimate:
    """`standard_error` is that of the standard variable's quantile."""
    described: Moments = moments(scenarios.returns, book.values, scenarios.pnl)
    var, shortfall = (
        elliptical_split(described, book.values, fit.location, fit.scale, quantile)
        for quantile in (tail.quantile, tail.tail_mean)
    )
    scale = scenarios.scale
    (total_var, total_es), components = exact_split(np.stack([var[0], shortfall[0]]) * scale)
    worst = worst_scenarios(scenarios.pnl, WORST_SHOWN)
    return Estimate(
        var=total_var,
        expected_shortfall=total_es,
        observations=len(scenarios.pnl),
        component_var=components[0],
        marginal_var=var[1] * scale,
        incremental_var=var[2] * scale,
        component_es=components[1],
        marginal_es=shortfall[1] * scale,
        incremental_es=shortfall[2] * scale,
        worst=[Scenario(str(scenarios.dates[row]), float(scenarios.pnl[row])) for row in worst],
        standard_error=None if standard_error is None else standard_error * fit.scale * scale,
        warnings=[*book.warnings, *fit.warnings],
    )


def figure(fit: Fitted, quantile: float) -> float:
    value = fit.scale * quantile - fit.location
    if not math.isfinite(value):
        raise ValueError(f"location {fit.location}, scale {fit.scale}: expected finite numbers")
    return value
