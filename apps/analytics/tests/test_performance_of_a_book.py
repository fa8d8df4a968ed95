"""What a performance says beyond the measures of a series: P&L, contributions, attribution, regression, intervals."""

import json
import math
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from apps.analytics import performance
from apps.analytics.performance import compute, exact_inputs
from apps.analytics.tests.books import DAYS, SECTORS, calculate, make_traded_book
from apps.portfolios.histories import portfolio_history
from apps.portfolios.ledger import book_cash_flow
from apps.portfolios.matrix import load_current_matrix, load_matrix
from apps.portfolios.models import Instrument, Portfolio, Snapshot
from apps.portfolios.replays import replay
from apps.portfolios.tests.factories import client_of, make_portfolio, make_prices, make_trade
from apps.tasks import execution
from apps.tasks.errors import JobStoppedError
from apps.tasks.execution import take
from apps.tasks.models import Task
from apps.tasks.submission import cancel_task
from apps.tasks.tests.factories import make_task
from nautilus.cache import control

pytestmark = pytest.mark.django_db

WEIGHTS = {"AAA": 0.3, "BBB": 0.2, "CCC": 0.4, "IDX": 0.1}
EVERYTHING: dict[str, Any] = {
    "rolling_window_days": 60,
    "bootstrap": {"samples": 200, "block_days": None, "confidence": 0.9, "seed": 3},
    "factors": ["IDX", "DDD"],
    "benchmark_weights": WEIGHTS,
}


@pytest.fixture
def book():
    return make_traded_book()


def result_of(**parameters: Any) -> dict[str, Any]:
    task = calculate(**parameters)
    assert task.status == "succeeded", task.error
    return task.result


# --- adding up


@pytest.mark.parametrize("start", [0, 25, 130])
def test_contributions_and_what_is_beside_them_add_up_to_the_total_return(book, start):
    result = result_of(start_date=str(DAYS[start]))
    together = sum(row["contribution"] for row in result["contributions"]) + result["cash_contribution"]
    assert together == pytest.approx(result["metrics"]["total_return"], abs=1e-12)
    assert together + result["contribution_residual"] == pytest.approx(result["metrics"]["total_return"], abs=1e-15)
    assert abs(result["contribution_residual"]) < 1e-12
    traded = sum(row["trading_contribution"] for row in result["contributions"])
    assert traded == pytest.approx(result["trading_contribution"], abs=1e-15)


@pytest.mark.parametrize("start", [0, 25, 130])
@pytest.mark.parametrize("method", ["fifo", "average"])
def test_realized_and_unrealized_are_what_the_value_gained_beside_money_paid_in(book, start, method):
    pnl = result_of(start_date=str(DAYS[start]))["pnl"]
    values = portfolio_history(book, Portfolio.objects.get().ledger_version, load_current_matrix(), "IDX").values
    paid = (25_000 if start < 60 else 0) + (-10_000 if start < 150 else 0)
    assert pnl["total"] == pytest.approx(values[-1] - values[start] - paid, abs=1e-6)
    gained = pnl[f"realized_{method}"] + pnl[f"unrealized_change_{method}"]
    assert gained == pytest.approx(pnl["total"], rel=1e-9, abs=1e-6)
    assert abs(pnl[f"residual_{method}"]) < 1e-6


def test_pnl_of_the_positions_is_that_of_the_book(book):
    result = result_of()
    assert sum(row["pnl"] for row in result["contributions"]) == pytest.approx(result["pnl"]["total"], abs=1e-6)


def test_effects_and_trading_add_up_to_the_active_return(book):
    result = result_of(benchmark_weights=WEIGHTS)
    attribution = result["attribution"]
    names = ("allocation", "selection", "interaction", "trading")
    together = sum(attribution[name] for name in names)
    assert together == pytest.approx(attribution["active_return"], abs=1e-12)
    active = result["metrics"]["total_return"] - attribution["benchmark_return"]
    assert attribution["active_return"] == pytest.approx(active, abs=1e-12)
    assert [row["sector"] for row in attribution["sectors"]] == ["Energy", "Technology", "Unclassified", "Cash"]
    assert sum(row["average_weight"] for row in attribution["sectors"]) == pytest.approx(1.0)
    for name in names[:3]:
        assert sum(row[name] for row in attribution["sectors"]) == pytest.approx(attribution[name], abs=1e-15)


# --- small books, worked by hand


def small_book(closes: dict[str, list[float]], *trades: tuple[str, int, int, int]) -> Portfolio:
    make_prices(closes)
    portfolio = make_portfolio("SMALL", initial_cash=1_000)
    for symbol, quantity, price, day in trades:
        make_trade(portfolio, symbol, quantity, price, day=DAYS[day])
    return portfolio


def small(days: int, **parameters: Any) -> dict[str, Any]:
    task = calculate("SMALL", end_date=str(DAYS[days - 1]), **parameters)
    assert task.status == "succeeded", task.error
    return task.result


def test_realized_gains_are_against_the_first_lot_and_against_the_average():
    """10 at 10, 10 at 12, 10 sold at 15, the last close 16."""
    small_book({"AAA": [10.0, 12.0, 15.0, 16.0]}, ("AAA", 10, 10, 0), ("AAA", 10, 12, 1), ("AAA", -10, 15, 2))
    pnl = small(4)["pnl"]
    assert (pnl["realized_fifo"], pnl["unrealized_fifo"], pnl["total"]) == (50.0, 40.0, 90.0)
    assert (pnl["realized_average"], pnl["unrealized_average"]) == (40.0, 50.0)


def test_gain_of_before_the_period_is_none_of_it():
    """10 at 10, worth 12 at the start, sold at 15: realized 50 against its cost, of which 20 were there before."""
    small_book({"AAA": [10.0, 12.0, 15.0]}, ("AAA", 10, 10, 0), ("AAA", -10, 15, 2))
    pnl = small(3, start_date=str(DAYS[1]))["pnl"]
    assert (pnl["realized_fifo"], pnl["unrealized_change_fifo"], pnl["total"]) == (50.0, -20.0, 30.0)


def test_contributions_of_two_positions_over_one_day():
    """50 AAA from 10 to 11 and 25 BBB from 20 to 19: 5 % and -2.5 % of 1,000."""
    small_book({"AAA": [10.0, 11.0], "BBB": [20.0, 19.0]}, ("AAA", 50, 10, 0), ("BBB", 25, 20, 0))
    rows = small(2)["contributions"]
    assert [(row["symbol"], row["pnl"]) for row in rows] == [("AAA", 50.0), ("BBB", -25.0)]
    assert [row["contribution"] for row in rows] == pytest.approx([0.05, -0.025])
    assert [row["average_weight"] for row in rows] == pytest.approx([0.5, 0.5])


def test_trade_off_the_close_is_a_contribution_of_trading():
    """10 bought at 10 on a day that closes at 11: 10 of 1,000."""
    small_book({"AAA": [10.0, 11.0]}, ("AAA", 10, 10, 1))
    result = small(2)
    assert result["trading_contribution"] == pytest.approx(0.01)
    assert result["contributions"][0]["trading_contribution"] == pytest.approx(0.01)


def test_turnover_is_what_was_traded_over_the_mean_value_a_year():
    """Bought 500 on the second day and sold 500 on the third, at the closes, of 1,000: 1,000 / 1,000 x 252 / 3."""
    small_book({"AAA": [10.0, 10.0, 10.0, 10.0]}, ("AAA", 50, 10, 1), ("AAA", -50, 10, 2))
    assert small(4)["turnover"] == pytest.approx(252 / 3)


def test_money_weighted_return_counts_what_was_there_to_earn():
    """1,000 that rise by 10 % in the first half, then 9,900 more before a fall of 10 %: worth 9,900 at the end."""
    portfolio = small_book({"AAA": [10.0] * 100 + [11.0] * 100 + [9.9]}, ("AAA", 100, 10, 0))
    book_cash_flow(portfolio.id, Decimal(9_900), DAYS[100])
    make_trade(portfolio, "AAA", 900, 11, day=DAYS[100])
    result = small(201)
    assert result["metrics"]["total_return"] == pytest.approx(-0.01)
    years = [(DAYS[200] - DAYS[day]).days / 365 for day in (0, 100)]
    growth = 1 + result["money_weighted_return"]
    assert 1_000 * growth ** years[0] + 9_900 * growth ** years[1] == pytest.approx(9_900)


def test_money_that_was_all_paid_out_is_a_return_and_no_loss():
    """1,000 that rise by 10 % and are taken out on the last day: nothing is left, and nothing was lost."""
    portfolio = small_book({"AAA": [10.0, 10.5, 11.0]}, ("AAA", 100, 10, 0), ("AAA", -100, 11, 2))
    book_cash_flow(portfolio.id, Decimal(-1_100), DAYS[2])
    result = small(3)
    assert result["metrics"]["total_return"] == pytest.approx(0.1)
    years = (DAYS[2] - DAYS[0]).days / 365
    assert result["money_weighted_return"] == pytest.approx(1.1 ** (1 / years) - 1)


def test_quarterly_and_yearly_returns_compound_the_days(book):
    result = result_of()
    by_year = {row["year"]: row["return"] for row in result["yearly_returns"]}
    quarters = [row for row in result["quarterly_returns"] if row["year"] == 2022]
    assert [row["quarter"] for row in quarters] == [1, 2, 3, 4]
    assert np.prod([1 + row["return"] for row in quarters]) - 1 == pytest.approx(by_year[2022])
    whole = np.prod([1 + value for value in by_year.values()]) - 1
    assert whole == pytest.approx(result["metrics"]["total_return"])


def test_attribution_of_one_day_worked_by_hand():
    """60 % Energy at +10 %, 40 % cash, against half Energy at +10 % and half Technology at -2 %: 6 % against 4 %."""
    make_prices({"AAA": [10.0, 11.0], "CCC": [50.0, 49.0]})
    Instrument.objects.filter(pk="AAA").update(sector="Energy")
    Instrument.objects.filter(pk="CCC").update(sector="Technology")
    make_trade(make_portfolio("SMALL", initial_cash=1_000), "AAA", 60, 10)
    attribution = small(2, benchmark_weights={"AAA": 0.5, "CCC": 0.5})["attribution"]
    rows = {row["sector"]: row for row in attribution["sectors"]}
    assert rows["Energy"]["allocation"] == pytest.approx((0.6 - 0.5) * (0.10 - 0.04))
    assert rows["Technology"]["allocation"] == pytest.approx((0 - 0.5) * (-0.02 - 0.04))
    assert rows["Cash"]["allocation"] == pytest.approx((0.4 - 0.0) * (0 - 0.04))
    assert (attribution["selection"], attribution["active_return"]) == (pytest.approx(0), pytest.approx(0.02))


# --- regression, rolling, intervals


def test_regression_on_the_benchmark_alone_is_alpha_and_beta(book):
    result = result_of(factors=["IDX"], risk_free_rate=0.02)
    regression = result["regression"]
    assert regression["factors"][0]["beta"] == pytest.approx(result["metrics"]["beta"], rel=1e-9)
    assert regression["alpha"] == pytest.approx(result["metrics"]["alpha"], rel=1e-9)
    assert regression["observations"] == 299


def test_collinear_factors_have_no_regression_and_are_named(book):
    make_prices({"TWIN": [2 * float(close) for close in load_current_matrix().column("IDX")]})
    result = result_of(factors=["AAA", "IDX", "TWIN"])
    assert result["regression"] is None
    assert result["reasons"]["regression"] == "collinear factors: TWIN is a combination of IDX"


def test_factor_without_some_prices_has_no_regression_and_is_named(book):
    make_prices({"LATE": [1.0, 1.1, 1.2]}, start=DAYS[297])
    result = result_of(factors=["IDX", "LATE"])
    assert result["regression"] is None
    assert result["reasons"]["regression"].startswith("LATE has no price on 297 of the period's 300 days")


def test_rolling_measures_end_with_those_of_the_last_window(book):
    rolling = result_of(rolling_window_days=60)["rolling"]
    window = result_of(start_date=str(DAYS[239]))["metrics"]
    assert (len(rolling["dates"]), rolling["dates"][-1]) == (240, str(DAYS[-1]))
    for name, measure in {"volatility": "annual_volatility", "sharpe": "sharpe", "beta": "beta"}.items():
        assert rolling[name][-1] == pytest.approx(window[measure], rel=1e-9)
        assert len(rolling[name]) == 240


def test_intervals_hold_their_estimates_and_are_those_of_the_seed(book):
    intervals = result_of(bootstrap=EVERYTHING["bootstrap"])["confidence_intervals"]
    sharpe = intervals["measures"]["sharpe"]
    assert sharpe["lower"] < sharpe["estimate"] < sharpe["upper"]
    assert sharpe["estimate"] == pytest.approx(result_of()["metrics"]["sharpe"], rel=1e-12)
    assert result_of(bootstrap=EVERYTHING["bootstrap"])["confidence_intervals"] == intervals
    other = result_of(bootstrap={**EVERYTHING["bootstrap"], "seed": 4})["confidence_intervals"]
    assert other["measures"]["sharpe"]["lower"] != sharpe["lower"]


def test_resampling_goes_on_behind_a_task_that_was_answered_from_the_cache(book, monkeypatch, request):
    behind: list[Callable[[], object]] = []
    monkeypatch.setattr("nautilus.cache.results.in_background", lambda work, name: not behind.append(work))
    monkeypatch.setattr(execution, "PROGRESS_INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr(performance.compute_once, "_ttl", 0.05)
    control.enable_aggressive_mode(3600)
    request.addfinalizer(control.disable_aggressive_mode)
    for _ in range(50):
        result = result_of(bootstrap=EVERYTHING["bootstrap"])
        if behind:
            break
        time.sleep(0.02)
    behind[0]()
    assert result_of(bootstrap=EVERYTHING["bootstrap"]) == result


def test_resampling_says_how_far_it_is_and_stops_where_the_task_was_cancelled(book):
    matrix = load_current_matrix()
    inputs = exact_inputs(Portfolio.objects.get(), _parameters(**EVERYTHING), matrix)
    inputs["bootstrap"] = {**EVERYTHING["bootstrap"], "samples": 10_000}
    told: list[tuple[int, int]] = []

    def stop_half_way(done: int, total: int) -> None:
        told.append((done, total))
        if done >= total / 2:
            raise JobStoppedError

    with pytest.raises(JobStoppedError):
        compute(inputs, matrix, stop_half_way)
    assert told[0][0] < told[-1][0] < 10_000


@pytest.mark.django_db(transaction=True)
def test_cancelled_task_stops_while_it_is_resampling(book, monkeypatch):
    monkeypatch.setattr("apps.tasks.execution.PROGRESS_INTERVAL_SECONDS", 0.0)
    bootstrap = {**EVERYTHING["bootstrap"], "samples": 20_000}
    task = make_task(performance.KIND, _parameters(bootstrap=bootstrap), portfolio_id="BOOK")
    job = take(str(task.pk), "w1")
    seen: list[str] = []
    write = execution.write_progress

    def cancel_after_some(task_id: Any, done: int, total: int, message: str, *rest: Any, **held: Any) -> bool:
        seen.append(f"{message} {total}")
        if len(seen) == 4:
            cancel_task(task_id)
        return write(task_id, done, total, message, *rest, **held)

    monkeypatch.setattr(execution, "write_progress", cancel_after_some)
    execution.execute(job, performance.run_performance)
    assert seen == [f"{step} 20003" for step in ("loading prices", "reading the ledger", "measuring", "resampling")]
    task.refresh_from_db()
    assert (task.status, task.result) == ("cancelled", None)


def _parameters(**more: Any) -> dict[str, Any]:
    return {"start_date": str(DAYS[0]), "end_date": str(DAYS[-1]), "risk_free_rate": 0.0, **more}


@pytest.mark.parametrize("name", ["rolling", "attribution", "regression", "confidence_intervals"])
def test_what_was_not_asked_for_is_null_with_the_field_to_ask_by(book, name):
    result = result_of()
    field = {"rolling": "rolling_window_days", "attribution": "benchmark_weights", "regression": "factors"}
    assert result[name] is None
    assert result["reasons"][name] == f"{field.get(name, 'bootstrap')} was not given"


# --- made again


def test_everything_is_made_again_to_the_bit_after_sectors_prices_and_book_have_changed(book):
    result = result_of(**EVERYTHING)
    Instrument.objects.update(sector="Other")
    make_prices({"AAA": [1.0] * 300}, source="a correction")
    make_trade(book, "AAA", 1, 5, day=DAYS[5])
    Portfolio.objects.update(benchmark="AAA")
    snapshot = Snapshot.objects.get(pk=result["snapshot_id"])
    assert replay(snapshot)["differences"] == []
    assert snapshot.inputs["sectors"] == {**SECTORS, "DDD": "Unclassified", "IDX": "Unclassified"}


def test_other_sectors_are_other_inputs(book):
    first = result_of(**EVERYTHING)
    Instrument.objects.filter(pk="AAA").update(sector="Utilities")
    assert result_of(**EVERYTHING)["snapshot_id"] != first["snapshot_id"]


def test_snapshot_of_the_first_form_still_gives_the_result_of_its_time(book):
    """Inputs of before there was a form: their result has the thirteen measures and none of the later fields."""
    matrix = load_current_matrix()
    inputs = exact_inputs(Portfolio.objects.get(), _parameters(), matrix)
    later = {"form", "rolling_window_days", "bootstrap", "factors", "benchmark_weights", "sectors"}
    result = compute({name: value for name, value in inputs.items() if name not in later}, load_matrix(matrix.version))
    assert set(result) == {
        *("portfolio_id", "start_date", "end_date", "observations", "benchmark", "risk_free_rate", "currency"),
        *("metrics", "reasons", "drawdowns", "monthly_returns", "snapshot_id", "warnings"),
    }
    assert tuple(result["metrics"]) == performance.FIRST_METRICS


def test_first_form_has_the_bits_of_its_time_in_any_period(book):
    matrix = load_current_matrix()
    returns = portfolio_history(book, Portfolio.objects.get().ledger_version, matrix, "IDX").returns
    found, expected, now = [], [], []
    for start in range(0, 200, 10):
        parameters = {**_parameters(), "start_date": str(DAYS[start]), "risk_free_rate": 0.02}
        inputs = exact_inputs(Portfolio.objects.get(), parameters, matrix)
        excess = returns[start:] - (1.02 ** (1 / 252) - 1.0)
        expected.append(float(excess.mean()) / float(np.std(excess, ddof=1)) * math.sqrt(252))
        now.append(compute(inputs, matrix)["metrics"]["sharpe"])
        found.append(compute({**inputs, "form": 1}, matrix)["metrics"]["sharpe"])
    assert found == expected
    assert found != now


# --- asking


@pytest.mark.parametrize(
    ("fields", "attr"),
    [
        ({"rolling_window_days": 19}, "rolling_window_days"),
        ({"rolling_window_days": 20.5}, "rolling_window_days"),
        ({"bootstrap": {"samples": 99}}, "bootstrap.samples"),
        ({"bootstrap": {"sample": 100}}, "bootstrap.sample"),
        ({"bootstrap": {"confidence": 1.0}}, "bootstrap.confidence"),
        ({"bootstrap": True}, "bootstrap.non_field_errors"),
        ({"factors": ["NOPE"]}, "factors"),
        ({"factors": ["IDX", "IDX"]}, "factors"),
        ({"factors": ["IDX"] * 21}, "factors"),
        ({"benchmark_weights": {"AAA": 0.5, "BBB": 0.4}}, "benchmark_weights"),
        ({"benchmark_weights": {"AAA": 0.5, "NOPE": 0.5}}, "benchmark_weights"),
        ({"benchmark_weights": {}}, "benchmark_weights"),
        ({"benchmark_weights": {"AAA": 1.5, "BBB": -0.5}}, "benchmark_weights.BBB"),
        ({"benchmark_weights": {"AAA": "1"}}, "benchmark_weights.AAA"),
        ({"factors": ["A\0"]}, "factors.0"),
    ],
)
def test_bad_request_is_refused_with_its_field(book, fields, attr):
    body = {"portfolio_id": "BOOK", "start_date": "2022-01-03", "end_date": "2022-06-30", **fields}
    answer = client_of("trader").post("/api/v1/sprint3/analytics/performance", body, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["attr"]) == (400, attr), answer.json()
    assert not Task.objects.exists()


def test_all_of_it_may_be_asked_for_and_what_is_left_out_has_its_default(book):
    body = {"portfolio_id": "BOOK", "start_date": "2022-01-03", "end_date": "2022-06-30", **EVERYTHING}
    body["bootstrap"] = {"seed": 7}
    answer = client_of("trader").post("/api/v1/sprint3/analytics/performance", body, format="json")
    assert answer.status_code == 202, answer.json()
    inputs = Task.objects.get().inputs
    assert inputs["bootstrap"] == {"samples": 1000, "block_days": None, "confidence": 0.95, "seed": 7}
    assert (inputs["factors"], inputs["benchmark_weights"]) == (["IDX", "DDD"], WEIGHTS)


def test_result_has_the_fields_that_its_schema_names(book):
    from apps.analytics.serializers import PerformanceResultSerializer

    result = result_of(**EVERYTHING)
    assert set(PerformanceResultSerializer().fields) == {*result, "calculated_at", "task_id"}
    later = {"pnl", "contributions", "attribution", "rolling", "regression", "confidence_intervals"}
    assert not later & {name for name, field in PerformanceResultSerializer().fields.items() if field.required}
    shown = PerformanceResultSerializer({**result, "calculated_at": None, "task_id": None}).data
    for name in later:
        assert json.loads(json.dumps(shown[name])) == result[name], name
