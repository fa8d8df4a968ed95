"""Money-weighted return: the yearly rate at which what was paid in grows to what came out.

Source: Bacon (2008), Practical Portfolio Performance Measurement and Attribution, 2nd ed., ch. 2 (internal rate of
return). Conventions are those of XIRR in spreadsheets and of pyxirr: years of 365 days, amounts negative when the
investor pays in, the rate compounds once a year and is above -100 %.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

FloatArray = npt.NDArray[np.float64]

DAYS_PER_YEAR = 365.0

# Logarithms of yearly growth that are looked at: growth from e^-60 to e^60 a year, which a day of +10 % is within.
_LARGEST = 60.0
_STEPS = 6001


@dataclass(frozen=True, slots=True)
class MoneyWeighted:
    """`rate` a year, a fraction, or None and the `reason`."""

    rate: float | None
    reason: str | None = None


def money_weighted_return(days: FloatArray, amounts: FloatArray) -> MoneyWeighted:
    """The r above -1 with sum(amount / (1 + r)^(day / 365)) = 0, as a float: -1.0 where it is within 1e-16 of that.

    `days` (flows,) since any first day, in any order; `amounts` (flows,), negative when paid in, what is left at the
    end positive. Amounts in time order that change sign once have exactly one rate (Descartes' rule of signs). Others
    are searched for every change of sign over growth from e^-60 to e^60 a year; where there are several, none is the
    return, and the reason names them. Two rates closer than 2 % of growth to each other may be taken for none.
    Raises ValueError for shapes that do not fit, NaN or infinity.
    """
    if days.ndim != 1 or days.shape != amounts.shape:
        raise ValueError(f"days {days.shape} and amounts {amounts.shape}; expected both (flows,)")
    if not (np.isfinite(days).all() and np.isfinite(amounts).all()):
        raise ValueError("days or amounts hold NaN or infinity; expected finite numbers only")
    times, flows = _in_time_order(days, amounts)
    if not ((flows > 0).any() and (flows < 0).any()):
        return MoneyWeighted(None, "money went one way only: no rate makes it equal to nothing")
    if times[0] == times[-1]:
        return MoneyWeighted(None, "all of the money moved on one day: it had no time to earn a rate")
    return _of_roots(_roots(times, flows))


def _in_time_order(days: FloatArray, amounts: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Years since the first flow, and what moved in each, without those that moved nothing."""
    dates, place = np.unique(days, return_inverse=True)
    totals = np.bincount(place, weights=amounts, minlength=len(dates)) if len(dates) else np.empty(0)
    moved = totals != 0
    dates = dates[moved]
    return (dates - dates[0] if len(dates) else dates) / DAYS_PER_YEAR, totals[moved]


def _of_roots(roots: list[float]) -> MoneyWeighted:
    if not roots:
        return MoneyWeighted(
            None, "no rate from growth of e^-60 to e^60 a year makes what was paid in equal to what came out"
        )
    rates = [math.expm1(root) for root in roots]
    if len(rates) > 1:
        named = ", ".join(f"{rate:.6g}" for rate in rates)
        return MoneyWeighted(None, f"{len(rates)} rates fit these flows: {named}")
    return MoneyWeighted(rates[0])


def _roots(times: FloatArray, flows: FloatArray) -> list[float]:
    """The logarithms of growth at which the present value changes sign, smallest first."""

    def present_value(growth: float) -> float:
        exponents = -growth * times
        return float(np.add.reduce(flows * np.exp(exponents - exponents.max())))

    one_change = np.count_nonzero(np.diff(np.sign(flows))) == 1
    grid = [-_LARGEST, _LARGEST] if one_change else np.linspace(-_LARGEST, _LARGEST, _STEPS).tolist()
    values = [present_value(growth) for growth in grid]
    exact = [growth for growth, value in zip(grid, values, strict=True) if value == 0]
    edges = zip(grid[:-1], grid[1:], values[:-1], values[1:], strict=True)
    crossed = [(low, high) for low, high, before, after in edges if before * after < 0]
    return sorted(
        exact + [float(scipy.optimize.brentq(present_value, *edge, xtol=1e-14, rtol=1e-14)) for edge in crossed]
    )
