"""The tail of a book after a trade equals that of the whole book computed anew."""

from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.portfolios.kernels.valuation import simple_returns
from apps.portfolios.matrix import PriceMatrix
from apps.risk.kernels.historical import expected_shortfall, scenario_pnl, value_at_risk
from apps.risk.kernels.incremental import projected_pnl, tail_figures
from apps.risk.many_books import HeldBook
from apps.risk.pretrade.orders import Leg
from apps.risk.pretrade.positions import Positions, place_book
from apps.risk.windows import Windows

quick = settings(max_examples=150, deadline=None)


def recomputed(pnl: np.ndarray) -> tuple[float, float, float]:
    return value_at_risk(pnl, 0.95), value_at_risk(pnl, 0.99), expected_shortfall(pnl, 0.975)


@quick
@given(st.integers(0, 10**6), st.integers(1, 700), st.integers(1, 40), st.floats(-1e7, 1e7))
def test_projected_tail_is_that_of_the_whole_book(seed, days, symbols, change):
    random = np.random.default_rng(seed)
    returns = random.standard_t(3, (days, symbols)) * 0.02
    values = random.normal(0, 1e6, symbols)
    traded = int(random.integers(symbols))
    after = values.copy()
    after[traded] += change

    found = tail_figures(projected_pnl(scenario_pnl(returns, values), returns[:, traded], change))

    scale = np.abs(values).sum() + np.abs(after).sum()
    assert found == pytest.approx(recomputed(scenario_pnl(returns, after)), abs=1e-9 * scale, rel=1e-9)


@pytest.mark.parametrize("days", [1, 2, 19, 20, 21, 39, 40, 41, 99, 100, 101, 500, 2000])
def test_tail_figures_are_those_of_the_contract_at_every_length(days):
    pnl = np.random.default_rng(days).normal(0, 1e5, days)
    assert tail_figures(pnl) == pytest.approx(recomputed(pnl), rel=1e-14)


def test_tail_of_no_scenario_is_refused():
    with pytest.raises(ValueError, match="0 observations"):
        tail_figures(np.empty(0))


def prices(seed: int, days: int, symbols: int) -> PriceMatrix:
    random = np.random.default_rng(seed)
    closes = 50 * np.exp(np.cumsum(random.standard_t(4, (days, symbols)) * 0.015, axis=0))
    dates = np.datetime64("2020-01-01") + np.arange(days)
    names = tuple(f"S{number:03d}" for number in range(symbols))
    return PriceMatrix(1, dates, names, closes, simple_returns(closes))


def held(matrix: PriceMatrix, quantities: np.ndarray) -> HeldBook:
    places = np.flatnonzero(quantities)
    symbols = tuple(matrix.symbols[place] for place in places)
    return HeldBook("BOOK", "USD", None, 1, Decimal(0), symbols, quantities[places])


def with_room_for(positions_of: HeldBook, matrix: PriceMatrix) -> HeldBook:
    everything = dict.fromkeys(matrix.symbols, 0.0) | dict(
        zip(positions_of.symbols, positions_of.quantities.tolist(), strict=True)
    )
    return HeldBook("BOOK", "USD", None, 1, Decimal(0), tuple(everything), np.array(list(everything.values())))


def no_past() -> None:
    raise AssertionError("no limit on losses here")


@quick
@given(st.integers(0, 10**6), st.integers(2, 30), st.lists(st.integers(-10_000, 10_000), min_size=1, max_size=6))
def test_book_after_any_trades_has_the_tail_of_that_book_computed_anew(seed, symbols, sizes):
    random = np.random.default_rng(seed)
    matrix = prices(seed, 131, symbols)
    quantities = np.where(random.random(symbols) < 0.7, random.integers(-5_000, 5_000, symbols), 0).astype(float)
    windows = Windows(matrix, 130)
    positions: Positions = place_book(with_room_for(held(matrix, quantities), matrix), windows)
    legs = [Leg(matrix.symbols[random.integers(symbols)], float(size), 1.0) for size in sizes]
    after = quantities.copy()
    for leg in legs:
        after[matrix.symbols.index(leg.symbol)] += leg.quantity

    found = positions.figures(0.0, legs, no_past).tail()

    pnl = scenario_pnl(simple_returns(matrix.prices), after * matrix.prices[-1]) if after.any() else np.zeros(130)
    scale = np.abs(quantities * matrix.prices[-1]).sum() + np.abs(after * matrix.prices[-1]).sum()
    assert found == pytest.approx(recomputed(pnl), rel=1e-9, abs=1e-9 * scale + 1e-12)
    assert positions.as_of == date(2020, 1, 1) + (matrix.dates[-1] - matrix.dates[0]).item()


def test_selling_what_lacks_returns_leaves_a_book_that_has_them():
    matrix = prices(1, 60, 3)
    short_lived = matrix.prices.copy()
    short_lived[:-10, 2] = np.nan
    matrix = PriceMatrix(1, matrix.dates, matrix.symbols, short_lived, simple_returns(short_lived))
    book = HeldBook("BOOK", "USD", None, 1, Decimal(0), matrix.symbols, np.array([10.0, 20.0, 5.0]))
    positions = place_book(book, Windows(matrix, 50))
    assert "S002 has 9" in positions.no_tail

    found = positions.figures(0.0, [Leg("S002", -5.0, 50.0)], no_past).tail()

    returns = simple_returns(matrix.prices[-51:, :2])
    assert found == pytest.approx(recomputed(scenario_pnl(returns, np.array([10.0, 20.0]) * matrix.prices[-1, :2])))
