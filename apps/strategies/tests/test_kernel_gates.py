"""Figures of the gates: known ones by hand, the measures of pandas beside ours, and None where there is no figure."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.analytics.kernels.performance import measure
from apps.strategies.kernels import gates
from apps.strategies.kernels.gates import gate_figures
from apps.strategies.kernels.simulation import Simulated, simulate

quick = settings(max_examples=100, deadline=None)


def of_values(*values: float, traded: list[float] | None = None, orders: list[list[float]] | None = None) -> Simulated:
    days = len(values)
    ordered = np.zeros((days, 2)) if orders is None else np.array(orders, dtype=float)
    nothing = np.zeros(days)
    return Simulated(
        values=np.array(values, dtype=float),
        cash=np.array(values, dtype=float),
        exposures=nothing,
        quantities=np.zeros(ordered.shape),
        orders=ordered,
        traded_notional=nothing if traded is None else np.array(traded, dtype=float),
        costs=nothing,
    )


def random_walk(seed: int) -> Simulated:
    random = np.random.default_rng(seed)
    return of_values(*(1e6 * np.exp(np.cumsum(random.normal(0, 0.01, int(random.integers(3, 600)))))))


@quick
@given(st.integers(0, 10**6))
def test_figures_are_those_of_pandas(seed):
    simulated = random_walk(seed)
    values = pd.Series(simulated.values)
    returns = values.pct_change().dropna()

    found = gate_figures(simulated)

    assert found.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1) * math.sqrt(252), rel=1e-9)
    assert found.max_drawdown == pytest.approx((1 - values / values.cummax()).max(), rel=1e-9, abs=1e-12)
    assert found.annual_volatility == pytest.approx(returns.std(ddof=1) * math.sqrt(252), rel=1e-9)
    assert found.total_return == pytest.approx(values.iloc[-1] / values.iloc[0] - 1, rel=1e-9, abs=1e-12)
    assert found.annual_return == pytest.approx(
        (values.iloc[-1] / values.iloc[0]) ** (252 / len(returns)) - 1, rel=1e-9
    )


def test_figures_are_those_of_a_performance_report():
    simulated = random_walk(1)
    metrics = measure(simulated.values[1:] / simulated.values[:-1] - 1).metrics
    assert gates.sharpe(simulated) == metrics["sharpe"]
    assert gates.annual_return(simulated) == metrics["annual_return"]
    assert gates.max_drawdown(simulated) == -metrics["max_drawdown"]


def test_each_function_has_the_figure_of_all_together():
    simulated = random_walk(2)
    found = gate_figures(simulated)
    for name in ("sharpe", "max_drawdown", "total_return", "annual_return", "annual_volatility"):
        assert getattr(gates, name)(simulated) == getattr(found, name)
        assert name not in found.reasons


def test_drawdown_counts_from_the_first_value_and_is_positive():
    assert gates.max_drawdown(of_values(100, 75, 90, 120, 96)) == pytest.approx(0.25)


def test_book_that_only_rises_has_a_drawdown_of_zero():
    assert gates.max_drawdown(of_values(100, 101, 103)) == 0.0


@pytest.mark.parametrize("values", [(100,), (100, 101), (100, 100, 100), (100, 110, 121)])
def test_no_sharpe_ratio_without_two_returns_that_differ(values):
    found = gate_figures(of_values(*values))
    assert found.sharpe is None
    assert found.reasons["sharpe"]


def test_one_day_has_no_figure_and_says_why():
    found = gate_figures(of_values(100.0))
    figures = (found.sharpe, found.max_drawdown, found.annual_turnover, found.total_return, found.annual_return)
    assert set(figures) == {None}
    assert "one day only" in found.reasons["max_drawdown"]
    assert "one day only" in found.reasons["annual_turnover"]


def test_book_that_lost_more_than_everything_counts_until_then():
    found = gate_figures(of_values(100, 120, -30, 500, 600))
    assert found.total_return == pytest.approx(-1.3)
    assert found.max_drawdown == pytest.approx(1.25)
    assert found.annual_return is None
    assert "lost" in found.reasons["annual_return"]
    assert found.sharpe < 0


def test_book_that_lost_just_everything_has_lost_it_all():
    found = gate_figures(of_values(100, 50, 0, 0))
    assert (found.total_return, found.max_drawdown, found.annual_return) == (-1.0, 1.0, -1.0)


def test_turnover_is_half_of_what_is_traded_over_the_mean_value_and_the_years():
    # 504 returns are two years; 600 + 200 of 100 traded, one way 400: four times, twice a year.
    values = [100.0] * 505
    traded = [0.0, 600.0, 200.0, *[0.0] * 502]
    assert gates.annual_turnover(of_values(*values, traded=traded)) == pytest.approx(2.0)


def test_book_that_turns_over_all_of_itself_daily_has_a_turnover_of_252():
    days = 11
    closes = np.full((days, 2), 10.0)
    weights = np.array([[1.0, 0.0], [0.0, 1.0]] * days)[: days - 1]
    found = simulate(closes, np.arange(days - 1), weights, cash=1000.0, steps=np.zeros(2))
    # The first day only buys: half of the notional of the others.
    assert gates.annual_turnover(found) == pytest.approx(252 * 9.5 / 10)


def test_turnover_of_a_book_without_value_is_none():
    found = gate_figures(of_values(100, -500, -500))
    assert found.annual_turnover is None
    assert "not above zero" in found.reasons["annual_turnover"]


def test_capacity_is_the_equity_at_which_the_worst_order_reaches_the_share_of_the_volume():
    simulated = of_values(1000, 2000, orders=[[10, -5], [-40, 0]])
    # 1000 x 0.1 x 500 / 10, 1000 x 0.1 x 100 / 5, 2000 x 0.1 x 500 / 40.
    assert gates.capacity(simulated, np.array([500.0, 100.0])) == pytest.approx(min(5000, 2000, 2500))
    assert gates.capacity(simulated, np.array([500.0, 100.0]), 0.05) == pytest.approx(1000)


def test_capacity_passes_over_symbols_whose_volume_is_unknown():
    simulated = of_values(1000, 2000, orders=[[10, -5], [-40, 0]])
    assert gates.capacity(simulated, np.array([500.0, math.nan])) == pytest.approx(2500)


@pytest.mark.parametrize("orders", [[[10.0, 5.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
def test_no_capacity_where_no_volume_is_known(orders):
    simulated = of_values(1000, 2000, orders=orders)
    assert gates.capacity(simulated, np.array([math.nan, math.nan])) is None
    assert "volume is known" in gate_figures(simulated).reasons["capacity"]
    assert gate_figures(simulated, np.array([math.nan, math.nan])).capacity is None


@quick
@given(st.integers(0, 10**6))
def test_at_its_capacity_the_same_backtest_reaches_the_share_of_the_volume_and_no_more(seed):
    random = np.random.default_rng(seed)
    closes = 50 * np.exp(np.cumsum(random.normal(0, 0.01, (20, 3)), axis=0))
    weights, volumes = random.normal(0.2, 0.2, (4, 3)), random.uniform(1e5, 1e7, 3)
    terms = {"decision_rows": np.array([0, 5, 10, 15]), "weights": weights, "steps": np.zeros(3), "cost_rate": 0.001}

    first = simulate(closes, cash=1e8, **terms)

    most = gates.capacity(first, volumes, 0.1)

    # Capacity is an equity of the day of a decision: that of the worst order.
    share = np.abs(first.orders) / volumes
    worst = np.unravel_index(np.argmax(share / first.values[:, None]), share.shape)
    scaled = simulate(closes, cash=1e8 * most / first.values[worst[0]], **terms)
    assert np.abs(scaled.orders[worst]) / volumes[worst[1]] == pytest.approx(0.1, rel=1e-6)
    assert (np.abs(scaled.orders) / volumes / (scaled.values[:, None] / most)).max() == pytest.approx(0.1, rel=1e-6)


@pytest.mark.parametrize(
    ("volumes", "share", "words"),
    [
        ([1.0, -1.0], 0.1, "least volume is -1.0"),
        ([1.0], 0.1, r"shape \(1,\); expected \(2,\)"),
        ([1.0, 1.0], 0.0, "max_participation is 0.0"),
        ([1.0, 1.0], 1.5, "max_participation is 1.5"),
    ],
)
def test_volumes_and_shares_that_make_no_sense_are_refused(volumes, share, words):
    with pytest.raises(ValueError, match=words):
        gates.capacity(of_values(1000, 2000), np.array(volumes), share)
