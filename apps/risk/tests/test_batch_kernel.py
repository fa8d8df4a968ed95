"""Many books in one product: the figures of each book alone, to the bit, whatever stands beside it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.risk.kernels import batch
from apps.risk.kernels.batch import GRID_BITS, batch_tail
from apps.risk.kernels.historical import expected_shortfall, scenario_pnl, value_at_risk
from apps.risk.tests.books import SAMPLE_PORTFOLIOS, sample_book

CONFIDENCES = (0.95, 0.99, 0.975)
quick = settings(max_examples=40, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def books(seed, days=120, symbols=9, count=5):
    random = np.random.default_rng(seed)
    values = random.normal(0, 1e5, (count, symbols)) * (random.random((count, symbols)) < 0.7)
    return random.standard_t(4, (days, symbols)) * 0.01, values


@pytest.mark.parametrize("portfolio_id", SAMPLE_PORTFOLIOS)
def test_sample_portfolios_have_the_figures_of_their_analysis(portfolio_id):
    returns, values = sample_book(portfolio_id)
    pnl = scenario_pnl(returns, values)
    var, shortfall = batch_tail(returns, values[np.newaxis], CONFIDENCES)
    half_a_grid_step = math.ldexp(np.abs(values).sum(), -GRID_BITS)
    for level, confidence in enumerate(CONFIDENCES):
        assert var[level, 0] == pytest.approx(value_at_risk(pnl, confidence), abs=half_a_grid_step)
        assert shortfall[level, 0] == pytest.approx(expected_shortfall(pnl, confidence), abs=half_a_grid_step)


@quick
@given(seed=seeds, days=st.integers(1, 300), symbols=st.integers(1, 40))
def test_each_book_has_the_nearest_grid_point_of_its_own_exact_figures(seed, days, symbols):
    returns, values = books(seed, days, symbols)
    var, shortfall = batch_tail(returns, values, CONFIDENCES)
    for book, held in enumerate(values):
        pnl, step = scenario_pnl(returns, held), math.ldexp(np.abs(held).sum(), 1 - GRID_BITS)
        for level, confidence in enumerate(CONFIDENCES):
            assert abs(var[level, book] - value_at_risk(pnl, confidence)) <= 0.5001 * step
            assert abs(shortfall[level, book] - expected_shortfall(pnl, confidence)) <= 0.5001 * step


@quick
@given(seed=seeds)
def test_books_beside_it_and_the_order_of_symbols_change_no_bit(seed):
    returns, values = books(seed, symbols=30)
    together = batch_tail(returns, values, CONFIDENCES)
    order = np.random.default_rng(seed).permutation(30)
    for book, held in enumerate(values):
        own = np.flatnonzero(held)
        alone = batch_tail(returns[:, own], held[np.newaxis, own], CONFIDENCES)
        turned = batch_tail(returns[:, order], held[np.newaxis, order], CONFIDENCES)
        for figures in zip(together, alone, turned, strict=True):
            assert figures[0][:, book].tolist() == figures[1][:, 0].tolist() == figures[2][:, 0].tolist()


@quick
@given(seed=seeds)
def test_sums_made_exact_come_to_the_same_grid_points(seed):
    returns, values = books(seed)
    surely = batch_tail(returns, values, CONFIDENCES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "_SLACK", 2**40)  # every figure is in doubt
        assert [part.tolist() for part in batch_tail(returns, values, CONFIDENCES)] == [
            part.tolist() for part in surely
        ]


def test_figures_whose_rounding_is_in_doubt_are_found_and_made_exact(monkeypatch):
    made_exact = []
    exact = batch._exact_figures
    monkeypatch.setattr(batch, "_exact_figures", lambda *given: made_exact.append(1) or exact(*given))
    # P&L of 1.5 grid steps exactly, of a gross value of 2 + 1: halfway between two grid points.
    step = math.ldexp(1.0, 2 - GRID_BITS)
    var, _ = batch_tail(np.array([[-0.75 * step, 0.0]]), np.array([[2.0, 1.0]]), [0.99])
    assert (made_exact, var[0, 0]) == ([1], 2 * step)


def test_books_a_few_at_a_time_have_the_same_bits(monkeypatch):
    returns, values = books(5, days=100, count=50)
    at_once = batch_tail(returns, values, CONFIDENCES)
    monkeypatch.setattr(batch, "CELLS_AT_A_TIME", 700)
    for whole, parts in zip(at_once, batch_tail(returns, values, CONFIDENCES), strict=True):
        assert whole.tolist() == parts.tolist()


def test_book_of_nothing_has_no_risk_and_no_negative_zero():
    var, shortfall = batch_tail(np.array([[0.01], [-0.02]]), np.array([[0.0], [1e6]]), CONFIDENCES)
    assert [str(figure) for figure in (*var[:, 0], *shortfall[:, 0])] == ["0.0"] * 6
    assert var[:, 1] == pytest.approx([20_000] * 3)


def test_gross_value_of_a_power_of_two_has_one_grid():
    returns, _ = books(7, symbols=3)
    values = np.array([[2**20 / 3] * 3])
    values[0, 2] = 2**20 - values[0, 0] - values[0, 1]
    figures = [batch_tail(returns[:, list(order)], values[:, list(order)], [0.99])[0][0, 0] for order in
               ([0, 1, 2], [2, 1, 0], [1, 2, 0])]  # fmt: skip
    assert len(set(figures)) == 1


@pytest.mark.parametrize(
    ("returns", "values", "words"),
    [
        (np.ones((3, 2)), np.ones((1, 3)), "do not fit"),
        (np.ones((0, 2)), np.ones((1, 2)), "empty"),
        (np.array([[0.1, np.nan]]), np.ones((1, 2)), r"returns\[0, 1\] is nan"),
        (np.ones((1, 2)), np.array([[1.0, np.inf]]), r"values\[0, 1\] is inf"),
        (np.ones((1, 2)), np.full((1, 2), 1e200), "beyond what a float can square"),
    ],
)
def test_input_that_makes_no_sense_is_refused_with_its_place(returns, values, words):
    with pytest.raises(ValueError, match=words), np.errstate(over="ignore"):
        batch_tail(returns, values, CONFIDENCES)
