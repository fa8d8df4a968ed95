"""A simulated book keeps its accounts, fills at the next close, and knows of no day that it was not shown."""

import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.strategies.kernels.simulation import Simulated, Simulation, simulate

quick = settings(max_examples=150, deadline=None)
seeds = st.integers(0, 10**6)


def array(*numbers: float) -> np.ndarray:
    return np.array(numbers, dtype=np.float64)


def book(symbols: int = 1, cash: float = 1000.0, step: float = 0.0, **terms: float) -> Simulation:
    return Simulation(cash, np.full(symbols, step), **terms)


class Market:
    """Prices with gaps, and weights for some days, all drawn from a seed; no weight where there is no price."""

    def __init__(self, seed: int, *, constant: bool = False, gaps: bool = True) -> None:
        random = np.random.default_rng(seed)
        days, symbols = int(random.integers(2, 40)), int(random.integers(1, 6))
        moves = np.zeros((days, symbols)) if constant else random.normal(0, 0.02, (days, symbols))
        self.closes = random.uniform(1, 500, symbols) * np.exp(np.cumsum(moves, axis=0))
        if gaps:
            self.closes[random.random(self.closes.shape) < 0.15] = np.nan
        self.rows = np.flatnonzero(random.random(days) < 0.4)
        self.weights = random.normal(0.1, 0.25, (len(self.rows), symbols))
        self.weights /= np.maximum(np.abs(self.weights).sum(axis=1, keepdims=True) * 2, 1)  # far from losing all
        self.weights[np.isnan(self.closes[self.rows])] = 0.0
        self.steps = random.choice([0.0, 0.01, 1.0, 10.0], symbols)
        self.cost_rate = float(random.choice([0.0, 0.001, 0.02]))

    def simulated(self, closes: np.ndarray | None = None, cost_rate: float | None = None) -> Simulated:
        return simulate(
            self.closes if closes is None else closes,
            self.rows,
            self.weights,
            cash=1_000_000.0,
            steps=self.steps,
            cost_rate=self.cost_rate if cost_rate is None else cost_rate,
        )


def carried_forward(closes: np.ndarray) -> np.ndarray:
    """The last close of each symbol so far, 0 before the first."""
    found = np.zeros_like(closes)
    for row, of_day in enumerate(closes):
        for column, close in enumerate(of_day):
            found[row, column] = (found[row - 1, column] if row else 0.0) if math.isnan(close) else close
    return found


def test_order_is_sized_at_the_close_of_the_decision_and_filled_at_the_next_with_costs():
    simulation = book(cost_rate=0.01)
    simulation.step(array(10))
    assert simulation.decide(array(0.5)).tolist() == [50]
    assert simulation.step(array(12)) == pytest.approx(1000 - 50 * 12 * 0.01)
    simulation.decide(array(0.0))
    assert simulation.step(array(11)) == pytest.approx(1000 - 50 * 12 * 1.01 + 50 * 11 * 0.99)

    found = simulation.results()

    assert found.quantities.tolist() == [[0], [50], [0]]
    assert found.orders.tolist() == [[50], [-50], [0]]
    assert found.cash == pytest.approx([1000, 1000 - 606, 394 + 544.5])
    assert found.exposures == pytest.approx([0, 600, 0])
    assert found.traded_notional == pytest.approx([0, 600, 550])
    assert found.costs == pytest.approx([0, 6, 5.5])


def test_short_position_brings_cash_and_counts_against_the_value():
    simulation = book()
    simulation.step(array(10))
    simulation.decide(array(-1.0))
    assert simulation.step(array(8)) == pytest.approx(1000)
    assert simulation.step(array(9)) == pytest.approx(900)
    found = simulation.results()
    assert found.cash.tolist() == [1000, 1800, 1800]
    assert found.exposures.tolist() == [0, 800, 900]


def test_order_stays_open_until_the_symbol_has_a_close():
    simulation = book(symbols=2)
    simulation.step(array(10, 10))
    simulation.decide(array(0.5, 0.5))
    simulation.step(array(10, math.nan))
    assert simulation.held.tolist() == [50, 0]
    simulation.step(array(10, math.nan))
    simulation.step(array(10, 20))
    assert simulation.held.tolist() == [50, 50]
    simulation.step(array(10, 20))
    assert simulation.results().traded_notional.tolist() == [0, 500, 0, 1000, 0]


def test_next_decision_cancels_what_is_still_open():
    simulation = book(symbols=2)
    simulation.step(array(10, 10))
    simulation.decide(array(0.5, 0.5))
    simulation.step(array(10, math.nan))
    simulation.decide(array(0.5, 0.0))
    simulation.step(array(10, 10))
    assert simulation.held.tolist() == [50, 0]


def test_missing_close_carries_the_last_one_forward():
    simulation = book()
    simulation.step(array(10))
    simulation.decide(array(1.0))
    simulation.step(array(10))
    assert simulation.step(array(12)) == 1200
    assert simulation.step(array(math.nan)) == 1200
    assert simulation.decide(array(0.0)).tolist() == [0], "without a price nothing can be ordered"
    assert simulation.step(array(5)) == 500


def test_order_below_the_least_notional_is_not_made():
    simulation = book(symbols=2, min_notional=100.0)
    simulation.step(array(10, 10))
    assert simulation.decide(array(0.09, 0.1)).tolist() == [0, 10]


def test_order_of_less_than_the_least_quantity_is_not_made():
    simulation = Simulation(1000.0, array(0, 0), min_quantities=array(60, 40))
    simulation.step(array(10, 10))
    assert simulation.decide(array(0.5, 0.5)).tolist() == [0.0, 50.0]


def test_order_of_the_last_day_is_not_filled():
    found = simulate(array(10, 10)[:, None], np.array([1]), array(1.0)[:, None], cash=1000.0, steps=array(0))
    assert found.values.tolist() == [1000, 1000]
    assert found.orders.tolist() == [[0], [100]]
    assert not found.quantities.any()


@quick
@given(seeds)
def test_value_is_always_cash_and_positions(seed):
    market = Market(seed)
    found = market.simulated()
    positions = found.quantities * carried_forward(market.closes)
    assert found.values == pytest.approx(found.cash + positions.sum(axis=1), rel=1e-12)
    assert found.exposures == pytest.approx(np.abs(positions).sum(axis=1), rel=1e-12)


@quick
@given(seeds)
def test_value_moves_by_what_was_held_times_its_moves_less_costs(seed):
    market = Market(seed)
    found = market.simulated()
    last = carried_forward(market.closes)
    earned = (found.quantities[:-1] * np.diff(last, axis=0)).sum(axis=1)
    assert np.diff(found.values) == pytest.approx(earned - found.costs[1:], abs=1e-9 * 1_000_000)


@quick
@given(seeds)
def test_costs_are_the_rate_times_what_was_traded_and_never_negative(seed):
    market = Market(seed)
    found = market.simulated()
    traded = np.abs(np.diff(found.quantities, axis=0, prepend=0.0)) * np.nan_to_num(market.closes)
    assert (found.costs >= 0).all()
    assert found.traded_notional == pytest.approx(traded.sum(axis=1), abs=1e-9 * 1_000_000)
    assert found.costs == pytest.approx(found.traded_notional * market.cost_rate, rel=1e-12)


@quick
@given(seeds)
def test_constant_prices_without_costs_leave_the_value_unchanged(seed):
    market = Market(seed, constant=True)
    assert market.simulated(cost_rate=0.0).values == pytest.approx(np.full(len(market.closes), 1_000_000.0), rel=1e-12)


@quick
@given(seeds)
def test_costs_make_no_difference_to_what_is_bought_first_and_only_lower_the_value(seed):
    market = Market(seed, gaps=False)
    dear, free = market.simulated(cost_rate=0.02), market.simulated(cost_rate=0.0)
    if len(market.rows):
        assert dear.orders[market.rows[0]].tolist() == free.orders[market.rows[0]].tolist()
        after = market.rows[0] + 1
        assert (dear.values[: after + 1] <= free.values[: after + 1] + 1e-9).all()


@quick
@given(seeds, st.data())
def test_later_closes_change_nothing_of_earlier_values_and_orders(seed, data):
    market = Market(seed)
    day = data.draw(st.integers(0, len(market.closes) - 1))
    other = market.closes.copy()
    random = np.random.default_rng(seed + 1)
    # Gaps stay where they are: a weight of a symbol without a price is refused.
    other[day + 1 :] *= random.uniform(0.8, 1.25, other[day + 1 :].shape)

    found, changed = market.simulated(), market.simulated(other)

    for name, ours in asdict(found).items():
        assert np.array_equal(ours[: day + 1], getattr(changed, name)[: day + 1]), name


def test_later_closes_do_change_later_values():
    """That the test before can fail: the change is of a kind that shows."""
    closes = np.full((4, 1), 10.0)
    higher = closes.copy()
    higher[3] = 11.0
    terms = {"cash": 1000.0, "steps": array(0)}
    values = [simulate(each, np.array([0]), array(1.0)[:, None], **terms).values for each in (closes, higher)]
    assert values[0].tolist() == [1000, 1000, 1000, 1000]
    assert values[1].tolist() == [1000, 1000, 1000, 1100]


@quick
@given(seeds, st.data())
def test_results_so_far_are_the_first_days_of_the_results(seed, data):
    market = Market(seed)
    day = data.draw(st.integers(0, len(market.closes) - 1))
    shorter = market.rows <= day
    so_far = simulate(
        market.closes[: day + 1],
        market.rows[shorter],
        market.weights[shorter],
        cash=1_000_000.0,
        steps=market.steps,
        cost_rate=market.cost_rate,
    )
    for name, all_days in asdict(market.simulated()).items():
        assert np.array_equal(getattr(so_far, name), all_days[: day + 1]), name


def test_results_and_inputs_are_copies():
    simulation = book()
    closes, weights = array(10), array(0.5)
    simulation.step(closes)
    simulation.decide(weights)[0] = 999
    closes[0] = weights[0] = 999
    simulation.held[0] = 999
    before = simulation.results()
    simulation.step(array(10))
    assert before.orders.tolist() == [[50]]
    assert before.values.tolist() == [1000]
    assert simulation.held.tolist() == [50]
    assert simulation.equity == 1000


def test_book_that_lost_everything_decides_no_more():
    simulation = book()
    simulation.step(array(10))
    simulation.decide(array(-1.0))
    simulation.step(array(10))
    assert simulation.step(array(25)) == -500
    with pytest.raises(ValueError, match=r"equity is -500\.0; expected above 0"):
        simulation.decide(array(1.0))


def test_weight_without_a_price_is_refused_by_the_name_of_its_symbol():
    simulation = Simulation(1000.0, array(0, 0), symbols=("AAPL", "XOM"))
    simulation.step(array(10, math.nan))
    with pytest.raises(ValueError, match=r"weight of XOM is 0\.1; expected 0"):
        simulation.decide(array(0.1, 0.1))


@pytest.mark.parametrize("act", [lambda new: new.decide(array(0.5)), lambda new: new.results()])
def test_simulation_without_a_day_has_nothing_to_say(act):
    with pytest.raises(ValueError, match="no day yet"):
        act(book())


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"cash": 0.0}, "cash is 0.0; expected above 0"),
        ({"cash": math.inf}, "cash is inf; expected above 0"),
        ({"step": -1.0}, "quantity step of symbol 0 is -1.0"),
        ({"cost_rate": 1.5}, "cost_rate is 1.5"),
        ({"min_notional": -1.0}, "min_notional is -1.0"),
    ],
)
def test_terms_that_make_no_sense_are_refused_at_the_start(terms, words):
    with pytest.raises(ValueError, match=words):
        book(**terms)


@pytest.mark.parametrize(
    ("closes", "words"),
    [
        (array(1, 2), r"closes has shape \(2,\); expected \(1,\)"),
        (array(0), "close of symbol 0 is 0.0; expected above 0"),
    ],
)
def test_closes_that_are_none_are_refused(closes, words):
    with pytest.raises(ValueError, match=words):
        book().step(closes)


@pytest.mark.parametrize(
    ("rows", "weights", "words"),
    [
        ([0, 0], [[1.0], [1.0]], r"\[0, 0\]; expected ascending"),
        ([3], [[1.0]], "from 3 to 3; expected from 0 to 2"),
        ([-1], [[1.0]], "from -1 to -1; expected from 0 to 2"),
        ([0, 1], [[1.0]], r"weights \(1, 1\); expected"),
    ],
)
def test_decisions_that_do_not_fit_the_days_are_refused(rows, weights, words):
    with pytest.raises(ValueError, match=words):
        simulate(np.full((3, 1), 10.0), np.array(rows), np.array(weights), cash=1000.0, steps=array(0))
