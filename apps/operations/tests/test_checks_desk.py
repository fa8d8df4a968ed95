"""What the desk relies on: the monitor, limits, live prices, deployments and alerts."""

import json
import shlex
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from apps.operations.checks import histories
from apps.operations.checks.analytics_streaming import check_analytics_streaming
from apps.operations.checks.deployments import check_deployments
from apps.operations.checks.histories import Histories
from apps.operations.checks.limit_monitoring import check_limit_monitoring
from apps.operations.checks.market_data import check_market_data
from apps.operations.checks.notifications import check_notifications
from apps.operations.checks.risk_monitoring import check_risk_monitoring
from apps.operations.findings import Health, Status
from apps.operations.naming import words_for_all
from apps.operations.tests.alive import a_scheduler, a_worker, forget_all, say_scheduler, say_worker
from apps.portfolios.quotes import QUOTES_KEY, RING_KEY, STATE_KEY, accept_quotes
from apps.portfolios.tests.factories import client_of, make_portfolio, make_prices, make_trade
from apps.risk.models import RiskEvent, RiskLimit, RiskMonitor, Severity
from apps.risk.tests.alerting import a_breach, a_portfolio, make_channel, make_delivery
from apps.strategies.tests.api_factories import make_deployment, make_versions
from apps.tasks.tests.factories import make_task
from nautilus.connections import redis_client

pytestmark = pytest.mark.django_db


def told(health: Health) -> list[tuple[str, str]]:
    return [(finding.status.value, finding.section) for finding in health.findings]


def ago(**span: float) -> Any:
    return timezone.now() - timedelta(**span)


def make_monitor(**fields: Any) -> RiskMonitor:
    """One that ran a second ago and has done so for an hour."""
    given = {"pk": 1, "last_run_at": ago(seconds=1), "last_run_seconds": 0.2, "changed_at": ago(hours=1)}
    return RiskMonitor.objects.create(**{**given, **fields})


@pytest.fixture(autouse=True)
def _empty_redis() -> Any:
    redis_client().delete(QUOTES_KEY, STATE_KEY, RING_KEY)
    forget_all()
    yield
    redis_client().delete(QUOTES_KEY, STATE_KEY, RING_KEY)
    forget_all()


# --- The monitor ------------------------------------------------------------------------------------------
def test_monitor_that_runs_is_healthy():
    make_monitor()
    health = check_risk_monitoring()
    assert told(health) == []
    assert health.detail.startswith("ran 1.")


def test_look_makes_no_row_where_the_monitor_has_not_run_yet():
    assert told(check_risk_monitoring()) == [("degraded", "risk-figures-stuck")]
    assert not RiskMonitor.objects.exists()


def test_monitor_that_was_stopped_evaluates_nothing():
    make_monitor(enabled=False)
    (finding,) = check_risk_monitoring().findings
    assert (finding.status, finding.section) == (Status.UNHEALTHY, "risk-breaches-not-detected")
    assert finding.remedy == "curl -X POST http://localhost:8001/api/v1/sprint3/risk/monitoring/start"


@pytest.mark.parametrize(
    ("scheduler", "worker", "cause", "service"),
    [
        (False, True, "No scheduler leads", "scheduler"),
        (True, False, "No worker of maintenance_queue is alive", "maintenance-worker"),
        (True, True, "Runs are asked for", "maintenance-worker"),
    ],
)
def test_stalled_monitor_says_who_is_missing(scheduler, worker, cause, service):
    make_monitor(last_run_at=ago(minutes=5))
    if scheduler:
        say_scheduler(a_scheduler())
    if worker:
        say_worker(a_worker("maintenance_queue"))
    (finding,) = check_risk_monitoring().findings
    assert (finding.status, finding.section) == (Status.UNHEALTHY, "risk-figures-stuck")
    assert finding.cause.startswith(cause)
    assert finding.remedy == f"scripts/restart-service.sh {service}"
    assert "the monitor has not run for 300 s" in finding.symptom


def test_stalled_monitor_says_why_its_runs_fail():
    make_monitor(last_run_at=ago(minutes=5), last_error="division by zero", last_error_at=timezone.now())
    assert check_risk_monitoring().findings[0].cause == "Its runs fail: division by zero"


def test_figures_on_old_prices_are_degraded():
    make_monitor()
    for number in (1, 2):
        event = {"event_type": RiskEvent.Type.PRICES_STALE, "severity": Severity.WARNING, "message": "old"}
        RiskEvent.objects.create(portfolio=a_portfolio(f"BOOK_{number}"), **event)
    (finding,) = check_risk_monitoring().findings
    assert (finding.status, finding.section) == (Status.DEGRADED, "risk-figures-stuck")
    assert finding.cause.startswith("Of 2 portfolios the prices are older")


def test_nightly_run_that_failed_is_told_of_until_the_next_one():
    make_monitor()
    failed = {"status": "failed", "finished_at": timezone.now(), "error": {"detail": "It ran over its time."}}
    task = make_task("risk.analyze_all", created_at=ago(hours=8), **failed)
    (finding,) = check_risk_monitoring().findings
    assert finding.cause == f"Its task {task.pk} failed: It ran over its time."
    make_task("risk.analyze_all", status="succeeded", finished_at=timezone.now())
    assert told(check_risk_monitoring()) == []


# --- Limits -----------------------------------------------------------------------------------------------
def make_limit(portfolio: Any, **fields: Any) -> RiskLimit:
    given = {"kind": "gross_exposure", "threshold_value": 100.0, "warning_threshold": 80.0, "status": "ok"}
    return RiskLimit.objects.create(portfolio=portfolio, **{**given, **fields})


@pytest.fixture
def book() -> Any:
    make_prices()
    portfolio = make_portfolio("BOOK")
    make_trade(portfolio)
    return portfolio


def test_limits_that_are_evaluated_are_healthy_also_in_breach(book):
    make_monitor()
    make_limit(book, status="breach")
    health = check_limit_monitoring()
    assert told(health) == []
    assert health.detail == "1 limits in force: 0 ok, 0 warning, 1 breach, 0 unknown"


@pytest.mark.parametrize("limit", [None, {"active": False}, {"effective_to": "2020-01-01T00:00:00Z"}])
def test_book_with_positions_and_no_limit_in_force_has_no_threshold(book, limit):
    make_monitor()
    if limit:
        make_limit(book, **limit)
    (finding,) = check_limit_monitoring().findings
    assert (finding.status, finding.section) == (Status.DEGRADED, "risk-breaches-not-detected")
    assert finding.cause.startswith("1 portfolios hold positions and have no limit in force")
    assert finding.cause.endswith("They are BOOK.")
    assert '"portfolio_id": "BOOK"' in finding.remedy
    assert book.pk not in str(words_for_all(finding))


@pytest.mark.django_db(transaction=True)
def test_remedy_for_a_book_without_limits_gives_it_one_that_the_api_takes(book):
    make_monitor()
    (finding,) = check_limit_monitoring().findings
    _, _, body = finding.remedy.partition(" -d ")
    answer = client_of("risk_manager").post(
        "/api/v1/sprint3/risk/limits", json.loads(*shlex.split(body)), format="json"
    )
    assert answer.status_code == 201
    assert told(check_limit_monitoring()) == []


def test_book_without_positions_needs_no_limit():
    make_monitor()
    make_portfolio("EMPTY")
    assert told(check_limit_monitoring()) == []


def test_limit_that_cannot_be_computed_is_told_of_after_its_first_minute(book):
    make_monitor()
    limit = make_limit(book, status="unknown")
    assert told(check_limit_monitoring()) == []
    RiskLimit.objects.filter(pk=limit.pk).update(created_at=ago(minutes=2))
    assert told(check_limit_monitoring()) == [("degraded", "risk-breaches-not-detected")]


def test_breach_would_not_be_seen_while_the_monitor_stands_still(book):
    make_monitor(last_run_at=ago(minutes=5))
    make_limit(book)
    (finding,) = check_limit_monitoring().findings
    assert (finding.status, finding.section) == (Status.UNHEALTHY, "risk-breaches-not-detected")


# --- Live prices and live figures -------------------------------------------------------------------------
def quote(age_seconds: float = 0.0) -> None:
    us = int((time.time() - age_seconds) * 1e6)
    accept_quotes(["AAA"], [10.0], [us], "test")


def test_live_feed_is_healthy():
    quote()
    assert told(check_market_data()) == []


@pytest.mark.parametrize(("expected", "status"), [(True, "unhealthy"), (False, "degraded")])
def test_feed_that_stopped_is_told_of(settings, expected, status):
    settings.FEED_EXPECTED = expected
    quote(age_seconds=60)
    assert told(check_market_data()) == [(status, "market-data-stopped")]


@pytest.mark.parametrize(("expected", "findings"), [(True, [("unhealthy", "market-data-stopped")]), (False, [])])
def test_feed_that_never_came_is_missed_where_one_is_expected(settings, expected, findings):
    settings.FEED_EXPECTED = expected
    assert told(check_market_data()) == findings


def test_without_an_engine_live_figures_stand_still():
    quote()
    (finding,) = check_analytics_streaming().findings
    assert (finding.status, finding.section) == (Status.UNHEALTHY, "analytics-dashboard-static")
    assert finding.remedy == "scripts/restart-service.sh analytics-engine"


def test_without_a_feed_that_is_expected_no_engine_is_needed(settings):
    settings.FEED_EXPECTED = False
    assert told(check_analytics_streaming()) == []


# --- Deployments ------------------------------------------------------------------------------------------
@pytest.fixture
def deploy(book) -> Any:
    (version,) = make_versions()

    def make(deployment_id: str = "DEPLOY_001", **fields: Any) -> Any:
        return make_deployment(version, book, deployment_id, **fields)

    return make


def test_active_deployment_is_healthy(deploy):
    deploy()
    assert told(check_deployments()) == []


@pytest.mark.parametrize(("minutes", "findings"), [(29, []), (31, [("degraded", "deployment-stuck")])])
def test_deployment_on_its_way_for_too_long_is_stuck(deploy, minutes, findings):
    deploy(status="pending", created_at=ago(minutes=minutes))
    assert told(check_deployments()) == findings


def test_deployment_that_waits_for_somebody_is_not_stuck(deploy):
    deploy(status="awaiting_approval", environment="live", created_at=ago(days=2))
    assert told(check_deployments()) == []


def test_active_deployment_that_fails_tells_its_last_error(deploy):
    deploy(failures_in_row=2, last_error="ValueError: weights sum to 3")
    (finding,) = check_deployments().findings
    assert (finding.status, finding.section) == (Status.DEGRADED, "deployment-failing")
    assert finding.cause == "2 runs in a row have failed: ValueError: weights sum to 3"
    assert '-d \'{"deployment_id": "DEPLOY_001"}\'' in finding.remedy


def test_rollback_that_failed_is_told_of_until_another_takes_its_place(deploy):
    active = deploy()
    deploy("DEPLOY_002", status="failed", rolls_back=active, reason="the backtest failed", created_at=ago(minutes=5))
    type(active).objects.filter(pk=active.pk).update(created_at=ago(minutes=10))
    (finding,) = check_deployments().findings
    assert (finding.section, finding.symptom) == ("rollback-failing", "The rollback of DEPLOY_001 failed")
    assert finding.cause == "DEPLOY_002 was to take its place, and failed: the backtest failed"
    assert '"force": true' in finding.remedy
    type(active).objects.filter(pk=active.pk).update(status="superseded", ended_at=timezone.now())
    deploy("DEPLOY_003")
    assert told(check_deployments()) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "pending", "created_at": ago(minutes=31)},
        {"status": "failed", "reason": "Timeout SECRET", "ended_at": ago(minutes=1)},
        {"failures_in_row": 2, "last_error": "SECRET"},
    ],
)
def test_deployment_that_needs_a_hand_is_named_to_those_who_may_know_of_all(deploy, fields):
    deploy(**fields)
    (finding,) = check_deployments().findings
    for_all = str(words_for_all(finding))
    assert "DEPLOY_001" in finding.symptom
    assert "DEPLOY" not in for_all
    assert "SECRET" not in for_all


def test_rollback_that_failed_names_no_deployment_to_viewers(deploy):
    deploy("DEPLOY_002", status="failed", rolls_back=deploy(), reason="SECRET", created_at=timezone.now())
    (finding,) = check_deployments().findings
    for_all = str(words_for_all(finding))
    assert "DEPLOY" not in for_all
    assert "SECRET" not in for_all


def write_past_the_trigger(statement: str) -> None:
    """As somebody does who owns the database."""
    table = "ALTER TABLE strategy_versions {} TRIGGER strategy_version_is_append_only"
    with connection.cursor() as cursor:
        cursor.execute(f"{table.format('DISABLE')}; {statement}; {table.format('ENABLE')}")


@pytest.mark.django_db(transaction=True)
def test_history_that_somebody_has_changed_is_told_and_told_no_more_once_it_is_right(monkeypatch):
    monkeypatch.setattr(histories, "READ_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(histories, "FIRST_WAIT_SECONDS", 20.0)
    make_versions("FORGED")
    assert Histories().latest()[1] == ()
    write_past_the_trigger("UPDATE strategy_versions SET message = 'forged'")
    (finding,) = Histories().latest()[1]
    assert (finding.section, finding.status) == ("version-history-corrupted", Status.UNHEALTHY)
    assert "FORGED" in finding.cause
    assert "FORGED" not in str(words_for_all(finding))
    write_past_the_trigger("UPDATE strategy_versions SET message = 'gross 1.0'")
    assert Histories().latest()[1] == ()


# --- Alerts -----------------------------------------------------------------------------------------------
def test_delivered_alert_is_healthy():
    make_delivery(status="delivered", delivered_at=timezone.now(), attempts=1)
    health = check_notifications()
    assert told(health) == []
    assert health.detail == "deliveries of the last hour: 0 pending, 0 sending, 1 delivered, 0 dead"


def test_alerts_of_a_kind_of_which_none_arrives_are_unhealthy_in_the_far_sides_words():
    make_delivery(status="pending", attempts=2, last_answer="HTTP 503 Service Unavailable")
    (finding,) = check_notifications().findings
    assert (finding.status, finding.section) == (Status.UNHEALTHY, "alerts-not-delivered")
    assert finding.symptom == "Alerts by webhook do not arrive"
    assert finding.cause == "1 fail, 0 of them given up; the far side says: HTTP 503 Service Unavailable"
    assert words_for_all(finding)["cause"] == "1 fail, 0 of them given up."


def test_one_channel_that_fails_while_others_of_its_kind_work_is_degraded():
    make_delivery(status="dead", attempts=120, last_answer="HTTP 404", created_at=ago(minutes=10))
    make_delivery(status="delivered", delivered_at=timezone.now(), attempts=1)
    assert told(check_notifications()) == [("degraded", "alerts-not-delivered")]


def test_dead_alert_of_long_ago_is_not_told_of():
    make_delivery(status="dead", attempts=120, next_attempt_at=ago(hours=2), created_at=ago(hours=3))
    assert told(check_notifications()) == []


def test_alert_that_no_sender_takes_is_told_of():
    make_delivery(created_at=ago(minutes=2))
    (finding,) = check_notifications().findings
    assert (finding.symptom, finding.remedy) == ("Alerts are not sent", "scripts/restart-service.sh alert-sender")


@pytest.mark.parametrize(
    ("severity", "channel", "expected"),
    [
        ("critical", {"min_severity": "critical"}, 1),
        ("warning", {"min_severity": "critical"}, 0),
        ("warning", {"min_severity": "warning"}, 1),
        ("critical", {"enabled": False}, 0),
        ("critical", {"escalate_after_minutes": 10}, 0),
    ],
)
def test_breach_that_a_channel_takes_and_no_delivery_tells_of(severity, channel, expected):
    make_channel(created_at=ago(hours=1), **channel)
    event = a_breach(a_portfolio(), severity=severity, timestamp=ago(minutes=2))
    event.save()
    assert [finding.symptom for finding in check_notifications().findings] == ["Nobody was told of a breach"] * expected


def test_breach_with_its_delivery_is_no_finding():
    delivery = make_delivery(status="delivered", delivered_at=timezone.now())
    RiskEvent.objects.filter(pk=delivery.event_id).update(timestamp=ago(minutes=2))
    assert told(check_notifications()) == []
