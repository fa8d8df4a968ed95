"""The simulation is equal to the backtests of the `bt` package, whose accounts and sizing are its own.

Why the figures can be compared: bt trades fractions at the close of the day its algorithms run on, which are told to
run on the day after a decision. The first test has bt size by itself: a weight w decided at t is, at the close of
t + 1, the fraction w x close(t + 1) / close(t) x value(t) / value(t + 1) of bt's own values, which is the same
quantity. That holds without costs, which bt takes out of the amount that a weight may spend. The second test gives bt
our orders and has it keep the accounts, with costs as its commission: |quantity| x price x rate, the same cash as a
price that includes it.
"""

import bt
import numpy as np
import pandas as pd
import pytest

from apps.strategies.kernels.schedule import is_decision_day
from apps.strategies.kernels.simulation import Simulated, simulate
from apps.strategies.tests.test_kernel_twin import sample_closes

CASH = 1_000_000.0
ROWS = {"daily": 250, "weekly": 500, "monthly": 1000}


class WeighAsDecidedTheDayBefore(bt.Algo):
    """Decided weights, by day, as they stand at the next close in bt's own book."""

    def __init__(self, decided: pd.DataFrame) -> None:
        super().__init__()
        self.decided = decided

    def __call__(self, target: bt.Strategy) -> bool:
        before = target.data.index[target.data.index.get_loc(target.now) - 1]
        if before not in self.decided.index:
            return False
        drift = target.universe.loc[target.now] / target.universe.loc[before]
        target.temp["weights"] = self.decided.loc[before] * drift * target.values.loc[before] / target.value
        return True


class TradeOrdersTheDayAfter(bt.Algo):
    """Orders (days, symbols) by the day of the decision, traded at the next close."""

    def __init__(self, orders: pd.DataFrame) -> None:
        super().__init__()
        self.due = orders.shift(1, fill_value=0.0)

    def __call__(self, target: bt.Strategy) -> bool:
        if target.now in self.due.index:  # bt begins with a day of its own, before the first
            for symbol, quantity in self.due.loc[target.now].items():
                target.transact(quantity, child=symbol, update=False)
        target.root.update(target.now)
        return True


def run(closes: pd.DataFrame, algos: list[bt.Algo], cost_rate: float = 0.0) -> bt.Backtest:
    strategy = bt.Strategy("peer", algos, list(closes.columns))
    costs = (lambda quantity, price: abs(quantity) * price * cost_rate) if cost_rate else None
    test = bt.Backtest(
        strategy, closes, initial_capital=CASH, integer_positions=False, commissions=costs, progress_bar=False
    )
    test.run()
    return test


def decided(closes: pd.DataFrame, schedule: str, kind: str) -> pd.DataFrame:
    days = closes.index[is_decision_day(closes.index.to_numpy(), schedule)]
    shape = len(days), closes.shape[1]
    if kind == "equal_weight":
        return pd.DataFrame(1 / shape[1], days, closes.columns)
    if kind == "momentum":
        risen = closes.pct_change(60, fill_method=None).loc[days].rank(axis=1, ascending=False)
        return (risen <= 5) / 5.0
    return pd.DataFrame(np.random.default_rng(5).normal(0.02, 0.06, shape), days, closes.columns)


def ours(closes: pd.DataFrame, weights: pd.DataFrame, cost_rate: float = 0.0) -> Simulated:
    rows = closes.index.get_indexer(weights.index)
    steps = np.zeros(closes.shape[1])
    return simulate(closes.to_numpy(), rows, weights.to_numpy(dtype=float), cash=CASH, steps=steps, cost_rate=cost_rate)


@pytest.mark.parametrize("schedule", list(ROWS))
@pytest.mark.parametrize("kind", ["equal_weight", "momentum", "random_long_short"])
def test_values_are_those_of_bt_which_sizes_by_itself(kind, schedule):
    closes = sample_closes(ROWS[schedule])
    weights = decided(closes, schedule, kind)

    found = ours(closes, weights)
    peer = run(closes, [WeighAsDecidedTheDayBefore(weights), bt.algos.Rebalance()])

    # bt does not round quantities to the ledger's 8 places: 1e-8 units of 20 symbols in a book of a million.
    assert peer.strategy.values.loc[closes.index].to_numpy() == pytest.approx(found.values, rel=1e-10)
    assert np.ptp(found.values) > 0.01 * CASH


@pytest.mark.parametrize("schedule", list(ROWS))
@pytest.mark.parametrize("kind", ["equal_weight", "momentum", "random_long_short"])
def test_accounts_with_costs_are_those_of_bt(kind, schedule):
    closes = sample_closes(ROWS[schedule])
    found = ours(closes, decided(closes, schedule, kind), cost_rate=0.001)

    orders = pd.DataFrame(found.orders, closes.index, closes.columns)
    peer = run(closes, [TradeOrdersTheDayAfter(orders)], cost_rate=0.001).strategy

    assert peer.values.loc[closes.index].to_numpy() == pytest.approx(found.values, rel=1e-12)
    assert peer.cash.loc[closes.index].to_numpy() == pytest.approx(found.cash, abs=1e-12 * CASH)
    assert peer.fees.loc[closes.index].to_numpy() == pytest.approx(found.costs, abs=1e-12 * CASH)
    assert found.costs.sum() > 0.001 * CASH * 0.5
