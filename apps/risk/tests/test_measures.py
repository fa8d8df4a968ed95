"""What an analysis says beside VaR: each further figure, or null with its reason in the warnings."""

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from apps.portfolios.ledger import book_cash_flow
from apps.portfolios.matrix import load_matrix
from apps.portfolios.models import Instrument, Snapshot
from apps.portfolios.replays import replay
from apps.portfolios.tests.factories import make_portfolio, make_prices, make_trade, trading_days
from apps.risk import measures
from apps.risk.analysis import compute
from apps.risk.measures import days_of_volume, further_measures, known_volumes
from apps.risk.tests.books import priced_book, random_book
from apps.risk.tests.test_analysis import CLOSES, analyze

pytestmark = pytest.mark.django_db

DAYS = trading_days(5)
LOSSES = ("entropic_var", "max_drawdown", "conditional_drawdown_at_risk")
FURTHER = {
    "volatility_daily",
    "volatility_ewma_annual",
    *LOSSES,
    *(f"{name}_pct" for name in LOSSES),
    "diversification_ratio",
    "effective_number_of_bets",
    "liquidity_horizon_days",
}
# 11,286.00 of AAA and -10,098.00 of BBB through the returns of CLOSES; with 100,000 of cash.
PNL = np.array([1128.60, -1330.56, 2358.18, -564.30])
VALUE = 101_188.0


@pytest.fixture
def book():
    make_prices(CLOSES)
    portfolio = make_portfolio("BOOK", initial_cash=100_000)
    make_trade(portfolio, "AAA", 100, 100)
    make_trade(portfolio, "BBB", -200, 50)
    return portfolio


def set_volumes(**volumes: Any) -> None:
    for symbol, volume in volumes.items():
        Instrument.objects.filter(pk=symbol).update(average_daily_volume=volume and Decimal(volume))


def further(returns: np.ndarray, values: np.ndarray, volume_days: np.ndarray | None = None) -> dict[str, Any]:
    unknown = np.full(len(values), np.nan)
    return further_measures(priced_book(returns, values), 0.95, unknown if volume_days is None else volume_days)


# --- the figures


def test_analysis_has_every_further_measure(book):
    assert set(analyze("BOOK").result) >= FURTHER


def test_figures_follow_the_definitions(book):
    result = analyze("BOOK").result
    # The path 1128.60, -201.96, 2156.22, 1591.92 falls by 1330.56 and by 564.30; at 75 % one day of four is the tail.
    assert result["max_drawdown"] == pytest.approx(1330.56)
    assert result["conditional_drawdown_at_risk"] == pytest.approx(1330.56)
    assert result["entropic_var"] == pytest.approx(1330.56)
    assert result["volatility_daily"] == pytest.approx(float(np.std(PNL / VALUE, ddof=1)), rel=1e-12)
    assert result["volatility_annual"] == pytest.approx(result["volatility_daily"] * math.sqrt(252), rel=1e-12)


def test_weighted_volatility_is_that_of_the_day_after_the_window(book):
    moves = PNL / VALUE
    variance = float(np.mean(moves**2))
    for move in moves:
        variance = 0.94 * variance + 0.06 * move**2
    assert analyze("BOOK").result["volatility_ewma_annual"] == pytest.approx(math.sqrt(252 * variance), rel=1e-12)


def test_percentages_are_parts_of_the_portfolio_value(book):
    result = analyze("BOOK").result
    for name in LOSSES:
        assert result[f"{name}_pct"] == result[name] / result["portfolio_value"]


def test_spread_of_the_risk_is_that_of_the_window(book):
    returns = np.array([[0.1, -0.1, 0.2, -0.05], [0.0, 0.02, -0.01, 0.0]])
    covariance, values = np.cov(returns), np.array([11_286.0, -10_098.0])
    alone = np.abs(values) @ np.sqrt(np.diag(covariance))
    result = analyze("BOOK").result
    assert result["diversification_ratio"] == pytest.approx(alone / math.sqrt(values @ covariance @ values), rel=1e-9)
    assert 1.0 < result["effective_number_of_bets"] < 2.0


def test_measures_of_the_window_know_no_horizon_and_no_method(book):
    one = analyze("BOOK").result
    ten = analyze("BOOK", method="parametric", distribution="normal", horizon_days=10).result
    assert {name: ten[name] for name in FURTHER} == {name: one[name] for name in FURTHER}


def test_entropic_var_takes_the_confidence_of_the_analysis(book):
    low, high = (analyze("BOOK", confidence=confidence).result["entropic_var"] for confidence in (0.6, 0.74))
    assert low < high < 1330.56


# --- liquidity


def test_horizon_is_that_of_the_slowest_position(book):
    set_volumes(AAA="1000", BBB="400")
    result = analyze("BOOK").result
    # 100 of 1,000 and 200 short of 400 a day, a fifth of the volume a day: half a day, and two and a half.
    assert [row["days_to_unwind"] for row in result["components"]] == [0.5, 2.5]
    assert result["liquidity_horizon_days"] == 2.5
    assert result["warnings"] == []


def test_horizon_is_null_and_the_symbol_named_where_a_volume_is_unknown(book):
    set_volumes(AAA="1000")
    result = analyze("BOOK").result
    assert [row["days_to_unwind"] for row in result["components"]] == [0.5, None]
    assert result["liquidity_horizon_days"] is None
    assert result["warnings"] == ["liquidity_horizon_days is null: BBB have no average_daily_volume"]


def test_no_more_than_five_symbols_without_a_volume_are_named():
    said = further(*random_book(1, 60, 8))["warnings"]
    assert said == [
        "liquidity_horizon_days is null: S0000, S0001, S0002, S0003, S0004 and 3 more have no average_daily_volume"
    ]


def test_known_volumes_are_those_of_the_symbols_asked_for_in_their_order(book):
    make_prices({"CCC": [1.0]})
    set_volumes(BBB="400.5", AAA="1000", CCC="7")
    assert known_volumes(["BBB", "AAA"]) == [["AAA", "1000.00000000"], ["BBB", "400.50000000"]]


def test_symbol_without_a_volume_is_not_among_the_known(book):
    set_volumes(BBB="400")
    assert [symbol for symbol, _ in known_volumes(["AAA", "BBB"])] == ["BBB"]


def test_days_of_volume_are_divided_as_decimals_and_rounded_once():
    days = days_of_volume([["AAA", "0.3"], ["BBB", "-300"], ["CCC", "5"]], [["AAA", "0.1"], ["BBB", "100.00000000"]])
    # In floats 0.3 / 0.1 is 2.9999999999999996.
    assert days[:2].tolist() == [3.0, 3.0]
    assert math.isnan(days[2])


# --- null, and why


def test_losses_of_a_book_worth_less_than_nothing_have_no_percentages(book):
    book_cash_flow("BOOK", Decimal(-200_000), DAYS[4])
    result = analyze("BOOK").result
    assert [result[f"{name}_pct"] for name in LOSSES] == [None] * 3
    assert [result[name] for name in ("volatility_daily", "volatility_ewma_annual", "volatility_annual")] == [None] * 3
    assert result["max_drawdown"] == pytest.approx(1330.56)
    assert result["diversification_ratio"] is not None
    assert "the portfolio is worth -98812.00: a percentage of that means nothing" in result["warnings"][0]


def test_book_worth_exactly_nothing_has_no_percentages(book):
    book_cash_flow("BOOK", Decimal(-101_188), DAYS[4])
    result = analyze("BOOK").result
    assert result["portfolio_value"] == 0.0
    assert [result[f"{name}_pct"] for name in LOSSES] == [None] * 3
    assert "the portfolio is worth 0.00" in result["warnings"][0]


def test_book_that_does_not_move_is_spread_over_nothing():
    make_prices({"AAA": [10.0] * 5})
    make_trade(make_portfolio("FLAT"), "AAA", 10, 10)
    set_volumes(AAA="100")
    result = analyze("FLAT").result
    assert [str(result[name]) for name in (*LOSSES, "volatility_daily", "volatility_ewma_annual")] == ["0.0"] * 5
    assert (result["diversification_ratio"], result["effective_number_of_bets"]) == (None, None)
    assert result["warnings"] == [
        "the book does not move in the window: diversification_ratio and effective_number_of_bets are null"
    ]


@pytest.mark.parametrize(("days", "symbols", "decomposed"), [(60, 5, True), (5, 60, True), (6, 60, False)])
def test_bets_are_counted_where_days_or_symbols_are_few_enough(monkeypatch, days, symbols, decomposed):
    monkeypatch.setattr(measures, "MOST_FOR_BETS", 5)
    result = further(*random_book(2, days, symbols))
    assert (result["effective_number_of_bets"] is not None) == decomposed
    said = f"effective_number_of_bets is null: {symbols} positions over {days} days, and no more than 5 of one of the"
    assert any(said in text for text in result["warnings"]) == (not decomposed)


def test_one_position_is_one_bet():
    result = further(*random_book(1, 60, 1), volume_days=np.array([0.4]))
    assert (result["diversification_ratio"], result["effective_number_of_bets"]) == (1.0, 1.0)
    assert (result["liquidity_horizon_days"], result["warnings"]) == (2.0, [])


# --- replay


def test_snapshot_gives_the_same_bits_after_a_volume_was_edited(book):
    set_volumes(AAA="1000", BBB="300")
    result = analyze("BOOK").result
    set_volumes(AAA="1", BBB=None)
    snapshot = Snapshot.objects.get(pk=result["snapshot_id"])
    assert snapshot.inputs["volumes"] == [["AAA", "1000.00000000"], ["BBB", "300.00000000"]]
    assert compute(snapshot.inputs, load_matrix(snapshot.inputs["price_version"])) == result
    assert (replay(snapshot)["reproduced"], replay(snapshot)["max_abs_difference"]) == (True, 0.0)


def test_analysis_after_a_volume_was_edited_has_a_snapshot_of_its_own(book):
    set_volumes(AAA="1000", BBB="300")
    before = analyze("BOOK").result
    set_volumes(AAA="500")
    after = analyze("BOOK").result
    assert after["snapshot_id"] != before["snapshot_id"]
    assert (before["components"][0]["days_to_unwind"], after["components"][0]["days_to_unwind"]) == (0.5, 1.0)
    assert {name: after[name] for name in FURTHER} == {name: before[name] for name in FURTHER}


def test_inputs_of_before_there_were_volumes_have_no_horizon(book):
    set_volumes(AAA="1000", BBB="300")
    snapshot = Snapshot.objects.get(pk=analyze("BOOK").result["snapshot_id"])
    inputs = {name: value for name, value in snapshot.inputs.items() if name != "volumes"}
    assert compute(inputs, load_matrix(inputs["price_version"]))["liquidity_horizon_days"] is None
