"""Gates of active deployments: broken, they are rolled back by themselves, with the reason and its values."""

from datetime import timedelta

import pytest

from apps.portfolios.histories import refresh_histories
from apps.portfolios.models import Portfolio, PortfolioReturn
from apps.portfolios.tests.factories import make_portfolio, make_prices, moment, trading_days
from apps.risk.models import RiskLimit
from apps.risk.tests.desks import make_limit
from apps.strategies.models import Deployment
from apps.strategies.running import gates
from apps.strategies.running.drawdown import deepest_fall
from apps.strategies.running.gates import broken_gate, watch_deployments
from apps.strategies.sandbox import BadWeightsError, CodeRefusedError, StrategyRaisedError
from apps.strategies.tests.running_factories import (
    ALL_IN,
    BROKEN,
    FIXED,
    RUNNING_SETTINGS,
    all_in,
    breach,
    make_active,
    orders_of,
    pass_retry,
    run,
)

pytestmark = pytest.mark.django_db

DAYS = trading_days(10)


@pytest.fixture(autouse=True)
def running_settings(settings):
    for name, value in RUNNING_SETTINGS.items():
        setattr(settings, name, value)
    settings.LIVE_MAX_DRAWDOWN = 0.25
    settings.LIVE_MAX_FAILURES = 3


# --- Failures --------------------------------------------------------------------------------------------------------


def _fail(deployment: Deployment, error: type[Exception] = StrategyRaisedError) -> None:
    with pytest.raises(error):
        run(deployment)


def test_failed_run_is_kept_counted_and_raised():
    make_prices({"AAA": [10.0]})
    deployment = make_active(make_portfolio(), BROKEN, {}, ["AAA"])
    _fail(deployment)
    failed = deployment.runs.get()
    assert (failed.status, failed.attempts, failed.day) == ("failed", 1, DAYS[0])
    assert "the third input is missing" in failed.error["detail"]
    assert deployment.last_day is None  # the day is still to be dealt with
    assert (deployment.failures_in_row, deployment.status) == (1, "active")
    assert "RuntimeError in line 3: the third input is missing" in deployment.last_error


def test_three_failures_in_a_row_roll_it_back_with_the_error():
    make_prices({"AAA": [10.0]})
    deployment = make_active(make_portfolio(), BROKEN, {}, ["AAA"])
    for _ in range(3):
        pass_retry(deployment)
        _fail(deployment)
    assert (deployment.status, deployment.failures_in_row) == ("rolled_back", 3)
    assert "3 failures in a row, the last: The strategy raised RuntimeError in line 3" in deployment.reason
    assert deployment.runs.get().attempts == 3


def test_success_begins_the_count_anew():
    make_prices({"AAA": [10.0]})
    code = """
def target_weights(prices, params):
    if len(prices) % 2:
        raise RuntimeError("odd")
    return {}
"""
    deployment = make_active(make_portfolio(), code, {}, ["AAA"])
    _fail(deployment)
    _fail(deployment)
    Deployment.objects.update(start_date=DAYS[1])  # the day that fails is left out
    make_prices({"AAA": [10.0, 11.0]})
    run(deployment)
    assert (deployment.failures_in_row, deployment.last_error, deployment.status) == (0, "", "active")


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"AAA": 2.5}, "come to 2.5 of the equity"),
        ({"AAA": -1.2, "BBB": 1.2}, "come to 2.4 of the equity"),
        ({"ZZZ": 0.5}, "ZZZ"),
        ({"CCC": 1.0}, "an order of 1.00000e+17 CCC would be made; at most 1e15 is kept"),
        ({"BBB": 0.5}, "weight of BBB is 0.5; expected 0, as it has no price on the day"),
    ],
)
def test_weights_that_cannot_be_traded_are_a_failure(settings, weights, said):
    settings.STRATEGY_MAX_GROSS = 2.0
    make_prices({"AAA": [10.0, 11.0], "BBB": [None, 50.0], "CCC": [1e-14, 1e-14]})
    deployment = make_active(make_portfolio(), parameters={"weights": weights}, symbols=["AAA", "BBB", "CCC"])
    _fail(deployment, BadWeightsError)
    assert said in deployment.last_error
    assert not deployment.orders.exists()


def test_code_that_the_rules_refuse_is_a_failure_and_never_runs():
    make_prices({"AAA": [10.0]})
    deployment = make_active(make_portfolio(), f"import os\n{FIXED}", ALL_IN, ["AAA"])
    _fail(deployment, CodeRefusedError)
    assert deployment.failures_in_row == 1


def test_failures_that_were_counted_before_the_worker_died_are_seen_by_the_watch():
    deployment = all_in([10.0])
    Deployment.objects.update(failures_in_row=3, last_error="it broke")
    assert watch_deployments() == [deployment.pk]
    deployment.refresh_from_db()
    assert "3 failures in a row, the last: it broke" in deployment.reason


# --- Drawdown --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("returns", "fall"),
    [([], 0.0), ([0.1, 0.2], 0.0), ([-0.1], 0.1), ([0.5, -0.2, 0.1, -0.5], 1 - 0.8 * 1.1 * 0.5), ([-1.0, 0.0], 1.0)],
)
def test_deepest_fall_is_from_the_highest_point_before(returns, fall):
    assert deepest_fall(returns) == pytest.approx(fall, abs=1e-15)


def test_drawdown_above_the_most_that_is_allowed_rolls_it_back_on_its_day_of_a_replay():
    """Bought at 10: 8 is 20 % below, 7 is 30 %; the days after that are not traded, though prices rise again."""
    deployment = all_in([10.0, 10.0, 8.0, 7.0, 20.0, 20.0])
    result = run(deployment)
    assert (deployment.status, deployment.last_day) == ("rolled_back", DAYS[2])
    assert "drawdown of 30.00% since 2022-01-03, up to 2022-01-06; at most 25.00% is allowed" in deployment.reason
    assert (result["days"], result["status"]) == (3, "rolled_back")


def test_drawdown_that_is_allowed_goes_on(settings):
    settings.LIVE_MAX_DRAWDOWN = 0.3
    deployment = all_in([10.0, 10.0, 8.0, 7.0, 20.0])
    run(deployment)
    assert (deployment.status, deployment.last_day) == ("active", DAYS[4])


def test_days_that_it_has_not_dealt_with_are_not_held_against_it():
    """A replay stands on the third day: what today's book would do on the recorded days after it is no loss yet."""
    deployment = all_in([10.0, 10.0, 10.0])
    run(deployment)
    make_prices({"AAA": [10.0, 10.0, 10.0, 1.0]})
    refresh_histories()
    assert PortfolioReturn.objects.get(portfolio=deployment.portfolio, date=DAYS[3]).value == pytest.approx(-0.9)
    assert broken_gate(deployment) is None
    assert watch_deployments() == []


def test_loss_from_before_it_began_is_not_held_against_it():
    deployment = all_in([20.0, 10.0, 10.0, 9.0], start_date=DAYS[1])
    run(deployment)
    assert deployment.status == "active"


def test_loss_behind_a_missing_close_is_seen():
    """BBB is held and lacks a close in the middle, so there is no stored history; AAA falls by half beside it."""
    make_prices({"AAA": [10.0, 10.0, 10.0, 5.0, 5.0], "BBB": [50.0, 50.0, None, 50.0, 50.0]})
    portfolio = make_portfolio()
    weights = {"weights": {"AAA": 0.8, "BBB": 0.2}}
    deployment = make_active(portfolio, parameters=weights, schedule="monthly", cost_bps=0.0)
    run(deployment)
    portfolio.refresh_from_db()
    assert portfolio.history_ledger_version < portfolio.ledger_version  # what is stored is of before the trades
    assert "drawdown of 40.00% since 2022-01-03, up to 2022-01-06" in deployment.reason


# --- Limits ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def running() -> Deployment:
    deployment = all_in([10.0, 10.0])
    run(deployment)
    return deployment


def _runs_beside() -> Deployment:
    other = make_active(make_portfolio(), parameters=ALL_IN, symbols=["AAA"])
    run(other)
    return other


def test_breach_of_a_limit_that_blocks_rolls_it_back(running):
    limit = breach(running)
    assert watch_deployments() == [running.pk]
    running.refresh_from_db()
    assert running.status == "rolled_back"
    assert f"limit {limit.pk} is in breach: gross_exposure is 950.00, above 900.00" in running.reason
    assert watch_deployments() == []


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "warn"},
        {"active": False},
        {"status": "warning"},
        {"effective_from": moment() + timedelta(days=40_000)},
        {"effective_to": moment()},
        {"status_since": moment()},
    ],
    ids=["warns only", "not active", "warning", "not yet in force", "not in force any more", "since before it began"],
)
def test_limit_that_does_not_count_leaves_it_alone(running, fields):
    breach(running, **fields)
    assert broken_gate(running) is None


def test_breach_by_terms_that_were_changed_since_leaves_it_alone(running):
    limit = breach(running)
    RiskLimit.objects.filter(pk=limit.pk).update(updated_at=limit.evaluated_at + timedelta(seconds=1))
    assert broken_gate(running) is None


def test_breach_on_another_portfolio_leaves_it_alone(running):
    other = _runs_beside()
    breach(other)
    assert watch_deployments() == [other.pk]


def test_one_that_cannot_be_watched_does_not_stop_the_others(running, monkeypatch):
    other = _runs_beside()
    breach(running)
    whole = gates.broken_gate

    def failing(deployment):
        if deployment.pk == other.pk:
            raise RuntimeError
        return whole(deployment)

    monkeypatch.setattr(gates, "broken_gate", failing)
    assert watch_deployments() == [running.pk]


# --- The pre-trade check ---------------------------------------------------------------------------------------------


def test_order_that_a_limit_refuses_is_kept_with_the_reason_and_does_not_stop_the_others():
    make_prices({"AAA": [10.0] * 2, "BBB": [50.0] * 2})
    portfolio = make_portfolio()
    limit = make_limit(portfolio, "position_notional", 400.0)
    deployment = make_active(portfolio, schedule="monthly")  # AAA for 500, BBB for 300
    result = run(deployment)
    assert orders_of(deployment) == [("2022-01-03", "AAA", 50.0, "refused"), ("2022-01-03", "BBB", 6.0, "filled")]
    refused = deployment.orders.get(status="refused")
    assert refused.reasons == [f"position_notional would be 500.00, above its limit of {limit.threshold_value:.2f}"]
    assert result["orders"] == {"filled": 1, "refused": 1, "cancelled": 0, "open": 0}
    assert deployment.failures_in_row == 0


def test_order_that_is_refused_when_it_is_filled_books_nothing_and_is_not_tried_again():
    """At 10 the 50 AAA are 500, below the limit; at the next close they are 550."""
    make_prices({"AAA": [10.0, 11.0], "BBB": [50.0] * 2})
    portfolio = make_portfolio()
    make_limit(portfolio, "position_notional", 520.0)
    deployment = make_active(portfolio, schedule="monthly")
    run(deployment)
    refused = deployment.orders.get(instrument="AAA")
    assert (refused.status, refused.trade) == ("refused", None)
    assert refused.reasons[0].startswith("position_notional would be 550")
    make_prices({"AAA": [10.0, 11.0, 9.0], "BBB": [50.0] * 3})
    run(deployment)
    assert list(portfolio.trades.values_list("instrument_id", flat=True)) == ["BBB"]


def test_halted_portfolio_trades_nothing_and_says_why():
    make_prices({"AAA": [10.0] * 2, "BBB": [50.0] * 2})
    portfolio = make_portfolio()
    Portfolio.objects.update(trading_state="halted")
    deployment = make_active(portfolio, schedule="monthly")
    result = run(deployment)
    assert result["orders"]["refused"] == 2
    assert not portfolio.trades.exists()
    assert "is halted" in deployment.orders.first().reasons[0]


def test_portfolio_that_is_halted_before_the_fill_books_nothing():
    make_prices({"AAA": [10.0], "BBB": [50.0]})
    portfolio = make_portfolio()
    deployment = make_active(portfolio, schedule="monthly")
    run(deployment)
    Portfolio.objects.update(trading_state="halted")
    make_prices({"AAA": [10.0] * 2, "BBB": [50.0] * 2})
    run(deployment)
    assert {status for *_, status in orders_of(deployment)} == {"refused"}
    assert not portfolio.trades.exists()


def test_limit_on_losses_knows_what_was_won_and_lost_on_the_days_replayed():
    """Half in AAA at 10: 1,500 at 20, the highest; 37.5 left at 15, with 687.50 in cash, are 1,250, a sixth less.

    The history of before the trades would know no highest point but 1,000, and approve the purchase.
    """
    make_prices({"AAA": [10.0, 10.0, 20.0, 15.0]})
    portfolio = make_portfolio()
    make_limit(portfolio, "drawdown", 0.15)
    deployment = make_active(portfolio, parameters={"weights": {"AAA": 0.5}}, symbols=["AAA"], cost_bps=0.0)
    run(deployment)
    assert orders_of(deployment) == [
        ("2022-01-03", "AAA", 50.0, "filled"),
        ("2022-01-05", "AAA", -12.5, "filled"),
        ("2022-01-06", "AAA", 4.16666666, "refused"),  # 625 / 15 are 41.66666666
    ]
    assert deployment.orders.get(status="refused").reasons == ["drawdown would be 0.1667, above its limit of 0.1500"]
