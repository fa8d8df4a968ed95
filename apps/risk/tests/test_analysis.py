import math
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from apps.portfolios.ledger import book_cash_flow
from apps.portfolios.matrix import load_matrix
from apps.portfolios.models import Instrument, Portfolio, Snapshot
from apps.portfolios.price_import import import_prices
from apps.portfolios.tests.factories import book_state, make_portfolio, make_prices, make_trade, trading_days
from apps.risk.analysis import compute, run_analysis
from apps.risk.models import RiskMetric
from apps.tasks.execution import execute, take
from apps.tasks.models import Task
from apps.tasks.tests.factories import make_task

pytestmark = pytest.mark.django_db

DEFAULTS = {
    "method": "historical",
    "confidence": 0.75,
    "horizon_days": 1,
    "horizon_method": "sqrt_time",
    "window_days": 4,
    "as_of": None,
}

# Returns of AAA: +10 %, -10 %, +20 %, -5 %; of BBB: 0, +2 %, -1 %, 0.
CLOSES = {
    "AAA": [100.0, 110.0, 99.0, 118.8, 112.86],
    "BBB": [50.0, 50.0, 51.0, 50.49, 50.49],
}
DAYS = trading_days(5)


def analyze(portfolio_id: str, **parameters: Any) -> Task:
    task = make_task("risk.analyze", {**DEFAULTS, **parameters}, portfolio_id=portfolio_id)
    execute(take(str(task.pk), "w1"), run_analysis)
    task.refresh_from_db()
    return task


@pytest.fixture
def book():
    make_prices(CLOSES)
    portfolio = make_portfolio("BOOK", initial_cash=100_000)
    make_trade(portfolio, "AAA", 100, 100)
    make_trade(portfolio, "BBB", -200, 50)
    return portfolio


def test_figures_follow_the_definitions(book):
    result = analyze("BOOK").result
    # Values at the last close: AAA 11,286.00, BBB -10,098.00. P&L: 1128.60, -1330.56, 2358.18, -564.30.
    assert result["var"] == pytest.approx(1330.56, abs=1e-9)  # k = ceil(0.25 x 4) = 1
    assert result["expected_shortfall"] == pytest.approx(1330.56, abs=1e-9)
    assert result["portfolio_value"] == pytest.approx(100_000 + 11_286.00 - 10_098.00)
    assert result["worst_scenarios"][0] == {"date": str(DAYS[2]), "pnl": pytest.approx(-1330.56)}
    assert result["var_pct"] == pytest.approx(1330.56 / 101_188)
    assert (result["as_of"], result["observations"], result["currency"]) == (str(DAYS[4]), 4, "USD")


def test_components_add_up_to_var_exactly_over_any_horizon(book):
    for horizon in (1, 10, 250):
        result = analyze("BOOK", horizon_days=horizon).result
        assert math.fsum(row["component_var"] for row in result["components"]) == result["var"]


def test_square_root_of_time_scales_the_one_day_figures(book):
    one, ten = analyze("BOOK").result, analyze("BOOK", horizon_days=10).result
    assert ten["var"] == pytest.approx(one["var"] * math.sqrt(10), rel=1e-15)
    assert ten["observations"] == 4


def test_overlapping_horizon_compounds_the_returns(book):
    result = analyze("BOOK", horizon_days=2, horizon_method="overlapping", confidence=0.6).result
    # AAA over two days: -1 %, +8 %, +14 %; BBB: +2 %, +0.98 %, -1 %.
    assert result["observations"] == 3
    assert result["worst_scenarios"][0]["pnl"] == pytest.approx(11_286 * -0.01 - 10_098 * 0.02)


def test_given_day_is_valued_with_what_was_held_then(book):
    make_trade(book, "AAA", 900, "118.8", day=DAYS[3])
    then = analyze("BOOK", as_of=str(DAYS[2]), window_days=2).result
    assert [row["value"] for row in then["components"]] == [pytest.approx(9_900), pytest.approx(-10_200)]
    now = analyze("BOOK").result
    assert now["components"][0]["value"] == pytest.approx(1000 * 112.86)


def test_cash_paid_in_after_the_day_is_not_in_its_value(book):
    book_cash_flow("BOOK", Decimal(50_000), DAYS[3])
    before = analyze("BOOK", as_of=str(DAYS[2]), window_days=2).result["portfolio_value"]
    assert before == pytest.approx(100_000 + 9_900 - 10_200)
    assert analyze("BOOK").result["portfolio_value"] == pytest.approx(151_188)


def test_figures_and_their_inputs_are_stored_with_the_task(book):
    task = analyze("BOOK")
    row = RiskMetric.objects.get(task=task)
    snapshot = Snapshot.objects.get(pk=task.result["snapshot_id"])
    assert (row.var, row.snapshot_id) == (task.result["var"], snapshot.pk)
    assert snapshot.result == task.result


def test_snapshot_gives_the_same_bits_after_prices_and_book_have_changed(book):
    result = analyze("BOOK").result
    make_prices({"AAA": [101.0, 1.0, 2.0, 3.0, 4.0]}, source="a correction")
    make_trade(book, "AAA", 7, 4, day=DAYS[4])
    snapshot = Snapshot.objects.get(pk=result["snapshot_id"])
    assert compute(snapshot.inputs, load_matrix(snapshot.inputs["price_version"])) == result
    assert analyze("BOOK").result["snapshot_id"] != result["snapshot_id"]


def test_window_longer_than_history_names_the_symbols_and_what_they_have(book):
    make_prices({"NEW": [5.0, 6.0]}, start=DAYS[3])
    make_trade(book, "NEW", 10, 5, day=DAYS[3])
    before = book_state()
    error = analyze("BOOK").error
    assert error["code"] == "insufficient_history"
    assert "NEW has 1" in error["detail"]
    assert "AAA" not in error["detail"]
    assert "window_days of 1" in error["remedy"]
    assert book_state() == before
    assert not RiskMetric.objects.exists()


def test_gap_in_the_prices_is_no_return(book):
    make_prices({"GAP": [5.0, 5.0, None, 5.0, 5.0]})
    make_trade(book, "GAP", 10, 5)
    assert "GAP has 1" in analyze("BOOK").error["detail"]


def test_days_on_which_nothing_of_the_book_trades_are_no_days_of_it(book):
    saturday = date(2022, 1, 8)
    make_prices({"COIN": [1.0, 2.0]}, start=saturday - timedelta(days=1))
    import_prices(f"date,symbol,close\n{saturday},COIN,3\n".encode(), "another calendar")
    make_prices({"AAA": [113.0], "BBB": [50.0]}, start=date(2022, 1, 10))
    result = analyze("BOOK", window_days=5, confidence=0.9).result
    assert (result["as_of"], result["observations"]) == ("2022-01-10", 5)


def test_stray_price_on_a_day_that_is_none_of_the_benchmarks_changes_nothing(book):
    make_prices({"IDX": [1.0] * 5})
    Portfolio.objects.filter(pk="BOOK").update(benchmark="IDX")
    before = analyze("BOOK").result
    import_prices(b"date,symbol,close\n2022-01-05,IDX,1.5\n2022-01-01,AAA,90\n", "a slip")
    import_prices(b"date,symbol,close\n2022-01-08,AAA,90\n", "a Saturday after the benchmark's last day")
    after = analyze("BOOK").result
    assert after["var"] == before["var"]
    assert "prices run to 2022-01-08" in after["warnings"][0]


def test_default_day_is_the_latest_on_which_everything_held_has_a_price(book):
    make_prices({"AAA": [120.0]}, start=trading_days(6)[5])
    assert analyze("BOOK").result["as_of"] == str(DAYS[4])


def test_portfolio_without_positions_is_refused_with_the_reason(book):
    make_portfolio("EMPTY")
    error = analyze("EMPTY").error
    assert (error["code"], "EMPTY holds no position" in error["detail"]) == ("no_positions", True)


def test_day_without_prices_is_refused_with_the_days_there_are(book):
    error = analyze("BOOK", as_of="2022-01-08").error  # a Saturday
    assert error["code"] == "as_of_out_of_range"
    assert str(DAYS[4]) in error["remedy"]


def test_instrument_of_another_currency_is_refused_as_there_are_no_rates(book):
    Instrument.objects.filter(pk="BBB").update(currency="EUR")
    error = analyze("BOOK").error
    assert (error["code"], "BBB (EUR)" in error["detail"]) == ("currency_mismatch", True)


def test_book_worth_less_than_nothing_has_figures_but_no_percentages(book):
    book_cash_flow("BOOK", Decimal(-200_000), DAYS[4])
    result = analyze("BOOK").result
    assert result["var"] == pytest.approx(1330.56)
    assert (result["var_pct"], result["expected_shortfall_pct"], result["volatility_annual"]) == (None, None, None)
    assert "-98812.00" in result["warnings"][0]


def test_flat_prices_have_no_risk_and_no_minus_zero():
    make_prices({"AAA": [10.0] * 5})
    make_trade(make_portfolio("FLAT"), "AAA", 10, 10)
    result = analyze("FLAT").result
    assert str(result["var"]) == "0.0"
    assert str(result["expected_shortfall"]) == "0.0"


def test_no_prices_at_all_is_a_clear_error():
    make_portfolio("BOOK")
    assert analyze("BOOK").error["code"] == "no_prices"


def test_as_of_of_today_is_a_date_like_any_other(book):
    assert analyze("BOOK", as_of=date.today().isoformat()).error["code"] == "as_of_out_of_range"  # noqa: DTZ011
