"""The admin's page of a deployment: what it shows of the way, and what its buttons do and refuse."""

import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.portfolios.ledger import close_portfolio
from apps.portfolios.tests.factories import make_portfolio, make_prices, make_user
from apps.strategies.models import Deployment, StrategyVersion
from apps.strategies.tests.admin_pages import (
    CURVE,
    DEPLOYMENT,
    DEPLOYMENTS,
    FIGURES,
    GATES,
    PAGES,
    SENT,
    page,
    running,
    said_after,
    signed_in,
    staff,
)
from apps.strategies.tests.api_factories import make_deployment, make_order, make_run, make_versions

pytestmark = pytest.mark.django_db


@pytest.fixture
def versions() -> list[StrategyVersion]:
    return make_versions(count=2)


@pytest.fixture
def deployment(versions: list[StrategyVersion]) -> Deployment:
    return running(versions[1])


@pytest.fixture
def waiting(versions: list[StrategyVersion], settings: Any) -> Deployment:
    """DEPLOY_001 waits for approval on BOOK, asked for by alice."""
    settings.LIVE_BROKER = "apps.strategies.brokers.paper.PaperBroker"
    make_prices()
    alice = make_user("admin", username="alice", is_staff=True)
    waits = {"status": "awaiting_approval", "environment": "live", "created_by": alice}
    return make_deployment(versions[1], make_portfolio("BOOK"), **waits)


def test_operator_sees_how_far_a_deployment_is_and_none_of_the_book(deployment):
    deployment.steps.filter(name="backtest").update(
        result={"figures": FIGURES, "gates": GATES, "curve": CURVE}, log="a line of the log"
    )
    Deployment.objects.update(reason="drawdown was 0.31", last_error="short of cash")
    operators, managers = (page(staff(role), f"{DEPLOYMENT}/change/") for role in ("operator", "risk_manager"))
    for text in (
        "Sharpe ratio",
        "a line of the log",
        "<polyline",
        "50.00%",
        "AAA",
        "drawdown was 0.31",
        "short of cash",
    ):
        assert text in managers, text
        assert text not in operators, text
    assert "backtest" in operators
    lists = [page(staff(role), DEPLOYMENTS) for role in ("operator", "risk_manager")]
    assert ["drawdown was 0.31" in text for text in lists] == [False, True]


def test_html_in_logs_results_and_reasons_is_text(deployment):
    evil = "</script><img src=x onerror=alert(1)>"
    deployment.steps.filter(name="risk").update(log=evil, result={"reasons": [evil], "warnings": [evil]})
    deployment.runs.update(error={"detail": evil}, weights={evil: 0.5})
    deployment.orders.update(reasons=[evil])
    Deployment.objects.update(reason=evil, last_error=evil, symbols=[evil])
    client = staff("admin")
    for path in (DEPLOYMENTS, f"{DEPLOYMENT}/change/", f"{PAGES}/deploymentorder/"):
        text = page(client, path)
        assert "<img src=x" not in text, path
        assert "&lt;img" in text, path


def test_lists_of_deployments_and_orders_take_no_query_a_row(deployment, django_assert_max_num_queries):
    run = make_run(deployment, date(2022, 1, 5))
    for number in range(20):
        make_order(run, f"SYM{number}")
        make_deployment(deployment.version, make_portfolio(f"B{number}"), f"DEPLOY_1{number:02d}")
    client = staff("risk_manager")
    for path in (DEPLOYMENTS, f"{PAGES}/deploymentorder/", f"{DEPLOYMENT}/change/"):
        with django_assert_max_num_queries(22):
            page(client, path)


def test_list_reads_neither_steps_nor_symbols(deployment):
    deployment.steps.update(log="x" * 1_000)
    with CaptureQueriesContext(connection) as captured:
        assert "DEPLOY_001" in page(staff("risk_manager"), DEPLOYMENTS)
    read = [query["sql"] for query in captured]
    assert [sql for sql in read if "deployment_steps" in sql or '"deployments"."symbols",' in sql] == []


def test_page_shows_the_steps_with_times_attempts_gates_and_the_curve(deployment):
    began = timezone.now() - timedelta(minutes=5)
    times = {"started_at": began, "finished_at": began + timedelta(seconds=125), "attempts": 2}
    deployment.steps.filter(name="backtest").update(
        result={"figures": FIGURES, "gates": GATES, "curve": CURVE}, **times
    )
    text = page(staff("risk_manager"), f"{DEPLOYMENT}/change/")
    assert "2 min 5 s" in text
    assert "2 attempts" in text
    assert re.search(r"Largest drawdown</td>\s*<td>60.00%</td>\s*<td>at most 50.00%</td>\s*<td><span[^>]*broken", text)
    assert re.search(r"Sharpe ratio</td>\s*<td>1.25</td>\s*<td>at least 0.00</td>\s*<td><span[^>]*passed", text)
    assert '<polyline points="0.0,120.0 300.0,0.0 600.0,60.0"/>' in text
    assert "+5.00% in all" in text


def test_another_approves_with_a_reason(waiting):
    client = staff("risk_manager", username="rita")
    waiting.steps.filter(name="approval").update(status="running", started_at=timezone.now() - timedelta(hours=30))
    assert re.search(r"waits for somebody</span>\s*<span>1 d 6 h so far", page(client, f"{DEPLOYMENT}/change/"))
    page(client, f"{DEPLOYMENT}/approve/")
    client.post(f"{DEPLOYMENT}/approve/", {**SENT, "reason": ""})
    assert Deployment.objects.get().status == "awaiting_approval"
    assert "DEPLOY_001 is approved and active" in said_after(client, f"{DEPLOYMENT}/approve/", reason="looks sound")
    done = Deployment.objects.get()
    assert (done.status, done.approved_by.username) == ("active", "rita")
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.object_id) == ("rita", "DEPLOY_001")
    assert "looks sound" in entry.change_message


def test_who_asked_does_not_approve(waiting):
    told = said_after(signed_in(waiting.created_by), f"{DEPLOYMENT}/approve/", reason="mine")
    assert "You asked for DEPLOY_001 yourself" in told
    assert Deployment.objects.get().status == "awaiting_approval"
    assert not LogEntry.objects.exists()


def test_approve_is_offered_for_what_waits_alone_and_refused_in_words(deployment):
    client = staff("risk_manager")
    assert "DEPLOY_001/approve/" not in page(client, f"{DEPLOYMENT}/change/")
    assert "there is nothing to approve" in said_after(client, f"{DEPLOYMENT}/approve/", reason="late")


def test_approve_without_a_broker_says_what_to_set(waiting, settings):
    settings.LIVE_BROKER = ""
    assert "BROKER" in said_after(staff("risk_manager"), f"{DEPLOYMENT}/approve/", reason="go")
    assert Deployment.objects.get().status == "awaiting_approval"


@pytest.mark.parametrize(
    ("role", "button"), [("operator", "approve"), ("risk_manager", "roll_back"), ("strategist", "roll_back")]
)
def test_buttons_of_others_are_closed(waiting, role, button):
    client = staff(role)
    assert client.post(f"{DEPLOYMENT}/{button}/", {**SENT, "reason": "x", "force": "on"}).status_code == 403
    assert Deployment.objects.get().status == "awaiting_approval"


def test_risk_manager_does_not_clear_stuck_deployments(waiting):
    assert staff("risk_manager").post(f"{DEPLOYMENTS}clear_stuck/", {**SENT, "reason": "x"}).status_code == 403


def test_operator_rolls_back_with_force_and_a_reason(deployment):
    client = staff("operator", username="otto")
    assert "checked" in page(client, f"{DEPLOYMENT}/roll_back/")
    assert Deployment.objects.get().status == "active"
    told = said_after(client, f"{DEPLOYMENT}/roll_back/", reason="it loses money", force="on")
    assert "DEPLOY_001 is rolled_back." in told
    done = Deployment.objects.get()
    assert (done.status, done.ended_by.username) == ("rolled_back", "otto")
    assert done.reason == "rolled back by otto: it loses money"
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.object_id) == ("otto", "DEPLOY_001")
    assert "with force: it loses money" in entry.change_message


def test_admin_rolls_back_to_a_version(deployment):
    told = said_after(staff("admin"), f"{DEPLOYMENT}/roll_back/", reason="earlier was better", to_version="1")
    assert "DEPLOY_002 is on its way: it brings STRATEGY_001 version 1 back" in told
    assert Deployment.objects.get(pk="DEPLOY_002").rolls_back_id == "DEPLOY_001"


@pytest.mark.parametrize(
    ("role", "form", "said"),
    [
        ("operator", {}, "needs the role"),
        ("admin", {"to_version": "99"}, "STRATEGY_001 has no version 99"),
        ("admin", {"to_version": "2"}, "runs version 2 itself"),
    ],
)
def test_rollback_that_is_refused_says_why_and_changes_nothing(deployment, role, form, said):
    assert said in said_after(staff(role), f"{DEPLOYMENT}/roll_back/", reason="x", **form)
    assert list(Deployment.objects.values_list("pk", "status")) == [("DEPLOY_001", "active")]
    assert not LogEntry.objects.exists()


def test_operator_who_rolls_back_what_has_ended_is_told_none_of_the_figures(versions):
    make_prices()
    book, why = make_portfolio("HIDDEN", groups=["others"]), "risk: var_99 would be 61234.50, the limit is 50000.00"
    make_deployment(versions[1], book, status="failed", reason=why)
    told = said_after(staff("operator", groups=[]), f"{DEPLOYMENT}/roll_back/", reason="x", force="on")
    assert "DEPLOY_001 is failed: it does not run." in told
    assert "61234" not in told


def test_operator_who_rolls_back_again_is_told_none_of_the_figures_of_the_first_time(versions):
    make_prices()
    book, now = make_portfolio("HIDDEN", groups=["others"]), timezone.now()
    first = make_deployment(versions[0], book, "DEPLOY_000", status="superseded", activated_at=now)
    why = "rolled back by itself: drawdown of 31.07%"
    make_deployment(versions[1], book, status="rolled_back", activated_at=now, previous=first, reason=why)
    close_portfolio(book.pk)
    told = said_after(staff("operator", groups=[]), f"{DEPLOYMENT}/roll_back/", reason="x", force="on")
    assert "DEPLOY_001 is rolled_back." in told
    assert "31.07" not in told


def test_rollback_needs_a_reason(deployment):
    answer = staff("operator").post(f"{DEPLOYMENT}/roll_back/", {**SENT, "reason": "", "force": "on"})
    assert "This field is required" in answer.content.decode()
    assert Deployment.objects.get().status == "active"


def test_operator_clears_what_is_stuck(versions):
    make_prices()
    hour_ago = timezone.now() - timedelta(hours=1)
    make_deployment(versions[0], make_portfolio("OLD"), "DEPLOY_001", status="validating", created_at=hour_ago)
    make_deployment(versions[0], make_portfolio("NEW"), "DEPLOY_002", status="validating")
    client = staff("operator", username="otto")
    assert "Cleared: DEPLOY_001." in said_after(client, f"{DEPLOYMENTS}clear_stuck/", reason="the worker died")
    assert dict(Deployment.objects.values_list("pk", "status")) == {"DEPLOY_001": "failed", "DEPLOY_002": "validating"}
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.object_id, "the worker died" in entry.change_message) == (
        "otto",
        "DEPLOY_001",
        True,
    )
    assert "No deployment is stuck" in said_after(client, f"{DEPLOYMENTS}clear_stuck/", reason="again")


@pytest.mark.parametrize("path", [f"{PAGES}/deployment/NONE/approve/", f"{PAGES}/mergerequest/0/latest/"])
def test_button_of_what_is_not_there_is_not_found(versions, path):
    assert staff("admin").post(path, {**SENT, "reason": "x", "message": "x"}).status_code == 404
