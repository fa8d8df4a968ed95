"""The monitor's endpoints and its page in the admin."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from apps.portfolios.tests.factories import client_of, make_portfolio, make_user
from apps.risk.models import RiskMonitor
from apps.risk.monitoring import FLAG
from apps.risk.tests.desks import DESK_SETTINGS, make_desk, make_limit
from apps.risk.tests.monitored import forget_flag, look, redis_away
from nautilus.connections import redis_client

pytestmark = pytest.mark.django_db

RISK = "/api/v1/sprint3/risk"
STATUS, START, STOP = (f"{RISK}/monitoring/{name}" for name in ("status", "start", "stop"))
LIMITS = f"{RISK}/limits/monitoring/status"


@pytest.fixture(autouse=True)
def clean_flag(settings):
    for name, value in DESK_SETTINGS.items():
        setattr(settings, name, value)
    forget_flag()
    yield
    forget_flag()


def test_status_says_how_the_last_run_went():
    make_limit(make_desk(), "gross_exposure", 29_000)
    look()
    status = client_of("viewer").get(STATUS).json()
    monitor = RiskMonitor.objects.get()
    assert status == {
        "enabled": True,
        "running": True,
        "stale_reason": None,
        "interval_seconds": 5,
        "last_run_at": f"{monitor.last_run_at:%Y-%m-%dT%H:%M:%S.%fZ}",
        "last_run_seconds": monitor.last_run_seconds,
        "next_run_at": status["next_run_at"],
        "lag_seconds": pytest.approx(0, abs=10),
        "portfolios_monitored": 1,
        "limits_monitored": 1,
        "holder": monitor.holder,
        "last_error": None,
        "last_error_at": None,
    }


def test_status_of_a_monitor_that_never_ran():
    status = client_of("operator").get(STATUS).json()
    assert (status["enabled"], status["last_run_at"], status["lag_seconds"]) == (True, None, None)
    assert status["stale_reason"] == "not evaluated yet: the monitor has not run"


@pytest.mark.parametrize("role", ["risk_manager", "operator", "admin"])
def test_start_and_stop_answer_with_the_status(role):
    client = client_of(role)
    stopped = client.post(STOP)
    assert (stopped.status_code, stopped.json()["enabled"], stopped.json()["running"]) == (200, False, False)
    assert redis_client().get(FLAG) == "0"
    started = client.post(START, {})
    assert (started.status_code, started.json()["enabled"], started.json()["running"]) == (200, True, True)


@pytest.mark.parametrize("role", ["viewer", "trader", "strategist"])
@pytest.mark.parametrize("path", [START, STOP])
def test_others_may_not_switch_it(role, path):
    assert client_of(role).post(path).status_code == 403
    assert RiskMonitor.objects.filter(enabled=False).exists() is False


def test_unknown_field_is_refused():
    answer = client_of("operator").post(STOP, {"forse": True})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["attr"] == "forse"


def test_stop_is_503_and_changes_nothing_where_redis_is_away():
    client = client_of("operator")
    client.raise_request_exception = False
    with redis_away():
        answer = client.post(STOP)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (503, "service_unavailable")
    assert client.get(STATUS).json()["enabled"] is True


def test_limits_are_counted_by_status_over_the_portfolios_that_one_may_see():
    desk = make_desk()
    for threshold in (29_000, 35_000, 40_000, 50_000):
        make_limit(desk, "gross_exposure", threshold)
    make_limit(desk, "leverage", 1, active=False)
    hidden = make_portfolio("HIDDEN", groups=["another desk"])
    make_limit(hidden, "gross_exposure", 1)
    look()
    seen = client_of("viewer").get(LIMITS).json()
    assert {name: seen[name] for name in seen if name.endswith(("_open", "_monitored"))} == {
        "limits_monitored": 4,
        "warnings_open": 1,
        "breaches_open": 1,
        "unknown_open": 0,
    }
    assert (seen["enabled"], seen["running"], seen["stale_reason"]) == (True, True, None)
    for role in ("operator", "risk_manager"):
        assert client_of(role).get(LIMITS).json()["limits_monitored"] == 5


def test_monitor_is_started_and_stopped_in_the_admin():
    client = Client()
    client.force_login(make_user("operator", is_staff=True))
    page = "/admin/risk/riskmonitor/"
    assert "running" in client.get(page).content.decode()
    stopped = client.post(page, {"action": "stop", "_selected_action": [1]}, follow=True)
    assert "Monitoring is stopped." in stopped.content.decode()
    assert RiskMonitor.objects.get().enabled is False
    started = client.post(page, {"action": "start", "_selected_action": [1]}, follow=True)
    assert "Monitoring is started." in started.content.decode()
    assert RiskMonitor.objects.get().enabled is True


def test_trader_has_no_page_of_the_monitor():
    client = Client()
    client.force_login(make_user("trader", is_staff=True))
    assert client.get("/admin/risk/riskmonitor/").status_code == 403


def test_counts_are_not_green_while_nothing_is_monitored():
    make_limit(make_desk(), "gross_exposure", 1e9)
    look()
    viewer = client_of("viewer")
    assert viewer.get(LIMITS).json()["unknown_open"] == 0
    RiskMonitor.objects.update(last_run_at=timezone.now() - timedelta(hours=1))
    assert viewer.get(LIMITS).json()["unknown_open"] == 1
