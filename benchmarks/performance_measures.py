"""All measures of daily returns: of one portfolio beside empyrical and quantstats, of 1,000 beside 1,000 calls."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.measuring import Series, interleaved, measured, ratio, spread

TITLE = "Measures of performance, 8,312 days"
DAYS, PORTFOLIOS, RATE = 8_312, 1_000, 0.02
SINGLE, EMPYRICAL, QUANTSTATS = "ours, all measures", "empyrical, its 13 headline measures", "quantstats, full table"
TOGETHER = "ours, 1,000 portfolios in one call"
GOALS = {
    "to_empyrical": "at most 1",
    "to_quantstats": "at most 0.01",
    "one_call_to_1000": "at most 0.2",
}
GROWTH_PORTFOLIOS, GROWTH_DAYS = (1, 10, 100, 1_000), (252, 1_000, 2_000, DAYS)


def run(rounds: int, calls: int) -> dict[str, Any]:
    from apps.analytics.kernels.performance import NAMES, measure, measure_all

    returns, market, ends = book(PORTFOLIOS)
    one = np.ascontiguousarray(returns[:, 0])
    callers = {
        SINGLE: lambda: measure(one, market, RATE, ends),
        EMPYRICAL: empyricals(one, ends),
        QUANTSTATS: quantstats_table(one, market, ends),
        TOGETHER: lambda: measure_all(returns, market, RATE, ends),
    }
    often = {SINGLE: calls, EMPYRICAL: calls}
    series = in_turn(callers, often, rounds)
    return {
        "title": TITLE,
        "unit": "ms",
        "measures": len(NAMES),
        "goals": GOALS,
        "series": {name: each.figures() for name, each in series.items()},
        "ratios": {
            "to_empyrical": ratio(series[SINGLE], series[EMPYRICAL]),
            "to_quantstats": ratio(series[SINGLE], series[QUANTSTATS]),
            "one_call_to_1000": ratio(series[TOGETHER], series[SINGLE]) / PORTFOLIOS,
        },
        "growth": growth(rounds, returns, market, ends),
    }


def book(portfolios: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns (days, portfolios), those of a benchmark (days,), fat-tailed, and weekdays (days,)."""
    random = np.random.default_rng(1)
    market = random.standard_t(4, DAYS) * 0.007 + 0.0003
    returns = 0.8 * market[:, None] + random.standard_t(4, (DAYS, portfolios)) * 0.004
    return returns, market, np.busday_offset("1991-01-02", np.arange(DAYS), roll="forward")


def empyricals(returns: np.ndarray, ends: np.ndarray) -> Callable[[], None]:
    """What pyfolio shows of every strategy, on a pandas series as its users call it."""
    import empyrical
    import pandas as pd
    from scipy import stats

    functions: list[Callable[[Any], Any]] = [
        *(empyrical.annual_return, empyrical.cum_returns_final, empyrical.annual_volatility, empyrical.sharpe_ratio),
        *(empyrical.calmar_ratio, empyrical.stability_of_timeseries, empyrical.max_drawdown, empyrical.omega_ratio),
        *(empyrical.sortino_ratio, stats.skew, stats.kurtosis, empyrical.tail_ratio, empyrical.value_at_risk),
    ]
    series = pd.Series(returns, pd.DatetimeIndex(ends))

    def call() -> None:
        for function in functions:
            function(series)

    return call


def quantstats_table(returns: np.ndarray, market: np.ndarray, ends: np.ndarray) -> Callable[[], None]:
    import pandas as pd
    import quantstats

    dates = pd.DatetimeIndex(ends)
    series, benchmark = pd.Series(returns, dates), pd.Series(market, dates)

    def call() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            quantstats.reports.metrics(series.copy(), benchmark.copy(), rf=RATE, mode="full", display=False)

    return call


def in_turn(callers: dict[str, Callable[[], Any]], often: dict[str, int], rounds: int) -> dict[str, Series]:
    """As `interleaved`, but the slow ones are called once a round."""
    series = {name: Series(name) for name in callers}
    for call in callers.values():
        measured(call, 1)
    for _ in range(rounds):
        for name, call in callers.items():
            series[name].add_round([seconds * 1e3 for seconds in measured(call, often.get(name, 1))])
    return series


def growth(rounds: int, returns: np.ndarray, market: np.ndarray, ends: np.ndarray) -> dict[str, Any]:
    """Milliseconds by portfolios at all days, and by days for one portfolio and for all."""
    from apps.analytics.kernels.performance import measure_all

    def caller(days: int, portfolios: int) -> Callable[[], Any]:
        columns = np.ascontiguousarray(returns[-days:, :portfolios])
        return lambda: measure_all(columns, market[-days:], RATE, ends[-days:])

    sizes = [(DAYS, portfolios) for portfolios in GROWTH_PORTFOLIOS]
    sizes += [(days, portfolios) for portfolios in (1, PORTFOLIOS) for days in GROWTH_DAYS[:-1]]
    callers = {f"{portfolios} x {days} days": caller(days, portfolios) for days, portfolios in sizes}
    return {name: each.figures() for name, each in interleaved(callers, rounds, 1, unit=1e-3).items()}


def show(console: Console, answer: dict[str, Any]) -> None:
    table = Table("", "p50 ms", "spread of p50", title=f"{answer['title']}, {answer['measures']} measures")
    for name, one in {**answer["series"], **answer["growth"]}.items():
        table.add_row(name, f"{one['p50']:.2f}", spread(one))
    console.print(table)
    for name, goal in answer["goals"].items():
        console.print(f"{name}: {answer['ratios'][name]:.4f}; goal {goal}.", highlight=False)
