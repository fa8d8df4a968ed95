"""The tear sheet as one JSON value: every format is made from it, so that all show the same figures."""

from datetime import datetime
from typing import Any

import numpy as np

from apps.analytics.models import AnalyticsMetric
from apps.analytics.reports.curves import (
    FEWEST_DAYS,
    FloatArray,
    Series,
    drawdown_of,
    growth_of,
    rolling_of,
    rolling_window,
    series_of,
)
from apps.analytics.reports.standing import limits_of, positions_of
from apps.portfolios.models import Portfolio
from apps.portfolios.prices import current_price_version

Sheet = dict[str, Any]


def make_sheet(metric: AnalyticsMetric, made_at: datetime) -> Sheet:
    """All that a report says of a stored performance; never NaN or infinity, but null.

    `performance` is the stored result as it stands. `daily` has a row a day with the start as its first, each a list
    of numbers or nulls, fractions; `positions` and `limits` are of now and say so.
    """
    series = series_of(metric)
    portfolio, positions = positions_of(metric.portfolio_id)
    return {
        "portfolio": _portfolio(portfolio),
        "performance": metric.result,
        "daily": _daily(series, metric.result),
        "yearly_returns": _yearly(series),
        "positions": positions,
        "limits": limits_of(portfolio),
        "provenance": _provenance(metric, portfolio, made_at),
    }


def _portfolio(portfolio: Portfolio) -> dict[str, Any]:
    return {
        "portfolio_id": portfolio.id,
        "name": portfolio.name,
        "currency": portfolio.base_currency,
        "inception_date": str(portfolio.inception_date),
        "trading_state": portfolio.trading_state,
        "closed": portfolio.closed_at is not None,
    }


def _provenance(metric: AnalyticsMetric, portfolio: Portfolio, made_at: datetime) -> dict[str, Any]:
    inputs = metric.snapshot.inputs
    return {
        "calculated_at": _moment(metric.timestamp),
        "made_at": _moment(made_at),
        "task_id": str(metric.task_id) if metric.task_id else None,
        "snapshot_id": metric.snapshot_id,
        "ledger_version": inputs["ledger_version"],
        "price_version": inputs["price_version"],
        "ledger_version_now": portfolio.ledger_version,
        "price_version_now": current_price_version(),
    }


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _daily(series: Series, performance: dict[str, Any]) -> dict[str, Any]:
    growth = growth_of(series.returns)
    of_benchmark = None if series.benchmark is None else growth_of(series.benchmark)
    return {
        "dates": [str(series.start), *map(str, series.ends)],
        "return": _numbers(series.returns, missing=1),
        "cumulative_return": _numbers(growth - 1.0),
        "drawdown": _numbers(drawdown_of(growth)),
        "benchmark_return": None if series.benchmark is None else _numbers(series.benchmark, missing=1),
        "benchmark_cumulative_return": None if of_benchmark is None else _numbers(of_benchmark - 1.0),
        "benchmark_drawdown": None if of_benchmark is None else _numbers(drawdown_of(of_benchmark)),
        "benchmark_reason": series.benchmark_reason,
        **_rolling(series, performance),
    }


_ROLLING = ("rolling_sharpe", "rolling_volatility", "benchmark_rolling_sharpe", "benchmark_rolling_volatility")


def _rolling(series: Series, performance: dict[str, Any]) -> dict[str, Any]:
    """Over the window that the performance was asked for, or one that fits the period."""
    asked = (performance.get("rolling") or {}).get("window_days")
    window = asked or rolling_window(len(series.returns))
    if window is None:
        reason = f"A rolling figure needs {FEWEST_DAYS} returns or more; there are {len(series.returns)}"
        return {"rolling_window_days": None, "rolling_reason": reason, **dict.fromkeys(_ROLLING)}
    rate = performance["risk_free_rate"]
    own = rolling_of(series.returns, window, rate)
    other = (None, None) if series.benchmark is None else rolling_of(series.benchmark, window, rate)
    columns = [None if column is None else _numbers(column, missing=1) for column in (*own, *other)]
    return {"rolling_window_days": window, "rolling_reason": None, **dict(zip(_ROLLING, columns, strict=True))}


def _numbers(column: FloatArray, missing: int = 0) -> list[float | None]:
    """As JSON has them; `missing` nulls stand before them for the days that have no figure."""
    finite = np.isfinite(column)
    values = column.tolist()
    if not finite.all():
        values = [value if known else None for value, known in zip(values, finite.tolist(), strict=True)]
    return [None] * missing + values


def _yearly(series: Series) -> list[dict[str, Any]]:
    """Compounded return of each calendar year that has a day, of the portfolio and of the benchmark."""
    years = series.ends.astype("datetime64[Y]").astype(int) + 1970
    first = np.flatnonzero(np.diff(years, prepend=years[0] - 1))
    own = _compounded(series.returns, first)
    other = [None] * len(first) if series.benchmark is None else _compounded(series.benchmark, first)
    days = np.diff(np.append(first, len(years))).tolist()
    rows = zip(years[first].tolist(), own, other, days, strict=True)
    return [{"year": year, "return": mine, "benchmark_return": its, "days": count} for year, mine, its, count in rows]


def _compounded(returns: FloatArray, first: Any) -> list[float | None]:
    with np.errstate(over="ignore", invalid="ignore"):
        return _numbers(np.multiply.reduceat(1.0 + returns, first) - 1.0)
