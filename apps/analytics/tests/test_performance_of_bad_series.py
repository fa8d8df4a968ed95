"""Books and benchmarks whose series are short, constant, lost or full of gaps: nulls with reasons, never a failure."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from apps.analytics.tests.books import DAYS, calculate
from apps.portfolios.ledger import book_cash_flow
from apps.portfolios.models import Snapshot
from apps.portfolios.replays import replay
from apps.portfolios.tests.factories import make_portfolio, make_prices, make_trade

pytestmark = pytest.mark.django_db

EVERYTHING: dict[str, Any] = {
    "rolling_window_days": 20,
    "bootstrap": {"samples": 100, "block_days": None, "confidence": 0.95, "seed": 0},
    "factors": ["IDX"],
    "benchmark_weights": {"IDX": 1.0},
}


def make_book(closes: list[float], quantity: int = 100, cash: int = 1_000) -> None:
    make_prices({"AAA": closes, "IDX": [10 + 0.1 * (day % 7) for day in range(len(closes))]})
    make_trade(make_portfolio("BOOK", initial_cash=cash), "AAA", quantity, int(closes[0]))


def result_of(**parameters: Any) -> dict[str, Any]:
    """The result of asking for everything: it is JSON, made again to the bit, and each null field has its reason."""
    task = calculate(**{**EVERYTHING, "benchmark": "IDX", **parameters})
    assert task.status == "succeeded", task.error
    json.dumps(task.result, allow_nan=False)
    result: dict[str, Any] = task.result
    nulls = [name for name, value in {**result, **result["metrics"]}.items() if value is None]
    assert set(nulls) - {"benchmark"} <= set(result["reasons"]), result["reasons"]
    assert replay(Snapshot.objects.get(pk=result["snapshot_id"]))["differences"] == []
    return result


def test_one_return():
    make_book([10.0, 11.0])
    result = result_of()
    assert (result["observations"], result["metrics"]["total_return"]) == (1, pytest.approx(0.1))
    assert result["reasons"]["rolling"] == "a window of 20 days in a period of 1"
    assert result["reasons"]["regression"] == "1 days: 1 factors and an intercept need 3"
    assert result["reasons"]["confidence_intervals"] == "1 returns: resampling takes at least 20"
    assert result["contributions"][0]["contribution"] == pytest.approx(0.1)
    assert result["money_weighted_return"] == pytest.approx(1.1**365 - 1)


def test_constant_value():
    make_book([10.0] * 40)
    result = result_of()
    assert (result["metrics"]["annual_volatility"], result["metrics"]["sharpe"]) == (0.0, None)
    assert result["reasons"]["regression"] == "zero volatility: the returns do not vary"
    assert set(result["rolling"]["sharpe"]) == {None}
    assert result["confidence_intervals"]["measures"]["sharpe"]["lower"] is None
    assert result["confidence_intervals"]["measures"]["sharpe"]["reason"] == "100 of 100 samples have no such measure"
    assert result["money_weighted_return"] == pytest.approx(0.0, abs=1e-12)


def test_book_of_cash_alone():
    make_prices({"IDX": [10 + 0.1 * (day % 7) for day in range(40)]})
    make_portfolio("BOOK", initial_cash=1_000)
    result = result_of()
    assert (result["contributions"], result["turnover"]) == ([], 0.0)
    assert set(result["pnl"].values()) == {0.0}
    assert result["attribution"]["sectors"][-1]["average_weight"] == 1.0


def test_book_without_any_money_has_no_value_to_return_on():
    make_prices({"IDX": [10.0, 11.0, 12.0]})
    make_portfolio("BOOK", initial_cash=0)
    task = calculate()
    assert (task.status, task.error["code"]) == ("failed", "period_out_of_range")
    assert "ends at a value of 0.00: ask within it, or pay cash in before" in task.error["remedy"]


def test_benchmark_that_does_not_vary():
    make_prices({"FLAT": [5.0] * 40})
    make_book([10 + 0.1 * (day % 5) for day in range(40)])
    result = result_of(benchmark="FLAT", factors=["FLAT"])
    assert result["reasons"]["beta"] == "the benchmark does not vary"
    assert result["reasons"]["regression"] == "collinear factors: FLAT does not vary"
    assert set(result["rolling"]["beta"]) == {None}


def test_benchmark_shorter_than_the_portfolio():
    make_prices({"LATE": [5.0 + 0.1 * (day % 3) for day in range(30)]}, start=DAYS[10])
    make_book([10 + 0.1 * (day % 5) for day in range(40)])
    result = result_of(benchmark="LATE", factors=["LATE"], benchmark_weights={"LATE": 1.0})
    assert result["metrics"]["beta"] is None
    assert all(
        "LATE has no price on 10 of" in result["reasons"][name] for name in ("beta", "regression", "attribution")
    )
    assert result["rolling"]["beta"] is None
    assert any("LATE" in warning for warning in result["warnings"])


def test_benchmark_without_any_price():
    from apps.portfolios.models import Instrument

    Instrument.objects.create(symbol="NONE")
    make_book([10 + 0.1 * (day % 5) for day in range(40)])
    result = result_of(benchmark="NONE", factors=["NONE"], benchmark_weights={"NONE": 1.0})
    assert "NONE has no price on 40 of" in result["reasons"]["alpha"]


def leveraged(*last: float) -> None:
    """1,000 of one's own and 1,000 borrowed, in 200 at 10: worth nothing at a close of 5."""
    make_book([10.0 + 0.1 * (day % 4) for day in range(40)] + list(last), quantity=200)


def test_book_that_loses_everything_on_its_last_day():
    leveraged(5.0)
    result = result_of()
    assert result["metrics"]["total_return"] == -1.0
    assert result["reasons"]["money_weighted_return"] == "everything was lost: no rate grows to nothing"
    assert "no logarithm" in result["reasons"]["attribution"]
    assert result["contributions"][0]["contribution"] is None
    assert result["contributions"][0]["pnl"] == pytest.approx(-1_000)
    assert result["pnl"]["total"] == pytest.approx(-1_000)


def test_book_that_loses_more_than_everything():
    leveraged(4.0)
    result = result_of()
    assert result["metrics"]["total_return"] == pytest.approx(-1.2)
    assert result["metrics"]["annual_return"] is None


def test_book_that_goes_on_after_it_lost_everything_ends_on_that_day():
    leveraged(4.0, 6.0, 11.0)
    book_cash_flow("BOOK", Decimal(5_000), DAYS[42])
    result = result_of()
    assert (result["end_date"], result["observations"]) == (str(DAYS[40]), 40)
    assert f"worth -200.00 on {DAYS[40]}: there are no returns after that day" in result["warnings"]


def test_period_after_the_loss_of_everything_is_refused_with_the_history_there_is():
    leveraged(4.0, 6.0, 11.0)
    error = calculate(start_date=str(DAYS[41])).error
    assert (error["code"], str(DAYS[40]) in error["remedy"]) == ("period_out_of_range", True)


def test_end_in_the_future_of_a_lost_book_is_said_once():
    leveraged(4.0)
    warnings = result_of(end_date=str(DAYS[40] + timedelta(days=30)))["warnings"]
    assert len([warning for warning in warnings if str(DAYS[40]) in warning]) == 1


def test_prices_that_jump_by_orders_of_magnitude_give_no_infinity():

    make_book([1.0, 1e9, 1.0, 1e12, 1.0, *([1e14, 1.0] * 15)], quantity=1_000)
    result_of()
