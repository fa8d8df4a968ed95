"""A book's value day by day, and its returns."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.portfolios.kernels.valuation import ValueHistory, simple_returns, time_weighted_returns, value_history

SAMPLE_DATA = Path(__file__).parents[3] / "sample_data"


@cache
def sample_prices() -> pd.DataFrame:
    return pd.read_csv(SAMPLE_DATA / "daily_prices.csv.gz", index_col="date")


def sample_history(portfolio_id: str) -> ValueHistory:
    prices = sample_prices()
    trades = pd.read_csv(SAMPLE_DATA / "trades.csv").query("portfolio_id == @portfolio_id")
    cash = pd.read_csv(SAMPLE_DATA / "portfolios.csv", index_col="portfolio_id").loc[portfolio_id, "initial_cash"]
    return value_history(
        prices.to_numpy(float),
        prices.index.get_indexer(trades["traded_at"].str[:10]),
        prices.columns.get_indexer(trades["symbol"]),
        trades["quantity"].to_numpy(float),
        trades["price"].to_numpy(float),
        float(cash),
    )


def history(prices, trades=(), cash=0.0, flows=()) -> ValueHistory:
    """`trades`: (day, symbol, quantity, price); `flows`: (day, amount)."""
    day, symbol, quantity, price = np.array(trades, float).reshape(-1, 4).T
    flow_day, flow_amount = np.array(flows, float).reshape(-1, 2).T
    closes = np.array(prices, float)
    return value_history(
        closes, day.astype(int), symbol.astype(int), quantity, price, cash, flow_day.astype(int), flow_amount
    )


# Value and cash as of 2022-12-28: the worked figures of the sample data's note of origin.
@pytest.mark.parametrize(
    ("portfolio_id", "value", "cash"),
    [
        ("PORTFOLIO_001", 3_631_775.22, 6_833.52),
        ("PORTFOLIO_002", 4_643_734.00, 1_512_038.00),
        ("PORTFOLIO_003", 1_270_050.00, 182_797.10),
    ],
)
def test_sample_portfolio_is_worth_its_worked_figures(portfolio_id, value, cash):
    book = sample_history(portfolio_id)
    assert (round(book.values[-1], 2), round(book.cash[-1], 2)) == (value, cash)


def test_book_without_trades_is_its_cash():
    book = history([[10.0], [11.0]], cash=500.0)
    assert book.values.tolist() == [500.0, 500.0]
    assert book.positions_count.tolist() == [0, 0]


def test_trade_is_in_from_the_close_of_its_day():
    book = history([[10.0], [10.0], [12.0]], trades=[(1, 0, 5, 10)], cash=100.0)
    assert book.quantities[:, 0].tolist() == [0, 5, 5]
    assert book.cash.tolist() == [100, 50, 50]
    assert book.values.tolist() == [100, 100, 110]


def test_price_other_than_the_close_is_a_profit_of_that_day():
    assert history([[10.0]], trades=[(0, 0, 5, 8)], cash=100.0).values.tolist() == [110.0]


def test_order_of_the_trades_does_not_matter():
    trades = [(0, 0, 5, 10), (1, 1, 2, 20), (2, 0, -3, 12)]
    closes = [[10, 20], [11, 21], [12, 22]]
    assert history(closes, trades).values.tolist() == history(closes, trades[::-1]).values.tolist()


def test_short_position_counts_against_net_and_towards_gross():
    book = history([[10.0, 20.0]], trades=[(0, 0, 5, 10), (0, 1, -4, 20)])
    assert (book.gross_exposure[0], book.net_exposure[0], book.positions_count[0]) == (130.0, -30.0, 2)


def test_cash_flow_moves_cash_on_its_day():
    book = history([[1.0]] * 3, cash=100.0, flows=[(1, 50), (1, 10), (2, -20)])
    assert book.net_flows.tolist() == [0, 60, -20]
    assert book.values.tolist() == [100, 160, 140]


def test_missing_price_of_a_symbol_not_held_changes_nothing():
    assert history([[10.0, np.nan]], trades=[(0, 0, 5, 10)]).values.tolist() == [0.0]


def test_missing_price_of_a_held_symbol_leaves_that_days_value_open():
    book = history([[10.0], [np.nan], [12.0]], trades=[(0, 0, 5, 10)])
    assert np.isnan(book.values).tolist() == [False, True, False]
    assert np.isnan([book.gross_exposure[1], book.net_exposure[1]]).all()
    assert book.cash.tolist() == [-50, -50, -50]


def test_position_sold_again_is_gone_in_spite_of_binary_sums():
    # 0.1 + 0.2 - 0.3 is 5.6e-17 in floats, and the symbol has no price any more.
    book = history([[1.0], [1.0], [np.nan]], trades=[(0, 0, 0.1, 1), (1, 0, 0.2, 1), (2, 0, -0.3, 1)])
    assert (book.positions_count[2], book.values[2]) == (0, pytest.approx(0, abs=1e-15))


def test_smallest_quantity_of_the_ledger_is_a_position():
    assert history([[1.0]], trades=[(0, 0, 1e-8, 1)]).positions_count[0] == 1


@pytest.mark.parametrize(
    ("trade", "words"),
    [((3, 0, 1, 1), "0 to 1"), ((-1, 0, 1, 1), "-1"), ((0, 7, 1, 1), "0 to 0"), ((0, 0, np.nan, 1), "trade_quantity")],
)
def test_trade_outside_the_prices_is_refused(trade, words):
    with pytest.raises(ValueError, match=words):
        history([[1.0], [1.0]], trades=[trade])


def test_infinite_price_is_refused_with_its_place():
    with pytest.raises(ValueError, match=r"prices\[1, 0\] is inf"):
        history([[1.0], [np.inf]])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 30))
def test_history_agrees_with_its_plain_twin(seed, count):
    random = np.random.default_rng(seed)
    prices = random.uniform(1, 100, (12, 4))
    trades = [
        (random.integers(12), random.integers(4), random.integers(-50, 50), random.uniform(1, 100))
        for _ in range(count)
    ]
    flows = [(random.integers(12), random.uniform(-100, 100)) for _ in range(3)]
    book = history(prices, trades, 1000.0, flows)
    plain = [plain_day(prices, trades, 1000.0, flows, day) for day in range(12)]
    for ours, twin in zip(
        (book.values, book.cash, book.gross_exposure, book.positions_count), zip(*plain, strict=True), strict=True
    ):
        np.testing.assert_allclose(ours, twin, rtol=1e-12, atol=1e-9)


def plain_day(prices, trades, cash, flows, day) -> tuple[float, float, float, int]:
    held = dict.fromkeys(range(prices.shape[1]), 0)
    for when, symbol, quantity, price in trades:
        if when <= day:
            held[symbol] += quantity
            cash -= quantity * price
    cash += sum(amount for when, amount in flows if when <= day)
    worth = [quantity * prices[day, symbol] for symbol, quantity in held.items()]
    return cash + sum(worth), cash, sum(map(abs, worth)), sum(quantity != 0 for quantity in held.values())


def test_cash_flow_is_no_return():
    # 100 grows by 10 % to 110, then 90 is paid in at that close: 200. Half taken out next day, after -5 %.
    returns = time_weighted_returns(np.array([100.0, 200.0, 95.0]), np.array([0.0, 90.0, -95.0]))
    np.testing.assert_allclose(returns, [0.10, -0.05], rtol=1e-14)


def test_flow_of_the_first_day_is_not_looked_at():
    assert time_weighted_returns(np.array([100.0, 110.0]), np.array([100.0, 0.0])) == pytest.approx([0.1])


def test_time_weighted_returns_of_a_book_with_flows_are_those_of_the_book_without():
    prices = np.cumprod(1 + np.random.default_rng(7).normal(0, 0.02, 50))[:, np.newaxis]
    buy = (0, 0, 1000 / prices[0, 0], prices[0, 0])
    flow = (20, 0, 500 / prices[20, 0], prices[20, 0])
    plain = history(prices, [buy], 1000.0)
    paid_in = history(prices, [buy, flow], 1000.0, flows=[(20, 500)])
    np.testing.assert_allclose(
        time_weighted_returns(paid_in.values, paid_in.net_flows),
        time_weighted_returns(plain.values, plain.net_flows),
        rtol=1e-11,
    )


@pytest.mark.parametrize("value", [0.0, -5.0])
def test_return_on_nothing_is_refused_with_the_day(value):
    with pytest.raises(ValueError, match=rf"values\[1\] is {value}"):
        time_weighted_returns(np.array([1.0, value, 1.0]), np.zeros(3))


def test_book_may_end_with_nothing():
    assert time_weighted_returns(np.array([1.0, 0.0]), np.zeros(2)).tolist() == [-1.0]


def test_day_without_a_value_is_refused_with_the_day():
    with pytest.raises(ValueError, match=r"values\[2\] is nan"):
        time_weighted_returns(np.array([1.0, 1.0, np.nan]), np.zeros(3))


def test_one_day_has_no_return():
    assert len(time_weighted_returns(np.array([1.0]), np.zeros(1))) == 0


def test_simple_returns_are_close_over_close():
    returns = simple_returns(np.array([[10.0, 4.0], [11.0, 3.0]]))
    np.testing.assert_allclose(returns, [[0.1, -0.25]], rtol=1e-14)


def test_simple_returns_have_contiguous_columns():
    assert simple_returns(np.ones((5, 3))).flags.f_contiguous


def test_missing_price_makes_two_missing_returns():
    assert np.isnan(simple_returns(np.array([[1.0], [np.nan], [1.0], [1.0]])))[:, 0].tolist() == [True, True, False]


@pytest.mark.parametrize("price", [0.0, -1.0])
def test_price_that_is_not_positive_is_refused_with_its_place(price):
    with pytest.raises(ValueError, match=rf"prices\[0, 1\] is {price}"):
        simple_returns(np.array([[1.0, price], [1.0, 1.0]]))


def test_simple_returns_agree_with_pandas():
    prices = sample_prices().tail(501)
    np.testing.assert_allclose(simple_returns(prices.to_numpy(float)), prices.pct_change().iloc[1:], rtol=0, atol=1e-15)
