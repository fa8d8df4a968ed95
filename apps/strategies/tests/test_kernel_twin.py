"""The simulation is equal to a plain twin of its rules, in pandas: a blotter, added up anew for each decision.

The twin knows all prices from the start and looks up the day of each fill; the simulation is shown one day at a time.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from apps.strategies.kernels.schedule import is_decision_day
from apps.strategies.kernels.simulation import Simulated, Simulation

SAMPLE_DATA = Path(__file__).parents[3] / "sample_data"
CASH = 10_000_000.0

# So many of the last days: each schedule has about 75 decisions.
ROWS = {"daily": 75, "weekly": 360, "monthly": 1575}
PERIODS = {"daily": "D", "weekly": "W-SUN", "monthly": "M"}

Strategy = Callable[[pd.DataFrame], pd.Series]


def sample_closes(rows: int) -> pd.DataFrame:
    closes = pd.read_csv(SAMPLE_DATA / "daily_prices.csv.gz", index_col="date", parse_dates=True)
    return closes.drop(columns="SP500").tail(rows)


def with_gaps(closes: pd.DataFrame) -> pd.DataFrame:
    """3 % of the closes away at random, JPM listed late, WMT gone early; no day is left without any."""
    found = closes.mask(np.random.default_rng(7).random(closes.shape) < 0.03)
    found.iloc[: len(found) * 2 // 5, found.columns.get_loc("JPM")] = np.nan
    found.iloc[len(found) * 7 // 10 :, found.columns.get_loc("WMT")] = np.nan
    return found


def equal_weight(seen: pd.DataFrame) -> pd.Series:
    there = seen.iloc[-1].notna()
    return there / there.sum()


def momentum(seen: pd.DataFrame) -> pd.Series:
    """A fifth each in the five that rose most in 60 days."""
    risen = seen.iloc[-1] / seen.iloc[-min(61, len(seen))] - 1
    return pd.Series(0.2, index=risen.nlargest(5).index)


def random_long_short(seen: pd.DataFrame) -> pd.Series:
    seed = zlib.crc32(str(seen.index[-1]).encode())
    return pd.Series(np.random.default_rng(seed).normal(0.02, 0.06, seen.shape[1]), seen.columns)[seen.iloc[-1].notna()]


STRATEGIES: dict[str, Strategy] = {each.__name__: each for each in (equal_weight, momentum, random_long_short)}


@dataclass
class Terms:
    schedule: str
    cost_rate: float
    step: float
    min_notional: float = 0.0


def simulated(closes: pd.DataFrame, strategy: Strategy, terms: Terms) -> Simulated:
    steps = np.full(closes.shape[1], terms.step)
    simulation = Simulation(CASH, steps, terms.cost_rate, terms.min_notional, tuple(closes.columns))
    due = is_decision_day(closes.index.to_numpy(), terms.schedule)
    for row in range(len(closes)):
        simulation.step(closes.iloc[row].to_numpy())
        if due[row]:
            weights = strategy(closes.iloc[: row + 1]).reindex(closes.columns, fill_value=0.0)
            simulation.decide(weights.to_numpy(dtype=float))
    return simulation.results()


def twin(closes: pd.DataFrame, strategy: Strategy, terms: Terms) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Value, cash, exposure, traded and costs by day; and quantities by day and symbol."""
    last = closes.ffill()
    next_close = closes.bfill().shift(-1)
    every_day = pd.DataFrame(dict.fromkeys(closes, closes.index), index=closes.index)
    next_day = every_day.where(closes.notna()).bfill().shift(-1)
    trades = pd.DataFrame({"symbol": [], "day": closes.index[:0], "quantity": [], "close": [], "price": []})
    for day in closes.groupby(closes.index.to_period(PERIODS[terms.schedule])).head(1).index:
        trades = trades[trades["day"] <= day]  # the others are open orders, cancelled today
        held = trades.groupby("symbol")["quantity"].sum().reindex(closes.columns, fill_value=0.0)
        equity = CASH - (trades["quantity"] * trades["price"]).sum() + (held * last.loc[day]).sum()
        target = strategy(closes.loc[:day]).reindex(closes.columns, fill_value=0.0) * equity / closes.loc[day]
        lots = target / (terms.step or 1e-8)
        order = (np.fix(lots.round(9)) * (terms.step or 1e-8) - held).round(8)
        fills = pd.DataFrame({"day": next_day.loc[day], "quantity": order, "close": next_close.loc[day]})
        fills = fills[(order != 0) & ((order * closes.loc[day]).abs() >= terms.min_notional)].dropna()
        fills["price"] = fills["close"] * (1 + terms.cost_rate * np.sign(fills["quantity"]))
        trades = pd.concat([trades, fills.rename_axis("symbol").reset_index()])
    return added_up(trades, last)


def added_up(trades: pd.DataFrame, last: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    held = trades.pivot_table(index="day", columns="symbol", values="quantity", aggfunc="sum")
    held = held.reindex(index=last.index, columns=last.columns).fillna(0.0).cumsum()
    flows = pd.DataFrame(
        {
            "cash": trades["quantity"] * trades["price"],
            "traded": (trades["quantity"] * trades["close"]).abs(),
            "costs": (trades["quantity"] * (trades["price"] - trades["close"])).abs(),
        }
    )
    days = flows.groupby(trades["day"]).sum().reindex(last.index).fillna(0.0)
    days["cash"] = CASH - days["cash"].cumsum()
    days["value"] = days["cash"] + (held * last).sum(axis=1)
    days["exposure"] = (held * last).abs().sum(axis=1)
    return days, held


def assert_equal(found: Simulated, days: pd.DataFrame, held: pd.DataFrame, closes: pd.DataFrame) -> None:
    names = {
        "value": found.values,
        "cash": found.cash,
        "exposure": found.exposures,
        "traded": found.traded_notional,
        "costs": found.costs,
    }
    for name, ours in names.items():
        error = np.abs(ours - days[name].to_numpy()) / days["value"].to_numpy()
        assert error.max() <= 1e-10, f"{name} differs by {error.max():.1e} of the value on {error.argmax()}"
    assert np.abs(found.quantities - held.to_numpy()).max() <= 2e-8
    assert np.isfinite(found.values).all()
    assert len(found.values) == len(closes)


@pytest.mark.slow
@pytest.mark.parametrize("step", [0.0, 1.0, 100.0])
@pytest.mark.parametrize("cost_rate", [0.0, 0.001])
@pytest.mark.parametrize("schedule", list(PERIODS))
@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_backtest_is_equal_to_its_plain_twin_on_the_sample_prices_with_gaps(strategy, schedule, cost_rate, step):
    closes = with_gaps(sample_closes(ROWS[schedule]))
    terms = Terms(schedule, cost_rate, step)

    found = simulated(closes, STRATEGIES[strategy], terms)

    assert (found.traded_notional > 0).sum() > 60, "too few days with a fill to compare anything"
    assert_equal(found, *twin(closes, STRATEGIES[strategy], terms), closes)


@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_small_orders_are_left_out_as_in_the_twin(strategy):
    closes = with_gaps(sample_closes(ROWS["weekly"]))
    terms = Terms("weekly", 0.001, 1.0, min_notional=20_000.0)

    found = simulated(closes, STRATEGIES[strategy], terms)

    everything = simulated(closes, STRATEGIES[strategy], Terms("weekly", 0.001, 1.0))
    assert np.count_nonzero(found.orders) < np.count_nonzero(everything.orders)
    assert_equal(found, *twin(closes, STRATEGIES[strategy], terms), closes)


def test_gaps_hold_orders_open_and_others_are_cancelled():
    """What the comparison above needs to have met: fills later than the next day, and orders that never were filled."""
    closes = with_gaps(sample_closes(ROWS["weekly"]))
    found = simulated(closes, equal_weight, Terms("weekly", 0.0, 1.0))
    traded = np.diff(found.quantities, axis=0, prepend=0.0) != 0
    next_day = np.roll(found.orders != 0, 1, axis=0)
    assert (traded & ~next_day).sum() > 5, "no order was filled later than the next day"
    assert traded.sum() < (found.orders != 0).sum(), "no order was cancelled"
