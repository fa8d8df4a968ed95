"""Measures beside empyrical-reloaded and quantstats: equal to 1e-9 where the definition is the same.

Where it is another, the test computes theirs from ours, as docs/metrics.md explains it.
"""

import math
import re
from collections.abc import Callable
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from apps.analytics.kernels.performance import NAMES, measure
from apps.analytics.tests.series import SAMPLES, odd_series, random_series, sample_series

SOURCES = [*SAMPLES, 1, 2, 3]
RATES = [0.0, 0.03]
CLOSE = 1e-9

Figures = dict[str, Any]


@pytest.fixture(scope="module")
def empyrical() -> ModuleType:
    return pytest.importorskip("empyrical")


@pytest.fixture(scope="module")
def quantstats() -> ModuleType:
    return pytest.importorskip("quantstats").stats


@cache
def series(source: str | int) -> tuple[pd.Series, pd.Series]:
    """Book and benchmark of a sample portfolio, or made from a seed."""
    dates, returns, market = sample_series(source) if isinstance(source, str) else random_series(source)
    return pd.Series(returns, dates), pd.Series(market, dates)


def measured(book: pd.Series, benchmark: pd.Series | None = None, rate: float = 0.0) -> dict[str, Any]:
    beside = None if benchmark is None else benchmark.to_numpy()
    return measure(book.to_numpy(), beside, rate, book.index.to_numpy().astype("datetime64[D]")).metrics


def daily(rate: float) -> float:
    """What empyrical takes as its risk-free rate."""
    return (1 + rate) ** (1 / 252) - 1


def assert_same(ours: dict[str, Any], theirs: Figures) -> None:
    assert {name: ours[name] for name in theirs} == pytest.approx(theirs, rel=CLOSE, abs=CLOSE)


# --- empyrical


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("rate", RATES)
def test_series_alone_agrees_with_empyrical(empyrical, source, rate):
    book, _ = series(source)
    theirs = {
        "total_return": empyrical.cum_returns_final(book),
        "annual_return": empyrical.cagr(book),
        "annual_volatility": empyrical.annual_volatility(book),
        "downside_risk": empyrical.downside_risk(book, daily(rate)),
        "sharpe": empyrical.sharpe_ratio(book, daily(rate)),
        "sortino": empyrical.sortino_ratio(book, daily(rate)),
        "omega": empyrical.omega_ratio(book, daily(rate)),
        "calmar": empyrical.calmar_ratio(book),
        "max_drawdown": empyrical.max_drawdown(book),
        "stability": empyrical.stability_of_timeseries(book),
        "tail_ratio": empyrical.tail_ratio(book),
    }
    assert_same(measured(book, rate=rate), theirs)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("rate", RATES)
def test_series_beside_its_benchmark_agrees_with_empyrical(empyrical, source, rate):
    book, market = series(source)
    up = empyrical.up_alpha_beta(book, market, risk_free=daily(rate))
    down = empyrical.down_alpha_beta(book, market, risk_free=daily(rate))
    batting = empyrical.batting_average(book, market)
    theirs = {
        "alpha": empyrical.alpha(book, market, daily(rate)),
        "beta": empyrical.beta(book, market, daily(rate)),
        "capture": empyrical.capture(book, market),
        "up_capture": empyrical.up_capture(book, market),
        "down_capture": empyrical.down_capture(book, market),
        "up_down_capture": empyrical.up_down_capture(book, market),
        "alpha_up": up[0],
        "beta_up": up[1],
        "alpha_down": down[0],
        "beta_down": down[1],
        "batting_average": batting["batting average"],
        "batting_average_up": batting["up market"],
        "batting_average_down": batting["down market"],
        "information_ratio": empyrical.excess_sharpe(book, market) * math.sqrt(252),
    }
    assert_same(measured(book, market, rate), theirs)


@pytest.mark.parametrize("source", [1, 2, 3])
def test_fragility_agrees_with_empyrical_where_no_two_of_the_benchmarks_returns_are_equal(empyrical, source):
    book, market = series(source)
    assert_same(measured(book, market), {"beta_fragility": empyrical.beta_fragility_heuristic(book, market)})


@pytest.mark.parametrize("source", SOURCES)
def test_months_quarters_and_years_agree_with_empyrical(empyrical, source):
    book, _ = series(source)
    theirs = {
        f"{which}_{unit}": getattr(empyrical.aggregate_returns(book, period), extreme)()
        for unit, period in (("month", "monthly"), ("quarter", "quarterly"), ("year", "yearly"))
        for which, extreme in (("best", "max"), ("worst", "min"))
    }
    assert_same(measured(book), theirs)


@pytest.mark.parametrize("source", SOURCES)
def test_empyricals_information_ratio_is_that_of_a_day(empyrical, source):
    book, market = series(source)
    ours = measured(book, market)["information_ratio"]
    assert empyrical.excess_sharpe(book, market) == pytest.approx(ours / math.sqrt(252), rel=CLOSE)


def test_empyricals_var_differs_because_it_interpolates(empyrical):
    returns = np.arange(-50.0, 50.0) / 100
    assert measure(returns).metrics["var_95"] == 0.46  # the 5th worst of 100
    assert empyrical.value_at_risk(returns, 0.05) == pytest.approx(-0.4505)  # 95 % of the way from 5th to 6th worst


def test_empyricals_cvar_differs_because_it_counts_whole_scenarios(empyrical):
    returns = np.arange(-50.0, 0.0) / 100
    assert measure(returns).metrics["cvar_95"] == pytest.approx(0.492)  # (50 + 49 + 0.5 x 48) / 2.5
    assert empyrical.conditional_value_at_risk(returns, 0.05) == pytest.approx(-0.49)  # (50 + 49 + 48) / 3


@pytest.mark.parametrize("source", SOURCES)
def test_skew_and_kurtosis_that_empyrical_takes_from_scipy_are_not_corrected_for_bias(source):
    from scipy.stats import kurtosis, skew

    book, _ = series(source)
    ours, n = measured(book), len(book)
    assert skew(book) == pytest.approx(ours["skew"] * (n - 2) / math.sqrt(n * (n - 1)), rel=CLOSE)
    plain = (ours["kurtosis"] * (n - 2) * (n - 3) / (n - 1) - 6) / (n + 1)
    assert kurtosis(book) == pytest.approx(plain, rel=CLOSE, abs=CLOSE)


# --- quantstats


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("rate", RATES)
def test_series_alone_agrees_with_quantstats(quantstats, source, rate):
    book, _ = series(source)
    theirs = {
        "total_return": quantstats.comp(book),
        "annual_return": quantstats.cagr(book),
        "annual_volatility": quantstats.volatility(book),
        "log_volatility": quantstats.implied_volatility(book, annualize=False) * math.sqrt(252),
        "sharpe": quantstats.sharpe(book, rate),
        "smart_sharpe": quantstats.smart_sharpe(book, rate),
        "probabilistic_sharpe": quantstats.probabilistic_sharpe_ratio(book, rate),
        "sortino": quantstats.sortino(book, rate),
        "smart_sortino": quantstats.smart_sortino(book, rate),
        "adjusted_sortino": quantstats.adjusted_sortino(book, rate),
        "probabilistic_sortino": quantstats.probabilistic_sortino_ratio(book, rate),
        "probabilistic_adjusted_sortino": quantstats.probabilistic_adjusted_sortino_ratio(book, rate),
        "omega": quantstats.omega(book, rate),
        "skew": quantstats.skew(book),
        "kurtosis": quantstats.kurtosis(book),
        "max_drawdown": quantstats.max_drawdown(book),
        "calmar": quantstats.calmar(book),
        "autocorrelation_penalty": quantstats.autocorr_penalty(book),
        "risk_return_ratio": quantstats.risk_return_ratio(book),
    }
    assert_same(measured(book, rate=rate), theirs)


@pytest.mark.parametrize("source", SOURCES)
def test_days_as_bets_agree_with_quantstats(quantstats, source):
    book, _ = series(source)
    theirs = {
        "win_rate": quantstats.win_rate(book),
        "average_return": quantstats.avg_return(book),
        "average_win": quantstats.avg_win(book),
        "average_loss": quantstats.avg_loss(book),
        "payoff": quantstats.payoff_ratio(book),
        "profit_factor": quantstats.profit_factor(book),
        "profit_ratio": quantstats.profit_ratio(book),
        "kelly": quantstats.kelly_criterion(book),
        "risk_of_ruin": quantstats.risk_of_ruin(book),
        "cpc_index": quantstats.cpc_index(book),
        "common_sense_ratio": quantstats.common_sense_ratio(book),
        "tail_ratio": quantstats.tail_ratio(book),
        "outlier_win_ratio": quantstats.outlier_win_ratio(book),
        "outlier_loss_ratio": quantstats.outlier_loss_ratio(book),
        "gain_to_pain": quantstats.gain_to_pain_ratio(book),
        "longest_winning_streak": quantstats.consecutive_wins(book),
        "longest_losing_streak": quantstats.consecutive_losses(book),
        "var_95_normal": -quantstats.value_at_risk(book),
        "cvar_95_normal": -quantstats.conditional_value_at_risk(book),
    }
    assert_same(measured(book), theirs)


@pytest.mark.parametrize("source", SOURCES)
def test_months_quarters_and_years_agree_with_quantstats(quantstats, source):
    book, _ = series(source)
    theirs = {
        "expected_daily": quantstats.expected_return(book),
        "expected_monthly": quantstats.expected_return(book, aggregate="ME"),
        "expected_yearly": quantstats.expected_return(book, aggregate="YE"),
        "best_day": quantstats.best(book),
        "worst_day": quantstats.worst(book),
        "best_month": quantstats.best(book, aggregate="ME"),
        "worst_quarter": quantstats.worst(book, aggregate="QE"),
        "best_year": quantstats.best(book, aggregate="YE"),
        "average_up_month": quantstats.avg_win(book, aggregate="ME"),
        "average_down_month": quantstats.avg_loss(book, aggregate="ME"),
        "win_rate_months": quantstats.win_rate(book, aggregate="ME"),
        "win_rate_quarters": quantstats.win_rate(book, aggregate="QE"),
        "win_rate_years": quantstats.win_rate(book, aggregate="YE"),
    }
    assert_same(measured(book), theirs)


@pytest.mark.parametrize("source", SOURCES)
def test_series_beside_its_benchmark_agrees_with_quantstats(quantstats, source):
    book, market = series(source)
    theirs = {
        "beta": quantstats.greeks(book, market)["beta"],
        "r_squared": quantstats.r_squared(book, market),
        "correlation": book.corr(market),
        "information_ratio": quantstats.information_ratio(book, market) * math.sqrt(252),
    }
    assert_same(measured(book, market), theirs)


@pytest.mark.parametrize("source", SOURCES)
def test_average_drawdown_agrees_with_quantstats(quantstats, source):
    book, _ = series(source)
    details = quantstats.drawdown_details(quantstats.to_drawdown_series(book))
    assert measured(book)["average_drawdown"] == pytest.approx(details["max drawdown"].mean() / 100, rel=CLOSE)


def theirs_from_ours(
    quantstats: ModuleType, book: pd.Series, market: pd.Series, rate: float
) -> dict[str, tuple[Any, Any]]:
    """(theirs, the same from our measures) of each whose definition is another; why is said in docs/metrics.md."""
    ours, n = measured(book, market, rate), len(book)
    total, ulcer = ours["total_return"], ours["ulcer_index"] * math.sqrt(n / (n - 1))
    falls = quantstats.to_drawdown_series(book)
    tail = falls.std() * norm.pdf(norm.ppf(0.05)) / 0.05 - falls.mean()
    years = len({day.year for day in book.index})
    sums = book.groupby([book.index.year, book.index.month]).sum()
    last_day, months = book.index[-1], pd.DateOffset(months=3)
    return {
        "ulcer": (quantstats.ulcer_index(book), ulcer),
        "martin": (quantstats.ulcer_performance_index(book, rate), (total - rate) / ulcer),
        "serenity": (quantstats.serenity_index(book, rate), (book.sum() - rate) / (ulcer * tail / book.std())),
        "recovery": (
            quantstats.recovery_factor(book, rate),
            abs(book.sum() - rate) / abs(ours["max_drawdown"]),
        ),
        "treynor": (quantstats.treynor_ratio(book, market, rf=rate), (total - rate) / ours["beta"]),
        "alpha": (
            quantstats.greeks(book, market)["alpha"],
            252 * (book.mean() - ours["beta"] * market.mean()),
        ),
        "exposure": (quantstats.exposure(book), math.ceil(ours["exposure"] * 100) / 100),
        "gain to pain, months": (
            quantstats.gain_to_pain_ratio(book, resolution="ME"),
            sums.sum() / -sums[sums < 0].sum(),
        ),
        "risk-adjusted": (
            quantstats.rar(book),
            ours["annual_return"] / (math.ceil(ours["exposure"] * 100) / 100),
        ),
        "years": (quantstats.expected_return(book, aggregate="YE"), (1 + total) ** (1 / years) - 1),
        "3 months": (
            quantstats.comp(book[book.index >= last_day - months]),
            (1 + ours["return_3m"]) * (1 + book.get(last_day - months, 0.0)) - 1,
        ),
    }


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("rate", RATES)
def test_what_quantstats_defines_otherwise_follows_from_ours(quantstats, source, rate):
    for name, (theirs, from_ours) in theirs_from_ours(quantstats, *series(source), rate).items():
        assert theirs == pytest.approx(from_ours, rel=CLOSE, abs=CLOSE), name


@pytest.mark.parametrize("source", SOURCES)
def test_ours_of_those_are_what_their_formulas_say(source):
    book, market = series(source)
    ours = measured(book, market, 0.03)
    value = np.concatenate(([1.0], np.cumprod(1 + book.to_numpy())))
    falls = (value / np.maximum.accumulate(value) - 1)[1:]
    ulcer, reward = math.sqrt(np.mean(falls**2)), ours["annual_return"] - 0.03
    tail = np.std(falls, ddof=1) * norm.pdf(norm.ppf(0.05)) / 0.05 - falls.mean()
    expected = {
        "ulcer_index": ulcer,
        "pain_index": -falls.mean(),
        "martin": reward / ulcer,
        "pain_ratio": -reward / falls.mean(),
        "serenity": reward / (ulcer * tail / (book.std() * math.sqrt(252))),
        "recovery_factor": ours["total_return"] / -falls.min(),
        "treynor": reward / ours["beta"],
        "tracking_error": (book - market).std() * math.sqrt(252),
        "active_return": ours["annual_return"] - ((1 + market).prod() ** (252 / len(market)) - 1),
        "m_squared": 0.03 + ours["sharpe"] * market.std() * math.sqrt(252),
        "exposure": (book != 0).mean(),
    }
    assert_same(ours, expected)


# --- any series


def peers_of(empyrical: ModuleType, quantstats: ModuleType) -> dict[str, Callable[[pd.Series], float]]:
    return {
        "total_return": empyrical.cum_returns_final,
        "annual_return": empyrical.annual_return,
        "annual_volatility": empyrical.annual_volatility,
        "sharpe": empyrical.sharpe_ratio,
        "sortino": empyrical.sortino_ratio,
        "omega": empyrical.omega_ratio,
        "downside_risk": empyrical.downside_risk,
        "max_drawdown": empyrical.max_drawdown,
        "skew": quantstats.skew,
        "kurtosis": quantstats.kurtosis,
        "win_rate": quantstats.win_rate,
        "payoff": quantstats.payoff_ratio,
        "profit_factor": quantstats.profit_factor,
        "kelly": quantstats.kelly_criterion,
        "smart_sharpe": quantstats.smart_sharpe,
        "longest_winning_streak": quantstats.consecutive_wins,
        "longest_losing_streak": quantstats.consecutive_losses,
        "gain_to_pain": quantstats.gain_to_pain_ratio,
    }


@pytest.mark.parametrize("seed", range(140))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # The peers' own, where theirs is no number.
def test_odd_series_agree_with_their_peers_wherever_ours_is_a_number(empyrical, quantstats, seed):
    book = odd_series(seed)
    ours, peers = measured(book), peers_of(empyrical, quantstats)
    assert_same(ours, {name: peer(book) for name, peer in peers.items() if ours[name] is not None})


def test_series_alike_but_for_its_last_day_has_no_autocorrelation_of_rounding():
    ours = measured(pd.Series([0.003] * 59 + [-0.01], pd.bdate_range("2021-01-04", periods=60)))
    assert (ours["autocorrelation"], ours["autocorrelation_penalty"]) == (None, 1.0)


# --- the list


DOCUMENTED = set(re.findall(r"`([^`]+)`", (Path(__file__).parents[3] / "docs" / "metrics.md").read_text()))


def is_documented(name: str) -> bool:
    """By its name, or by a pattern such as `roll_*`."""
    return any(fnmatch(name, text.split("(")[0]) for text in DOCUMENTED)


def test_every_measure_is_in_the_docs_by_its_name():
    assert set(NAMES) - DOCUMENTED == set()


def test_every_public_function_of_the_peers_is_in_the_docs(empyrical, quantstats):
    imported = {"validate_input", "safe_concat", "safe_resample"}
    imported |= {"up", "down", "nanmax", "nanmean", "nanmin", "nanstd"}
    for stats in (empyrical.stats, quantstats):
        theirs = {name for name, item in vars(stats).items() if callable(item) and is_own(item, stats)}
        assert {name for name in theirs - imported if not name.startswith("_") and not is_documented(name)} == set()


def is_own(item: Any, module: ModuleType) -> bool:
    return item.__module__.split(".")[0] == module.__name__.split(".")[0]
