import json
from decimal import Decimal
from typing import Any

import pytest

from apps.analytics.models import AnalyticsMetric
from apps.analytics.performance import compute, run_performance
from apps.portfolios.ledger import book_cash_flow
from apps.portfolios.matrix import load_matrix
from apps.portfolios.models import Snapshot
from apps.portfolios.tests.factories import client_of, make_portfolio, make_prices, make_trade, trading_days
from apps.tasks.execution import execute, take
from apps.tasks.models import Task
from apps.tasks.tests.factories import make_task
from nautilus.cache import control

pytestmark = pytest.mark.django_db

DAYS = trading_days(6)
CLOSES = {"AAA": [100.0, 110.0, 99.0, 118.8, 118.8, 106.92], "IDX": [10.0, 10.5, 10.0, 11.0, 11.0, 10.5]}


def calculate(portfolio_id: str = "BOOK", **parameters: Any) -> Task:
    inputs = {
        "start_date": str(DAYS[0]),
        "end_date": str(DAYS[-1]),
        "benchmark": None,
        "risk_free_rate": 0.0,
        **parameters,
    }
    task = make_task("calculate_portfolio_performance", inputs, portfolio_id=portfolio_id)
    execute(take(str(task.pk), "w1"), run_performance)
    task.refresh_from_db()
    return task


@pytest.fixture
def book():
    """All in AAA from the first day on: the portfolio's returns are AAA's +10 %, -10 %, +20 %, 0, -10 %."""
    make_prices(CLOSES)
    portfolio = make_portfolio("BOOK", initial_cash=10_000)
    make_trade(portfolio, "AAA", 100, 100)
    return portfolio


def test_figures_follow_the_definitions(book):
    result = calculate(benchmark="IDX").result
    metrics = result["metrics"]
    assert metrics["total_return"] == pytest.approx(0.0692)  # 106.92 / 100 - 1
    assert metrics["annual_return"] == pytest.approx(1.0692 ** (252 / 5) - 1)
    assert (metrics["best_day"], metrics["worst_day"]) == (pytest.approx(0.2), pytest.approx(-0.1))
    assert metrics["max_drawdown"] == pytest.approx(-0.1)
    assert result["observations"] == 5
    assert (result["start_date"], result["end_date"]) == (str(DAYS[0]), str(DAYS[-1]))
    assert {
        *("total_return", "annual_return", "annual_volatility", "sharpe", "sortino", "calmar", "max_drawdown"),
        *("best_day", "worst_day", "var_95", "cvar_95", "alpha", "beta"),
    } <= set(metrics)


def test_drawdowns_have_their_dates(book):
    drawdowns = calculate().result["drawdowns"]
    first, second = sorted(drawdowns, key=lambda row: row["peak"])
    assert first == {
        "peak": str(DAYS[1]),
        "trough": str(DAYS[2]),
        "recovery": str(DAYS[3]),
        "depth": pytest.approx(-0.1),
        "days": 2,
    }
    assert (second["peak"], second["recovery"]) == (str(DAYS[4]), None)


def test_money_paid_in_is_no_return(book):
    plain = calculate().result["metrics"]
    book_cash_flow("BOOK", Decimal(1_000_000), DAYS[5])
    assert calculate().result["metrics"] == plain


def test_first_return_is_on_the_trading_day_after_the_start(book):
    result = calculate(start_date=str(DAYS[2])).result
    assert (result["observations"], result["metrics"]["best_day"]) == (3, pytest.approx(0.2))


def test_period_beyond_the_history_is_cut_and_said(book):
    result = calculate(start_date="2021-01-01", end_date="2022-12-31").result
    assert (result["start_date"], result["end_date"]) == (str(DAYS[0]), str(DAYS[-1]))
    assert [warning.split()[0] for warning in result["warnings"]] == ["start_date", "end_date"]


def test_period_without_a_return_is_refused_with_the_one_there_is(book):
    error = calculate(start_date="2023-01-01", end_date="2023-02-01").error
    assert error["code"] == "period_out_of_range"
    assert str(DAYS[-1]) in error["remedy"]


def test_without_a_benchmark_alpha_and_beta_are_null_with_the_reason(book):
    result = calculate().result
    assert (result["metrics"]["alpha"], result["metrics"]["beta"]) == (None, None)
    assert result["reasons"]["beta"] == "no benchmark"


def test_benchmark_that_begins_later_leaves_its_measures_out_and_says_from_when(book):
    make_prices({"LATE": [1.0, 1.1]}, start=DAYS[4])
    result = calculate(benchmark="LATE").result
    gap = f"the benchmark LATE has no price on 4 of the period's 6 days, the first {DAYS[0]}"
    assert (result["metrics"]["beta"], result["reasons"]["beta"]) == (None, gap)
    assert result["metrics"]["total_return"] == pytest.approx(0.0692)
    assert f"{gap}: no measure against it is given" in result["warnings"]


def test_one_return_gives_nulls_with_reasons_and_valid_json(book):
    result = calculate(end_date=str(DAYS[1])).result
    assert result["metrics"]["total_return"] == pytest.approx(0.1)
    assert result["metrics"]["sharpe"] is None
    assert "sharpe" in result["reasons"]
    json.dumps(result, allow_nan=False)


def test_portfolio_of_cash_alone_has_no_volatility_and_no_infinity(book):
    make_portfolio("CASH")
    result = calculate("CASH").result
    assert (result["metrics"]["total_return"], result["metrics"]["sharpe"]) == (0.0, None)


def test_snapshot_gives_the_same_bits_after_prices_and_book_have_changed(book):
    result = calculate(benchmark="IDX").result
    make_prices({"AAA": [100.0, 1.0, 2.0, 3.0, 4.0, 5.0]}, source="a correction")
    make_trade(book, "AAA", 1, 5, day=DAYS[5])
    snapshot = Snapshot.objects.get(pk=result["snapshot_id"])
    assert compute(snapshot.inputs, load_matrix(snapshot.inputs["price_version"])) == result


def test_latest_stored_performance_is_served_and_404_where_there_is_none(book):
    client = client_of("viewer")
    url = "/api/v1/sprint3/analytics/performance/BOOK"
    missing = client.get(url)
    assert (missing.status_code, "No performance of BOOK" in missing.json()["errors"][0]["detail"]) == (404, True)
    task = calculate(benchmark="IDX")
    assert AnalyticsMetric.objects.get().result == task.result
    assert task.result.items() <= client.get(url).json().items()


@pytest.mark.parametrize(
    ("fields", "attr"),
    [
        ({"end_date": "2022-01-03"}, "end_date"),
        ({"start_date": "soon"}, "start_date"),
        ({"benchmark": "NOPE"}, "benchmark"),
        ({"risk_free_rate": "3%"}, "risk_free_rate"),
        ({"riskfree": 0.0}, "riskfree"),
    ],
)
def test_bad_request_is_refused_with_its_field(book, fields, attr):
    body = {"portfolio_id": "BOOK", "start_date": "2022-01-03", "end_date": "2022-01-10", **fields}
    answer = client_of("trader").post("/api/v1/sprint3/analytics/performance", body)
    assert (answer.status_code, answer.json()["errors"][0]["attr"]) == (400, attr)
    assert not Task.objects.exists()


def test_equal_performance_is_computed_once_until_the_book_changes(book):
    first, second = calculate(), calculate()
    assert first.result == second.result
    assert AnalyticsMetric.objects.count() == 2
    before = control.status()["misses"]
    calculate()
    assert control.status()["misses"] == before
    make_trade(book, "AAA", 1, 100)
    calculate()
    assert control.status()["misses"] == before + 1
