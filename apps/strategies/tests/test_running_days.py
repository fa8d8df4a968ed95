"""An active deployment day by day: decided at a close, filled at the next one, with known prices and figures."""

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from apps.portfolios.matrix import load_current_matrix
from apps.portfolios.models import Instrument, Portfolio, PortfolioData, Trade
from apps.portfolios.tests.factories import INCEPTION, make_portfolio, make_prices, make_trade, moment, trading_days
from apps.risk.models import PreTradeDecision
from apps.strategies.kernels.schedule import is_decision_day
from apps.strategies.kernels.simulation import Simulated, simulate
from apps.strategies.models import DeploymentRun
from apps.strategies.running import events
from apps.strategies.tests.running_factories import (
    MOMENTUM,
    RUNNING_SETTINGS,
    make_active,
    make_version,
    orders_of,
    pass_grace,
    run,
    trades_of,
)

pytestmark = pytest.mark.django_db

DAYS = trading_days(10)


@pytest.fixture(autouse=True)
def running_settings(settings):
    for name, value in RUNNING_SETTINGS.items():
        setattr(settings, name, value)


def test_weights_of_a_day_are_orders_that_are_filled_at_the_next_close_with_costs():
    """1,000 in cash, half in AAA at 10 and 0.3 in BBB at 50: 50 and 6 units, for 11 x 1.001 and 50 x 1.001 each."""
    make_prices({"AAA": [10.0, 11.0], "BBB": [50.0, 50.0]})
    portfolio = make_portfolio()
    deployment = make_active(portfolio)
    result = run(deployment)
    assert trades_of(portfolio) == [
        ("2022-01-04", "AAA", Decimal(50), Decimal("11.011")),
        ("2022-01-04", "BBB", Decimal(6), Decimal("50.05")),
    ]
    portfolio.refresh_from_db()
    assert portfolio.cash == Decimal("149.15")  # 1,000 - 550.55 - 300.30
    # The equity is 149.15 + 550 + 300 = 999.15: half of it are 45.41590909 AAA at 11, and 0.3 are 5.9949 BBB.
    assert orders_of(deployment) == [
        ("2022-01-03", "AAA", 50.0, "filled"),
        ("2022-01-03", "BBB", 6.0, "filled"),
        ("2022-01-04", "AAA", pytest.approx(45.41590909 - 50, abs=1e-8), "open"),
        ("2022-01-04", "BBB", pytest.approx(5.9949 - 6, abs=1e-8), "open"),
    ]
    assert result == {
        "deployment_id": deployment.pk,
        "from": "2022-01-03",
        "to": "2022-01-04",
        "days": 2,
        "decisions": 2,
        "orders": {"filled": 2, "refused": 0, "cancelled": 0, "open": 2},
        "status": "active",
    }


def test_run_keeps_what_was_decided_on_and_the_deployment_how_far_it_is():
    make_prices({"AAA": [10.0, 11.0], "BBB": [50.0, 50.0]})
    deployment = make_active(make_portfolio())
    run(deployment)
    first, second = DeploymentRun.objects.filter(deployment=deployment).order_by("day")
    assert (first.status, first.equity, first.weights, first.share) == (
        "succeeded",
        1000.0,
        {"AAA": 0.5, "BBB": 0.3},
        1,
    )
    assert second.equity == pytest.approx(999.15, abs=1e-9)
    assert first.price_version == load_current_matrix().version
    assert (deployment.first_day, deployment.last_day) == (DAYS[0], DAYS[1])


def test_fill_is_booked_under_its_orders_name_at_the_close_of_its_day():
    make_prices({"AAA": [10.0, 11.0]})
    portfolio = make_portfolio()
    deployment = make_active(portfolio, parameters={"weights": {"AAA": 0.5}}, symbols=["AAA"])
    run(deployment)
    trade = Trade.objects.get(portfolio=portfolio)
    assert trade.traded_at == moment(DAYS[1], 21)
    assert trade.external_id == f"{deployment.pk}/2022-01-03/AAA"


def test_sales_are_filled_before_the_purchases_that_they_pay_for():
    """All in BBB, without leverage: AAA can only be bought with what BBB brings in."""
    make_prices({"AAA": [10.0] * 2, "BBB": [50.0] * 2})
    portfolio = make_portfolio()
    Portfolio.objects.update(leverage_allowed=False)
    make_trade(portfolio, "BBB", 20, 50)
    deployment = make_active(portfolio, parameters={"weights": {"AAA": 0.9}}, schedule="monthly")
    run(deployment)
    assert orders_of(deployment) == [
        ("2022-01-03", "BBB", -20.0, "filled"),
        ("2022-01-03", "AAA", 90.0, "filled"),
    ]


def test_strategy_is_asked_on_the_days_of_its_schedule_alone():
    """Ten weekdays from a Monday: two first days of a week."""
    make_prices({"AAA": [10.0] * 10, "BBB": [50.0] * 10})
    deployment = make_active(make_portfolio(), schedule="weekly")
    result = run(deployment)
    decided = list(DeploymentRun.objects.filter(deployment=deployment).order_by("day").values_list("day", flat=True))
    assert decided == [DAYS[0], DAYS[5]]
    assert (result["days"], result["decisions"]) == (10, 2)


def test_schedule_goes_on_over_several_tasks():
    closes = {"AAA": [10.0] * 10, "BBB": [50.0] * 10}
    deployment = make_active(make_portfolio(), schedule="weekly")
    for days in (3, 4, 7, 10):
        make_prices({symbol: values[:days] for symbol, values in closes.items()})
        run(deployment)
    assert [run_.day for run_ in deployment.runs.order_by("day")] == [DAYS[0], DAYS[5]]


def test_without_a_start_date_it_begins_on_the_newest_day_that_was_known_when_it_was_activated():
    make_prices({"AAA": [10.0] * 3, "BBB": [50.0] * 3})
    deployment = make_active(make_portfolio(), start_date=None)
    make_prices({"AAA": [10.0] * 5, "BBB": [50.0] * 5})  # while no worker was there
    run(deployment)
    assert [each.day for each in deployment.runs.order_by("day")] == DAYS[2:5]


def test_what_a_superseded_version_has_left_is_sold():
    make_prices({"AAA": [10.0] * 5, "BBB": [50.0] * 5})
    portfolio = make_portfolio()
    before = make_active(portfolio, parameters={"weights": {"AAA": 0.5}}, symbols=["AAA"])
    run(before)
    type(before).objects.filter(pk=before.pk).update(status="superseded", ended_at=moment(DAYS[4]))
    make_prices({"AAA": [10.0] * 7, "BBB": [50.0] * 7})
    deployment = make_active(
        portfolio, parameters={"weights": {"BBB": 0.3}}, symbols=["BBB"], start_date=DAYS[5], previous=before
    )
    run(deployment)
    assert set(portfolio.positions.values_list("instrument_id", flat=True)) == {"BBB"}


def test_position_that_no_strategy_has_bought_stays_and_counts_in_the_equity():
    make_prices({"AAA": [10.0] * 2, "HELD": [20.0] * 2})
    portfolio = make_portfolio()
    make_trade(portfolio, "HELD", 10, 20)
    deployment = make_active(portfolio, parameters={"weights": {"AAA": 0.5}}, symbols=["AAA"])
    run(deployment)
    assert orders_of(deployment)[0] == ("2022-01-03", "AAA", 50.0, "filled")  # half of 800 + 10 x 20, at 10
    assert portfolio.positions.get(instrument="HELD").quantity == 10


def test_quantities_are_multiples_of_the_step_and_prices_may_lie_between_ticks():
    make_prices({"AAA": [9.0, 11.0]})
    Instrument.objects.filter(pk="AAA").update(quantity_step=Decimal(10), price_tick=Decimal("0.01"))
    portfolio = make_portfolio()
    run(make_active(portfolio, parameters={"weights": {"AAA": 0.5}}, symbols=["AAA"]))
    # 500 / 9 are 55.6: 50, at 11 x 1.001, which is no multiple of 0.01; the check is asked about 11.02.
    assert trades_of(portfolio) == [("2022-01-04", "AAA", Decimal(50), Decimal("11.011"))]
    told = [decision.answer["trades"][0] for decision in PreTradeDecision.objects.filter(portfolio=portfolio)]
    assert [trade["price"] for trade in told if trade["order_id"]] == [11.02]


# --- One set of rules for paper and backtests ----------------------------------------------------------------------

SYMBOLS = ["AAA", "BBB", "CCC", "DDD"]
MOMENTUM_PARAMETERS = {"days": 5, "gross": 0.9}


def _paths(days: int, gaps: float = 0.0) -> dict[str, list[float | None]]:
    random = np.random.default_rng(7)
    paths = np.round(50 * np.exp(np.cumsum(random.normal(0, 0.02, (days, len(SYMBOLS))), axis=0)), 2)
    missing = random.random(paths.shape) < gaps
    missing[:, 0] = missing[:2] = missing[-1] = False  # so that each day is one, and the book can be valued at its end
    return {
        symbol: [None if gap else float(close) for close, gap in zip(paths[:, place], missing[:, place], strict=True)]
        for place, symbol in enumerate(SYMBOLS)
    }


def _simulated(schedule: str, steps: float) -> tuple[Simulated, list[date]]:
    """The backtest's kernel on the same days, with weights from the same code run here and now."""
    namespace: dict = {}
    exec(MOMENTUM, namespace)
    matrix = load_current_matrix()
    closes = matrix.closes(SYMBOLS, np.arange(len(matrix.dates)))
    rows = np.flatnonzero(is_decision_day(matrix.dates, schedule))
    frame = pd.DataFrame(closes, index=pd.DatetimeIndex(matrix.dates), columns=SYMBOLS)
    answers = [namespace["target_weights"](frame.iloc[: row + 1], MOMENTUM_PARAMETERS) for row in rows]
    weights = np.array([[answer[symbol] for symbol in SYMBOLS] for answer in answers])
    simulated = simulate(
        closes, rows, weights, cash=1_000_000, steps=np.full(len(SYMBOLS), steps), cost_rate=0.001, symbols=SYMBOLS
    )
    return simulated, matrix.dates.tolist()


def _held_by_day(portfolio, days: list[date]) -> np.ndarray:
    held = np.zeros((len(days), len(SYMBOLS)))
    for day, symbol, quantity, _ in trades_of(portfolio):
        held[days.index(date.fromisoformat(day)) :, SYMBOLS.index(symbol)] += float(quantity)
    return held


@pytest.mark.parametrize(("schedule", "gaps"), [("daily", 0.0), ("weekly", 0.0), ("monthly", 0.0), ("daily", 0.1)])
def test_paper_portfolio_is_what_the_backtest_says_on_the_same_days(settings, schedule, gaps):
    settings.MAX_PRICE_AGE_SECONDS = 0  # else the check refuses a book without a common close for four days
    make_prices(_paths(40, gaps))
    Instrument.objects.filter(pk__in=SYMBOLS).update(quantity_step=Decimal(1))
    portfolio = make_portfolio(initial_cash=1_000_000)
    run(make_active(portfolio, MOMENTUM, MOMENTUM_PARAMETERS, SYMBOLS, schedule=schedule))
    simulated, days = _simulated(schedule, 1.0)
    assert np.count_nonzero(simulated.quantities[-1]) == len(SYMBOLS)
    np.testing.assert_array_equal(_held_by_day(portfolio, days), simulated.quantities)
    portfolio.refresh_from_db()
    assert float(portfolio.cash) == pytest.approx(simulated.cash[-1], rel=1e-9)
    if not gaps:  # with a gap in what is held there is no stored history
        stored = PortfolioData.objects.filter(portfolio=portfolio).order_by("date").values_list("value", flat=True)
        np.testing.assert_allclose(list(stored), simulated.values, rtol=1e-9)


def test_paper_portfolio_without_steps_differs_by_the_ledgers_rounding_alone():
    """Prices are kept with 8 places, so the equity is by 1e-13 another, and a quantity by one in the last place."""
    make_prices(_paths(40))
    portfolio = make_portfolio(initial_cash=1_000_000)
    run(make_active(portfolio, MOMENTUM, MOMENTUM_PARAMETERS, SYMBOLS))
    simulated, days = _simulated("daily", 0.0)
    np.testing.assert_allclose(_held_by_day(portfolio, days), simulated.quantities, atol=5e-8, rtol=0)


# --- New prices -----------------------------------------------------------------------------------------------------


EQUAL_OF_PRICED = """
def target_weights(prices, params):
    priced = prices.iloc[-1].dropna()
    return {symbol: 0.8 / len(priced) for symbol in priced.index}
"""


def test_newest_day_is_decided_on_once_what_had_a_close_before_has_one():
    """AAA is imported first: alone it would be given all. GONE had no close the day before, and is not waited for."""
    make_prices({"AAA": [10.0] * 2, "BBB": [50.0] * 2, "GONE": [5.0, None]})
    deployment = make_active(make_portfolio(), EQUAL_OF_PRICED, {}, ["AAA", "BBB", "GONE"], start_date=DAYS[2])
    make_prices({"AAA": [10.0]}, start=DAYS[2])
    assert run(deployment)["days"] == 0
    make_prices({"BBB": [50.0]}, start=DAYS[2])
    assert run(deployment)["days"] == 1
    assert deployment.runs.get().weights == {"AAA": 0.4, "BBB": 0.4}


def test_newest_day_waits_for_the_benchmark_as_well():
    make_prices({"AAA": [10.0], "MARKET": [100.0]})
    portfolio = make_portfolio(benchmark="MARKET")
    deployment = make_active(portfolio, parameters={"weights": {}}, symbols=["AAA"])
    make_prices({"AAA": [10.0]}, start=DAYS[1])
    assert run(deployment)["to"] == "2022-01-03"
    make_prices({"MARKET": [101.0]}, start=DAYS[1])
    assert run(deployment)["to"] == "2022-01-04"


def test_day_that_lacks_a_close_waits_no_longer_than_until_the_next_one():
    make_prices({"AAA": [10.0] * 3, "BBB": [50.0, None, 50.0]})
    assert run(make_active(make_portfolio(), EQUAL_OF_PRICED, {}))["days"] == 3


def test_day_that_lacks_a_close_waits_no_longer_than_the_grace_whatever_else_is_imported():
    make_prices({"AAA": [10.0] * 2, "BBB": [50.0, None]})
    deployment = make_active(make_portfolio(), EQUAL_OF_PRICED, {})
    assert run(deployment)["days"] == 1
    pass_grace()
    make_prices({"OTHER": [1.0] * 2})
    assert run(deployment)["days"] == 1


def test_corrected_closes_of_old_days_replay_nothing():
    make_prices({"AAA": [10.0, 11.0, 12.0], "BBB": [50.0] * 3})
    portfolio = make_portfolio()
    deployment = make_active(portfolio)
    run(deployment)
    trades = trades_of(portfolio)
    make_prices({"AAA": [5.0, 6.0, 12.0], "BBB": [55.0, 50.0, 50.0]})
    result = run(deployment)
    assert (result["days"], result["decisions"]) == (0, 0)
    assert trades_of(portfolio) == trades


def test_order_without_a_close_stays_open_until_the_next_one():
    make_prices({"AAA": [10.0] * 4, "BBB": [50.0, None, None, 60.0]})
    portfolio = make_portfolio()
    deployment = make_active(portfolio, schedule="monthly")
    run(deployment)
    assert trades_of(portfolio)[1:] == [("2022-01-06", "BBB", Decimal(6), Decimal("60.06"))]


def test_close_that_comes_late_fills_the_order_of_its_day():
    make_prices({"AAA": [10.0] * 2, "BBB": [50.0, None]})
    pass_grace()
    portfolio = make_portfolio()
    deployment = make_active(portfolio, schedule="monthly")
    run(deployment)
    assert [status for *_, status in orders_of(deployment)] == ["filled", "open"]
    make_prices({"BBB": [50.0, 52.0]})
    result = run(deployment)
    assert (result["days"], result["orders"]["filled"]) == (0, 1)
    assert trades_of(portfolio)[-1] == ("2022-01-04", "BBB", Decimal(6), Decimal("52.052"))


def test_holding_without_a_close_for_long_does_not_stop_the_others():
    """OLD has its last close on the second day: four days later, and from then on, it is still taken at that."""
    make_prices({"AAA": [10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0], "OLD": [7.0, 7.0, *[None] * 6]})
    portfolio = make_portfolio()
    make_trade(portfolio, "OLD", 10, 7)
    deployment = make_active(portfolio, parameters={"weights": {"AAA": 0.5}}, symbols=["AAA"])
    run(deployment)
    assert [status for *_, status in orders_of(deployment)] == ["filled"] * 7 + ["open"]
    last = PreTradeDecision.objects.filter(portfolio=portfolio).latest("pk").answer
    assert last["warnings"] == [f"OLD is taken at its close of {DAYS[1]}, its last one up to {DAYS[7]}"]


def test_decision_cancels_what_is_still_open():
    make_prices({"AAA": [10.0] * 2, "BBB": [50.0, None]})
    pass_grace()
    weights = """
def target_weights(prices, params):
    return {"AAA": 0.5, "BBB": 0.3} if len(prices) == 1 else {"AAA": 0.5}
"""
    deployment = make_active(make_portfolio(), weights)
    run(deployment)
    bbb = deployment.orders.get(run__day=INCEPTION, instrument="BBB")
    assert (bbb.status, bbb.reasons) == ("cancelled", ["the decision of 2022-01-04 came first"])


def test_strategy_sees_no_close_after_the_day_it_decides_on():
    """It answers with how many days it sees: a look ahead would show in the weights."""
    code = """
def target_weights(prices, params):
    return {"AAA": len(prices) / 100}
"""
    make_prices({"AAA": [10.0] * 5})
    deployment = make_active(make_portfolio(), code, {}, ["AAA"])
    run(deployment)
    seen = deployment.runs.order_by("day").values_list("weights", flat=True)
    assert [weights["AAA"] for weights in seen] == [0.01, 0.02, 0.03, 0.04, 0.05]


def test_what_a_strategy_prints_is_kept_with_its_run():
    code = """
def target_weights(prices, params):
    print("seen", len(prices), chr(0))
    return {"AAA": 0.1}
"""
    make_prices({"AAA": [10.0]})
    deployment = make_active(make_portfolio(), code, {}, ["AAA"])
    run(deployment)
    assert deployment.runs.get().log == "seen 1 \N{REPLACEMENT CHARACTER}\n"


def test_deployment_that_has_ended_runs_no_more():
    make_prices()
    deployment = make_active(make_portfolio(), status="superseded", ended_at=moment())
    assert run(deployment)["status"] == "superseded"
    assert not deployment.runs.exists()


def test_version_that_is_not_what_was_deployed_does_not_run():
    make_prices()
    deployment = make_active(make_portfolio())
    type(deployment).objects.filter(pk=deployment.pk).update(version=make_version())
    with pytest.raises(Exception, match="no longer what was deployed"):
        run(deployment)
    assert not deployment.runs.exists()


def test_each_run_order_and_fill_is_told_on_the_deployments_topic(monkeypatch):
    told: list[tuple[str, dict]] = []
    monkeypatch.setattr(events, "publish_after_commit", lambda topic, data: told.append((topic, data)))
    make_prices({"AAA": [10.0, 11.0]})
    deployment = make_active(
        make_portfolio(), parameters={"weights": {"AAA": 0.5}}, symbols=["AAA"], schedule="monthly"
    )
    run(deployment)
    assert {topic for topic, _ in told} == {f"deployments:{deployment.pk}"}
    assert [(data["event"], str(data["day"]), data["status"]) for _, data in told] == [
        ("deployment.run", "2022-01-03", "succeeded"),
        ("deployment.order", "2022-01-03", "open"),
        ("deployment.order", "2022-01-03", "filled"),
    ]
    assert (told[2][1]["quantity"], told[2][1]["price"], told[2][1]["symbol"]) == (50.0, 11.011, "AAA")
