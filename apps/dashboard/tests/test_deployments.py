"""The page of a deployment: its steps, backtest, runs and orders, and who is shown which button."""

from datetime import date

import pytest

from apps.dashboard.templatetags.figures import MINUS
from apps.dashboard.tests.strategy_pages import DEPLOYMENT, client_of, page, signed_in
from apps.portfolios.tests.factories import make_user
from apps.strategies.models import Deployment
from apps.strategies.tests.api_factories import make_deployment, make_order, make_run

pytestmark = pytest.mark.django_db

CURVE = [["2022-01-03", 1_000.0], ["2022-01-04", 1_100.0], ["2022-01-05", 900.0]]


# --- Who is shown which button ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "shown"), [("viewer", ""), ("risk_manager", ""), ("strategist", ""), ("admin", "may")]
)
def test_what_somebody_else_deployed_is_rolled_back_by_admins(deployment, role, shown):
    text = page(client_of(role), DEPLOYMENT)
    assert ('data-roll-back="DEPLOY_001"' in text) == bool(shown)
    assert (f'data-right="{shown}"' in text) == bool(shown)


def test_strategist_rolls_back_what_they_deployed(versions, traded_book):
    mine = make_user("strategist")
    make_deployment(versions[1], traded_book, created_by=mine)
    assert 'data-right="may"' in page(signed_in(mine), DEPLOYMENT, "state")


def test_words_of_the_roll_back_say_what_will_come(versions, traded_book):
    before = make_deployment(versions[0], traded_book, status="superseded")
    make_deployment(versions[1], traded_book, "DEPLOY_002", previous=before)
    assert "Version 1 of STRATEGY_001, which ran before it" in page(client_of("admin"), "/deployments/DEPLOY_002")
    Deployment.objects.filter(pk="DEPLOY_002").update(previous=None)
    assert "Nothing ran before it" in page(client_of("admin"), "/deployments/DEPLOY_002")


def test_what_was_rolled_back_and_has_no_successor_may_be_rolled_back_again(versions, traded_book):
    before = make_deployment(versions[0], traded_book, status="superseded")
    fields = {"status": "rolled_back", "previous": before, "activated_at": before.created_at}
    make_deployment(versions[1], traded_book, "DEPLOY_002", **fields)
    client = client_of("admin")
    assert "What was to come back has failed" in page(client, "/deployments/DEPLOY_002", "state")
    make_deployment(versions[0], traded_book, "DEPLOY_003")
    assert "data-roll-back" not in page(client, "/deployments/DEPLOY_002", "state")


def test_live_deployment_is_approved_by_somebody_else(versions, traded_book):
    admin = make_user("admin")
    make_deployment(versions[1], traded_book, environment="live", status="awaiting_approval", created_by=admin)
    assert 'data-opens="approve"' in page(client_of("risk_manager"), DEPLOYMENT)
    own = page(signed_in(admin), DEPLOYMENT)
    assert 'data-opens="approve"' not in own
    assert "You asked for it yourself" in own
    viewer = page(client_of("viewer"), DEPLOYMENT)
    assert 'id="approve' not in viewer
    assert "You asked for it yourself" not in viewer


# --- What stands on the page ---------------------------------------------------------------------------------------


def test_steps_stand_with_status_and_log(deployment):
    text = page(client_of("viewer"), DEPLOYMENT, "steps")
    names = ["validate", "backtest", "risk", "activate"]
    assert [text.index(f'id="step-{name}"') for name in names] == sorted(
        text.index(f'id="step-{name}"') for name in names
    )
    assert "validate was here" in text
    assert "approval" not in text


def test_backtest_has_its_curve_and_the_same_in_words(deployment):
    gates = {"sharpe": {"side": "least", "bound": 0.0}, "max_drawdown": {"side": "most", "bound": 0.1}}
    figures = {"sharpe": -0.25, "max_drawdown": 0.18, "capacity": None, "reasons": {"capacity": "no volume is known"}}
    deployment.steps.filter(name="backtest").update(result={"curve": CURVE, "figures": figures, "gates": gates})
    client = client_of("viewer")
    text = page(client, DEPLOYMENT, "backtest")
    assert "between 900.00 and 1,100" in text
    assert f'<span class="negative">{MINUS}10.00 %</span>' in text
    assert '["2022-01-05", 900.0]' in text
    assert f'<td class="number negative">{MINUS}0.25</td>' in text
    assert "18.00\N{NO-BREAK SPACE}%" in text
    assert "no volume is known" in text
    assert text.count('<span class="badge bad">broken</span>') == 2


def test_backtest_that_is_not_there_says_why(deployment, traded_book):
    deployment.steps.update(result=None)
    client = client_of("viewer")
    assert "The backtest has no result yet." in page(client, DEPLOYMENT, "backtest")
    Deployment.objects.update(skip_backtest=True)
    assert "a forced rollback" in page(client, DEPLOYMENT, "backtest")
    make_deployment(deployment.version, traded_book, "DEPLOY_002", status="failed").steps.update(result=None)
    assert "It ended before its backtest" in page(client, "/deployments/DEPLOY_002", "backtest")


def test_runs_show_their_largest_weights_and_errors(deployment):
    make_run(deployment, date(2022, 1, 4), weights={"AAA": 0.25, "BBB": -0.5, "CCC": 0.0}, log="hello")
    make_run(
        deployment, date(2022, 1, 5), status="failed", weights=None, equity=None, error={"detail": "No third input."}
    )
    text = page(client_of("viewer"), DEPLOYMENT, "runs")
    assert text.index("2022-01-05") < text.index("2022-01-04")
    assert text.index("BBB") < text.index("AAA")
    assert f'<span class="negative">{MINUS}50.0 %</span>' in text
    assert "CCC" not in text
    assert "No third input." in text
    assert "hello" in text


def test_orders_are_filtered_by_status_and_symbol(deployment):
    run = make_run(deployment, date(2022, 1, 4))
    make_order(run, "AAA", -10, status="refused", reasons=["leverage would be 3"])
    make_order(run, "BBB", 5)
    client = client_of("viewer")
    text = page(client, DEPLOYMENT, "orders")
    assert f'<span class="negative">{MINUS}10</span>' in text
    assert "leverage would be 3" in text
    assert "BBB" not in page(client, f"{DEPLOYMENT}?status=refused", "orders")
    assert "AAA" not in page(client, f"{DEPLOYMENT}?symbol=bbb", "orders")
    assert "No order is like that." in page(client, f"{DEPLOYMENT}?symbol=%00x", "orders")


def test_prices_of_orders_have_their_digits(deployment):
    make_order(make_run(deployment, date(2022, 1, 4)), decided_price=1.0734)
    assert '<td class="number">1.0734</td>' in page(client_of("viewer"), DEPLOYMENT, "orders")


def test_deployment_that_does_nothing_yet_says_what_will_come(versions, traded_book):
    make_deployment(versions[1], traded_book, status="pending")
    text = page(client_of("viewer"), DEPLOYMENT)
    assert "The strategy has not been asked yet." in text
    assert "It has not wanted to trade yet." in text
    assert "It has not decided yet." in text
