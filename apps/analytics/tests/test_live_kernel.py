"""The live kernel against a plain loop over books and symbols."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from apps.analytics.kernels.live import (
    US_PER_DAY,
    exposures,
    live_prices,
    market_values,
    newest_of_held,
    quotes_that_count,
    since_close,
    touched_books,
)
from apps.risk.figures import NotMeasurableError, Past

amounts = st.floats(-1e9, 1e9, allow_subnormal=False)
prices = st.floats(0.01, 1e5)
shapes = st.tuples(st.integers(1, 6), st.integers(1, 8))


@st.composite
def books(draw):
    count, symbols = draw(shapes)
    quantities = draw(arrays.arrays(np.float64, (count, symbols), elements=st.integers(-10_000, 10_000).map(float)))
    return quantities, *(draw(arrays.arrays(np.float64, size, elements=of)) for size, of in (
        (symbols, prices), (symbols, prices), (count, amounts),
    )), draw(arrays.arrays(np.bool_, symbols))  # fmt: skip


@given(books())
def test_figures_are_those_of_a_plain_loop(drawn):
    quantities, closes, quoted, cash, counts = drawn
    found = exposures(market_values(quantities, live_prices(closes, quoted, counts)), cash)
    for book, row in enumerate(quantities):
        worth = [
            quantity * (quoted[symbol] if counts[symbol] else closes[symbol]) for symbol, quantity in enumerate(row)
        ]
        size = math.fsum(map(abs, worth)) + abs(cash[book])
        assert found.value[book] == pytest.approx(math.fsum([cash[book], *worth]), rel=1e-9, abs=1e-12 * size)
        assert found.gross[book] == pytest.approx(math.fsum(map(abs, worth)), rel=1e-9)
        assert found.net[book] == pytest.approx(math.fsum(worth), rel=1e-9, abs=1e-12 * size)


@given(amounts, amounts, st.floats(-1e6, 1e6), st.floats(0.01, 1.0))
def test_loss_and_drawdown_are_those_that_limits_are_held_against(value, before, flows, of_peak):
    found = since_close(*(np.array([each]) for each in (value, before, flows, of_peak)))
    past = Past(before, flows, of_peak)
    assert max(0.0, -found.day_pnl[0]) == pytest.approx(past.daily_loss(value), rel=1e-9, abs=1e-6)
    try:
        expected = past.drawdown(value)
    except NotMeasurableError:
        assert np.isnan(found.drawdown[0])
        assert np.isnan(found.day_pnl_pct[0])
    else:
        assert found.drawdown[0] == pytest.approx(expected, rel=1e-9)


def test_part_of_next_to_nothing_is_no_infinity():
    found = since_close(np.array([222.0]), np.array([1e-306]), np.array([0.0]), np.array([1.0]))
    assert (found.day_pnl[0], found.drawdown[0]) == (222.0, 0.0)
    assert np.isnan(found.day_pnl_pct[0])


def test_past_that_is_behind_makes_no_figure():
    found = since_close(np.array([10.0]), np.array([9.0]), np.array([0.0]), np.array([np.nan]))
    assert np.isnan([found.day_pnl[0], found.day_pnl_pct[0], found.drawdown[0]]).all()


def test_quote_counts_from_the_midnight_after_the_close_on():
    midnight = 19_000 * US_PER_DAY
    seen = np.array([0, midnight - 1, midnight, midnight + US_PER_DAY])
    assert quotes_that_count(seen, close_day=18_999).tolist() == [False, False, True, True]


def test_newest_time_is_of_what_the_book_holds():
    held = np.array([[True, False, True], [False, True, False], [False, False, False]])
    assert newest_of_held(held, np.array([5, 9, 7])).tolist() == [7, 9, 0]
    assert newest_of_held(held[:, :0], np.empty(0, np.int64)).tolist() == [0, 0, 0]


def test_book_is_touched_by_a_change_of_what_it_holds_alone():
    held = np.array([[True, False], [False, True], [True, True]])
    assert touched_books(held, np.array([False, True])).tolist() == [False, True, True]
