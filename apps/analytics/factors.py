"""Regression of a period's excess returns on those of factors, each the returns of an instrument."""

import math
from typing import Any

import numpy as np

from apps.analytics.kernels.regression import Coefficient, NoRegression, Regression, regress
from apps.analytics.period import Period, closes_of, gap_of
from apps.portfolios.kernels.valuation import simple_returns
from apps.portfolios.matrix import PriceMatrix
from apps.risk.kernels.measures import TRADING_DAYS_PER_YEAR


def regression_of(
    period: Period, factors: list[str], risk_free_rate: float, matrix: PriceMatrix
) -> tuple[dict[str, Any] | None, str | None]:
    """The result's field, or None and why. The risk-free rate is taken off the book's returns and the factors'."""
    if not factors:
        return None, "factors was not given"
    closes = [closes_of(symbol, period.dates, matrix) for symbol in factors]
    gaps = (gap_of(symbol, column, period.dates) for symbol, column in zip(factors, closes, strict=True))
    if gap := next(filter(None, gaps), None):
        return None, gap
    rate = (1.0 + risk_free_rate) ** (1 / TRADING_DAYS_PER_YEAR) - 1.0
    found = regress(period.returns - rate, simple_returns(np.column_stack(closes)) - rate)
    if isinstance(found, NoRegression):
        return None, _reason(found, factors)
    return _shown(found, factors), None


def _reason(found: NoRegression, factors: list[str]) -> str:
    if not found.collinear:
        return found.reason
    *others, last = (factors[place] for place in found.collinear)
    if not others:
        return f"collinear factors: {last} does not vary"
    return f"collinear factors: {last} is a combination of {', '.join(others)}"


def _shown(found: Regression, factors: list[str]) -> dict[str, Any]:
    intercept, *slopes = found.coefficients
    return {
        "alpha": _compounded(intercept.value),
        "intercept": {"daily": intercept.value, **_errors(intercept)},
        "factors": [
            {"symbol": symbol, "beta": slope.value, **_errors(slope)}
            for symbol, slope in zip(factors, slopes, strict=True)
        ],
        "r_squared": found.r_squared,
        "adjusted_r_squared": found.adjusted_r_squared,
        "residual_volatility": found.residual_deviation * math.sqrt(TRADING_DAYS_PER_YEAR),
        "observations": found.observations,
        "newey_west_lags": found.lags,
    }


def _errors(coefficient: Coefficient) -> dict[str, float | None]:
    return {
        "standard_error": coefficient.standard_error,
        "t": coefficient.t,
        "p": coefficient.p,
        "newey_west_error": coefficient.newey_west_error,
        "newey_west_t": coefficient.newey_west_t,
        "newey_west_p": coefficient.newey_west_p,
    }


def _compounded(daily: float) -> float | None:
    """(1 + daily)^252 - 1; None below -100 % a day, or where it is too large for a number."""
    if daily < -1:
        return None
    try:
        return float((1.0 + daily) ** TRADING_DAYS_PER_YEAR - 1.0)
    except OverflowError:
        return None
