"""The figures of a period that are more than measures of its returns, each null with a reason where there is none."""

from collections.abc import Callable
from typing import Any

import numpy as np

from apps.analytics.attribution import attribution_of
from apps.analytics.confidence import intervals_of
from apps.analytics.contributions import TOTAL_LOSS, contributions_of, daily_contributions, gains_of, turnover_of
from apps.analytics.factors import regression_of
from apps.analytics.gains import pnl_of
from apps.analytics.kernels.money_weighted import MoneyWeighted, money_weighted_return
from apps.analytics.kernels.performance import monthly_returns
from apps.analytics.period import Period
from apps.analytics.rolling import rolling_of
from apps.portfolios.matrix import FloatArray, PriceMatrix

Figure = tuple[Any, str | None]


def figures_of_book(
    inputs: dict[str, Any],
    period: Period,
    benchmark: FloatArray | None,
    matrix: PriceMatrix,
    progress: Callable[[int, int], None],
) -> tuple[dict[str, Any], dict[str, str]]:
    """The result's fields by name, and why for each that is None."""
    gains, rate = gains_of(period), inputs["risk_free_rate"]
    returned = money_weighted_of(period)
    figures: dict[str, Figure] = {
        "money_weighted_return": (returned.rate, returned.reason),
        "turnover": (turnover_of(period), "the mean value of the book is not above zero"),
        "attribution": attribution_of(period, daily_contributions(period, gains), inputs, matrix),
        "rolling": rolling_of(period.ends, period.returns, benchmark, inputs["rolling_window_days"], rate),
        "regression": regression_of(period, inputs["factors"], rate, matrix),
        "confidence_intervals": intervals_of(period.returns, benchmark, rate, inputs["bootstrap"], progress),
    }
    rest = contributions_of(period, gains, float(np.multiply.reduce(1.0 + period.returns)) - 1.0)
    figures |= {name: (value, TOTAL_LOSS) for name, value in rest.items()}
    fields = {name: value for name, (value, _) in figures.items()}
    reasons = {name: reason for name, (value, reason) in figures.items() if value is None and reason}
    return {**fields, **_periods(period), "pnl": _pnl(inputs, period)}, reasons


def money_weighted_of(period: Period) -> MoneyWeighted:
    """As of somebody who bought the book at its first value, paid in what came in, and was paid its last."""
    if period.values[-1] - period.net_flows[-1] <= 0:
        return MoneyWeighted(None, "everything was lost: no rate grows to nothing")
    amounts = 0.0 - period.net_flows
    amounts[0] = 0.0 - period.values[0]
    amounts[-1] += period.values[-1]
    days = (period.dates - period.dates[0]).astype("timedelta64[D]").astype(np.float64)
    return money_weighted_return(days, amounts)


def _pnl(inputs: dict[str, Any], period: Period) -> dict[str, Any]:
    return pnl_of(period, inputs["portfolio_id"], inputs["ledger_version"])


def _periods(period: Period) -> dict[str, Any]:
    """Compounded returns of each quarter and year that has a day."""
    months = period.ends.astype("datetime64[M]").astype(int)
    year, quarter = 1970 + months // 12, months % 12 // 3 + 1
    quarters = monthly_returns(year, quarter, period.returns)
    years = monthly_returns(year, np.ones_like(year), period.returns)
    return {
        "quarterly_returns": [{"year": year, "quarter": number, "return": value} for year, number, value in quarters],
        "yearly_returns": [{"year": year, "return": value} for year, _, value in years],
    }
