"""Backtests end to end: what a day's forecast rests on, what it is held against, and what the job stores."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command

from apps.portfolios.matrix import load_matrix
from apps.portfolios.models import Instrument, Portfolio, Snapshot
from apps.portfolios.price_import import import_prices
from apps.portfolios.tests.factories import (
    book_state,
    client_of,
    make_portfolio,
    make_prices,
    make_trade,
    trading_days,
)
from apps.risk import analysis, tested_days
from apps.risk.backtests import compute, run_backtest
from apps.risk.methods import METHODS
from apps.tasks.execution import execute, take
from apps.tasks.models import Task
from apps.tasks.tests.factories import make_task

pytestmark = pytest.mark.django_db

URL = "/api/v1/sprint3/analytics/risk/backtest"
DEFAULTS = {
    "methods": ["historical"],
    "confidence": 0.75,
    "window_days": 4,
    "test_days": 3,
    "as_of": None,
    "positions": "ledger",
    "proxy": {},
    "missing": "error",
}
DAYS = trading_days(8)
FIGURES = ("var", "expected_shortfall")

# Returns: +10 %, -10 %, +20 %, -5 %, +10 %, -20 %, +5 %.
CLOSES = [100.0, 110.0, 99.0, 118.8, 112.86, 124.146, 99.3168, 104.28264]


@pytest.fixture(autouse=True)
def _long_lease(settings: Any) -> None:
    """A lease is renewed on another connection, to which a test's row is not committed: none is to fall due here."""
    settings.TASK_LEASE_SECONDS = 300


def backtest(portfolio_id: str = "BOOK", **parameters: Any) -> Task:
    task = make_task("risk.backtest", {**DEFAULTS, **parameters}, portfolio_id=portfolio_id)
    execute(take(str(task.pk), "w1"), run_backtest)
    task.refresh_from_db()
    return task


def table(task: Task, method: str = "historical") -> dict[str, Any]:
    assert task.error is None, task.error
    return next(each for each in task.result["methods"] if each["method"] == method)


def series(task: Task, method: str = "historical") -> dict[str, dict[str, float]]:
    return {row["date"]: row for row in table(task, method)["series"]}


@pytest.fixture
def book():
    make_prices({"AAA": CLOSES})
    portfolio = make_portfolio("BOOK", initial_cash=100_000)
    make_trade(portfolio, "AAA", 100, 100)
    return portfolio


def test_figures_follow_the_definitions(book):
    result = backtest().result
    # At the close of day 4 the book is worth 11,286.00, and the worst of the four returns behind it is -10 %
    # (k = ceil(0.25 x 4) = 1): VaR 1,128.60. The next day brings +10 %. So for each of the three days.
    rows = result["methods"][0]["series"]
    assert [row["date"] for row in rows] == [str(day) for day in DAYS[5:]]
    assert [row["var"] for row in rows] == pytest.approx([1_128.60, 1_241.46, 1_986.336])
    assert [row["realized"] for row in rows] == pytest.approx([1_128.60, -2_482.92, 496.584])
    assert result["methods"][0]["exceptions"] == 1
    assert result["methods"][0]["exception_dates"] == [str(DAYS[6])]
    assert result["methods"][0]["expected_exceptions"] == 0.75
    assert (result["first_date"], result["last_date"], result["observations"]) == (str(DAYS[5]), str(DAYS[7]), 3)


def test_positions_are_those_of_each_days_close(book):
    make_trade(book, "AAA", 100, "112.86", day=DAYS[4])
    make_trade(book, "AAA", -150, "124.146", day=DAYS[5])
    ledger = series(backtest())
    # 200 shares at the close of day 4, 50 at that of day 5; trades of a day earn nothing that day.
    assert ledger[str(DAYS[5])]["realized"] == pytest.approx(200 * (124.146 - 112.86))
    assert ledger[str(DAYS[6])]["realized"] == pytest.approx(50 * (99.3168 - 124.146))
    current = series(backtest(positions="current"))
    assert current[str(DAYS[5])]["realized"] == pytest.approx(50 * (124.146 - 112.86))


def test_current_positions_of_a_given_day_are_those_of_that_close(book):
    make_trade(book, "AAA", 900, "104.28264", day=DAYS[7])
    asked = series(backtest(positions="current", as_of=str(DAYS[6]), test_days=2))
    assert list(asked) == [str(DAYS[5]), str(DAYS[6])]
    assert asked[str(DAYS[5])]["var"] == pytest.approx(1_128.60)


def test_days_without_a_position_are_skipped_and_counted(book):
    make_trade(book, "AAA", -100, "112.86", day=DAYS[4])
    make_trade(book, "AAA", 100, "124.146", day=DAYS[5])
    task = backtest()
    assert [row["date"] for row in table(task)["series"]] == [str(DAYS[6]), str(DAYS[7])]
    assert task.result["skipped_days"] == {"nothing_held": 1, "missing_prices": 0}
    assert "on 1 days nothing was held" in task.result["warnings"][0]


def test_forecast_is_what_an_analysis_of_that_day_says(book):
    make_prices({"BBB": [50.0, 50.0, 51.0, 50.49, 50.49, 52.0, 51.0, 50.0]})
    make_trade(book, "BBB", -200, "50.49", day=DAYS[3])
    rows = series(backtest())
    for close, day in pairwise(DAYS[4:]):
        asked = {**{name: DEFAULTS[name] for name in ("confidence", "window_days")}, "as_of": str(close)}
        one_day = {"method": "historical", "horizon_days": 1, "horizon_method": "sqrt_time"}
        task = make_task("risk.analyze", {**asked, **one_day}, portfolio_id="BOOK")
        execute(take(str(task.pk), "w1"), analysis.run_analysis)
        task.refresh_from_db()
        assert rows[str(day)]["var"] == pytest.approx(task.result["var"], rel=1e-9)
        assert rows[str(day)]["expected_shortfall"] == pytest.approx(task.result["expected_shortfall"], rel=1e-9)


# --- Nothing of the future ----------------------------------------------------------------------------------------

# The last close that is the same in both futures, and the day after it.
PAST, FUTURE = trading_days(171)[-2:]
LONG = {"window_days": 120, "test_days": 8, "as_of": str(FUTURE), "confidence": 0.95, "seed": 3, "decay": 0.97}


def walk(seed: int, days: int = 180) -> list[float]:
    moves = np.random.default_rng(seed).standard_t(4, days) * 0.01
    return np.round(100 * np.cumprod(1 + moves), 6).tolist()


def change_the_future(portfolio: Portfolio) -> None:
    """Other prices and trades after PAST, and a new symbol, with a calendar of its own before it."""
    saturdays = [PAST + timedelta(days=5 - PAST.weekday() - 7 * weeks) for weeks in range(1, 9)]
    later = [day for day in trading_days(185) if day > PAST]
    lines = [
        f"{day},{symbol},{7 + row % 3}" for row, day in enumerate(later) for symbol in ("AAA", "BBB", "COIN", "IDX")
    ]
    lines += [f"{day},COIN,5" for day in saturdays]
    import_prices("\n".join(["date,symbol,close", *lines]).encode(), "another future")
    for symbol, quantity in (("AAA", -77), ("BBB", 1_000), ("COIN", 50)):
        make_trade(portfolio, symbol, quantity, 7, day=FUTURE)


@pytest.mark.parametrize("benchmark", ["IDX", None])
def test_forecasts_of_every_method_are_the_same_bits_whatever_comes_after(benchmark):
    make_prices({"AAA": walk(1), "BBB": walk(2), "IDX": walk(3)})
    portfolio = make_portfolio("BOOK", initial_cash=100_000, benchmark=benchmark)
    make_trade(portfolio, "AAA", 100, 100)
    make_trade(portfolio, "BBB", "-33.3", 100, day=trading_days(166)[-1])
    asked = [
        {**LONG, "methods": sorted(METHODS), "paths": 1_000, "distribution": name} for name in ("normal", "student_t")
    ]
    before = [backtest(**each) for each in asked]
    change_the_future(portfolio)
    after = [backtest(**each) for each in asked]
    for then, now in zip(before, after, strict=True):
        for method in METHODS:
            assert_same_forecasts_of_another_day(series(then, method), series(now, method))


def assert_same_forecasts_of_another_day(then: dict[str, Any], now: dict[str, Any]) -> None:
    known = sorted(set(then) & set(now))
    assert len(known) >= 6
    assert known[-1] == str(FUTURE)
    for day in known:
        assert [then[day][name].hex() for name in FIGURES] == [now[day][name].hex() for name in FIGURES]
    assert then[str(FUTURE)]["realized"] != now[str(FUTURE)]["realized"]


# --- Replay -------------------------------------------------------------------------------------------------------


def test_snapshot_gives_the_same_bits_after_prices_and_book_have_changed(book):
    result = backtest(methods=["age_weighted", "historical", "parametric"], decay=0.9, distribution="normal").result
    make_prices({"AAA": [101.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]}, source="a correction")
    make_trade(book, "AAA", 7, 4, day=DAYS[4])
    snapshot = Snapshot.objects.get(pk=result["snapshot_id"])
    assert snapshot.result == result
    assert compute(snapshot.inputs, load_matrix(snapshot.inputs["price_version"])) == result
    assert backtest().result["snapshot_id"] != result["snapshot_id"]


def test_days_taken_a_few_at_a_time_give_the_same_bits(book, monkeypatch):
    at_once = backtest().result
    monkeypatch.setattr(tested_days, "DAYS_AT_A_TIME", 2)
    assert backtest().result == at_once


# --- Missing prices -----------------------------------------------------------------------------------------------


def test_window_longer_than_history_names_the_symbol_the_day_and_what_it_has(book):
    before = book_state()
    error = backtest(window_days=6).error
    assert error["code"] == "insufficient_history"
    assert f"at the close of {DAYS[4]} AAA has 4" in error["detail"]
    assert "window_days of 4" in error["remedy"]
    assert book_state() == before


def test_missing_price_while_held_is_refused_with_its_day(book):
    make_prices({"GAP": [5.0, 5.0, 5.0, 5.0, 5.0, None, 5.0, 5.0]})
    make_trade(book, "GAP", 10, 5, day=DAYS[4])
    error = backtest().error
    assert (error["code"], f"GAP was held and has no price on {DAYS[5]}" in error["detail"]) == (
        "insufficient_history",
        True,
    )


def test_days_with_a_missing_price_are_dropped_where_that_is_asked_for(book):
    make_prices({"GAP": [5.0, 5.0, 5.0, 5.0, 5.0, None, 5.0, 5.0]})
    make_trade(book, "GAP", 10, 5, day=DAYS[4])
    task = backtest(missing="drop_days")
    # No P&L on day 5 for want of the price, nor on day 6, whose close before it has none.
    assert [row["date"] for row in table(task)["series"]] == [str(DAYS[7])]
    assert task.result["skipped_days"]["missing_prices"] == 2
    assert any("rest on less than window_days 4" in text for text in task.result["warnings"])


def test_proxy_stands_in_for_the_returns_before_a_symbols_first_price(book):
    make_prices({"NEW": [10.0, 10.0, 10.0, 10.0]}, start=DAYS[4])
    make_trade(book, "NEW", 1_000, 10, day=DAYS[4])
    assert "NEW has 0" in backtest().error["detail"]
    task = backtest(proxy={"NEW": "AAA"})
    # 11,286.00 and 10,000.00 through AAA's -10 %; what came is NEW's own: nothing.
    assert series(task)[str(DAYS[5])]["var"] == pytest.approx(2_128.60)
    assert series(task)[str(DAYS[5])]["realized"] == pytest.approx(1_128.60)
    assert "that of its proxy AAA stands in" in task.result["warnings"][0]
    assert backtest(proxy={"OTHER": "AAA"}).error["code"] == "invalid_proxy"


def test_days_of_another_calendar_are_no_days_of_the_book(book):
    make_prices({"COIN": [1.0] * 8})
    import_prices(b"date,symbol,close\n2022-01-08,COIN,3\n2022-01-09,COIN,4\n", "a weekend")
    make_trade(book, "COIN", 1, 1)
    make_trade(book, "COIN", -1, 1, day=DAYS[1])
    assert list(series(backtest(test_days=5))) == [str(day) for day in DAYS[5:]]


# --- Clear refusals and edges -------------------------------------------------------------------------------------


def test_book_that_never_held_anything_is_refused(book):
    make_portfolio("EMPTY")
    error = backtest("EMPTY").error
    assert (error["code"], "EMPTY held no position" in error["detail"]) == ("no_positions", True)


def test_other_currency_on_a_tested_day_is_refused(book):
    Instrument.objects.filter(pk="AAA").update(currency="EUR")
    assert "AAA (EUR)" in backtest().error["detail"]


def test_day_without_prices_is_refused(book):
    assert backtest(as_of="2022-01-08").error["code"] == "as_of_out_of_range"


def test_flat_prices_have_no_exceptions_and_null_scores_with_a_reason():
    make_prices({"AAA": [10.0] * 8})
    make_trade(make_portfolio("FLAT"), "AAA", 10, 10)
    task = backtest("FLAT")
    row = table(task)
    assert (row["exceptions"], row["es_test"], row["fz_score"], row["pinball_loss"]) == (0, None, None, 0.0)
    assert task.result["ranked_by"] == "pinball_loss"
    assert "the expected shortfall is not above zero on 3 days" in task.result["warnings"][0]


def test_short_book_loses_when_prices_rise():
    make_prices({"AAA": CLOSES})
    make_trade(make_portfolio("SHORT", initial_cash=100_000), "AAA", -100, 100)
    task = backtest("SHORT")
    assert [row["realized"] < 0 for row in table(task)["series"]] == [True, False, True]
    assert table(task)["series"][0]["var"] == pytest.approx(11_286 * 0.20)


def test_methods_are_ranked_by_their_joint_score(book):
    result = backtest(methods=["age_weighted", "historical"], decay=0.9).result
    ranks = {row["method"]: row["rank"] for row in result["methods"]}
    best = min(result["methods"], key=lambda row: row["fz_score"])["method"]
    assert (result["ranked_by"], result["best_method"], ranks[best]) == ("fz_score", best, 1)


def test_warnings_of_forecasts_are_said_once_with_their_count(book):
    warnings = backtest(methods=["filtered_historical"]).result["warnings"]
    assert len(warnings) == 1
    assert warnings[0].startswith(f"filtered_historical, 3 of 3 forecasts, the first for {DAYS[5]}: 4 days are too few")


# --- The sample book ----------------------------------------------------------------------------------------------


def test_sample_portfolios_end_to_end():
    call_command("load_sample_book")
    for number in (1, 2, 3):
        task = backtest(f"PORTFOLIO_00{number}", confidence=0.99, window_days=500, test_days=250)
        result, row = task.result, table(task)
        assert (result["last_date"], result["observations"]) == ("2022-12-28", 250)
        assert len(row["series"]) == 250
        assert row["traffic_light"]["plus_factor"] is not None
        assert row["exceptions"] == sum(day["realized"] < -day["var"] for day in row["series"])
        assert row["expected_exceptions"] == 2.5


# --- The API ------------------------------------------------------------------------------------------------------


def test_request_becomes_a_task_with_the_defaults_and_without_what_no_method_uses(book):
    answer = client_of().post(URL, {"portfolio_id": "BOOK", "method": "historical", "confidence": 0.99}, format="json")
    assert answer.status_code == 202
    inputs = Task.objects.get(pk=answer.json()["task_id"]).inputs
    assert inputs["methods"] == ["historical"]
    assert (inputs["window_days"], inputs["test_days"], inputs["positions"]) == (500, 250, "ledger")
    assert not {"method", "paths", "seed", "decay", "distribution"} & set(inputs)


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"method": "guess"}, "method"),
        ({"method": "historical", "methods": ["parametric"]}, "methods"),
        ({"methods": []}, "methods"),
        ({"test_days": 2_501}, "test_days"),
        ({"positions": "mine"}, "positions"),
        ({"horizon_days": 10}, "horizon_days"),
        (
            {"methods": ["monte_carlo"], "distribution": "student_t", "paths": 1_000_000, "test_days": 2_500},
            "test_days",
        ),
    ],
)
def test_wrong_request_is_refused_with_the_field(book, body, attr):
    answer = client_of().post(URL, {"portfolio_id": "BOOK", **body}, format="json")
    assert answer.status_code == 400
    assert attr in answer.json()["errors"][0]["attr"]
