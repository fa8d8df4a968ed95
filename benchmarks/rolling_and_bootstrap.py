"""Rolling measures and bootstrap intervals, beside empyrical's rolling functions and a loop over the resamples."""

from collections.abc import Callable, Iterator
from typing import Any

import empyrical
import numpy as np
import pandas as pd
from arch.bootstrap import StationaryBootstrap
from rich.console import Console
from rich.table import Table

from apps.analytics.kernels.bootstrap import resampled_days
from apps.analytics.kernels.headline import headline_measures
from apps.analytics.kernels.rolling import rolling_beta, rolling_max_drawdown, rolling_sharpe, rolling_var
from benchmarks.measuring import interleaved, ratio

TITLE = "Rolling measures and bootstrap of 8,312 days"
DAYS, WINDOW, SAMPLES, BLOCK_DAYS, PORTFOLIOS = 8_312, 252, 100, 20.0, 100
OURS, PEER = "ours", "peer"

Callers = dict[str, Callable[[], Any]]


def run(rounds: int, calls: int) -> dict[str, Any]:
    cases = [_case(name, callers, rounds, max(1, calls // 20)) for name, callers in _cases()]
    return {"title": TITLE, "unit": "ms", "goal": "a small part of the peer's time", "cases": cases}


def _case(name: str, callers: Callers, rounds: int, calls: int) -> dict[str, Any]:
    series = interleaved(callers, rounds, calls, unit=1e-3)
    return {
        "case": name,
        "series": {caller: one.figures() for caller, one in series.items()},
        "ratio": ratio(series[OURS], series[PEER]),
    }


def _cases() -> Iterator[tuple[str, Callers]]:
    random = np.random.default_rng(1)
    many = random.standard_t(5, (DAYS, PORTFOLIOS)) * 0.01
    returns, benchmark = np.ascontiguousarray(many[:, 0]), np.ascontiguousarray(many[:, 1])
    dated = [pd.Series(each) for each in (returns, benchmark)]
    yield (
        "rolling Sharpe, empyrical",
        {
            OURS: lambda: rolling_sharpe(returns, WINDOW),
            PEER: lambda: empyrical.roll_sharpe_ratio(dated[0], window=WINDOW),
        },
    )
    yield (
        "rolling beta, empyrical",
        {
            OURS: lambda: rolling_beta(returns, benchmark, WINDOW),
            PEER: lambda: empyrical.roll_beta(*dated, window=WINDOW),
        },
    )
    yield (
        "rolling drawdown, empyrical",
        {
            OURS: lambda: rolling_max_drawdown(returns, WINDOW),
            PEER: lambda: empyrical.roll_max_drawdown(dated[0], window=WINDOW),
        },
    )
    yield (
        "rolling VaR, pandas' quantile",
        {OURS: lambda: rolling_var(returns, WINDOW), PEER: lambda: dated[0].rolling(WINDOW).quantile(0.05)},
    )
    yield (
        f"rolling Sharpe of {PORTFOLIOS} portfolios, one by one",
        {
            OURS: lambda: rolling_sharpe(many, WINDOW),
            PEER: lambda: [rolling_sharpe(column, WINDOW) for column in np.ascontiguousarray(many.T)],
        },
    )
    yield (
        f"{SAMPLES} resamples, all headline measures, arch with empyrical's",
        {
            OURS: lambda: _all_samples(returns, benchmark),
            PEER: lambda: StationaryBootstrap(BLOCK_DAYS, returns, benchmark, seed=0).apply(_by_empyrical, SAMPLES),
        },
    )


def _all_samples(returns: np.ndarray, benchmark: np.ndarray) -> list[dict[str, np.ndarray]]:
    days = resampled_days(len(returns), SAMPLES, BLOCK_DAYS, 0)
    return [headline_measures(returns[rows], benchmark[rows]) for rows in days]


def _by_empyrical(returns: np.ndarray, benchmark: np.ndarray) -> np.ndarray:
    """The same measures, but for the information ratio, which empyrical's excess Sharpe stands for."""
    of_one = (
        *(empyrical.cum_returns_final, empyrical.annual_return, empyrical.max_drawdown, empyrical.calmar_ratio),
        *(empyrical.annual_volatility, empyrical.sharpe_ratio, empyrical.sortino_ratio),
        *(empyrical.value_at_risk, empyrical.conditional_value_at_risk),
    )
    against = [*empyrical.alpha_beta(returns, benchmark), empyrical.excess_sharpe(returns, benchmark)]
    return np.array([*(measure(returns) for measure in of_one), *against])


def show(console: Console, answer: dict[str, Any]) -> None:
    table = Table("case, peer", "ours, ms", "peer, ms", "ratio", title=answer["title"])
    for case in answer["cases"]:
        figures = [f"{case['series'][name]['p50']:.1f}" for name in (OURS, PEER)]
        table.add_row(case["case"], *figures, f"{case['ratio']:.4f}")
    console.print(table)
    console.print(f"Goal: {answer['goal']}.", highlight=False)
