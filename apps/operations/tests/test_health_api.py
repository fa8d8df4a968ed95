"""`/health` and the three health views: shapes, roles, and who is let in while the database is away."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from django.db.utils import OperationalError
from rest_framework.test import APIClient

from apps.operations.api import credentials
from apps.operations.api.credentials import REMEMBERED_SECONDS, Remembered
from apps.operations.checks.registry import COMPONENTS
from apps.operations.findings import Finding, Health, Status
from apps.operations.health import ANALYTICS, RISK, body_of, health_body
from apps.operations.running import ComponentHealth
from apps.operations.tests.alive import all_processes_alive
from apps.portfolios.tests.factories import client_of, make_portfolio, make_prices, make_trade, make_user
from apps.strategies.tests.api_factories import make_deployment, make_versions
from nautilus import __version__

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).parents[3]
SPRINT3 = "/api/v1/sprint3"
DOCUMENT = yaml.safe_load((ROOT / "docs" / "asyncapi.yaml").read_text())


def schema_of_body() -> dict[str, Any]:
    data = DOCUMENT["components"]["messages"]["healthTold"]["payload"]["properties"]["data"]
    return {**data, "components": DOCUMENT["components"]}


@pytest.mark.parametrize("role", ["operator", "viewer"])
def test_system_health_tells_of_every_component(settings, role):
    settings.FEED_EXPECTED = False
    with all_processes_alive():
        answer = client_of(role).get(f"{SPRINT3}/system/health")
    body = answer.json()
    assert answer.status_code == 200
    assert list(body["components"]) == list(COMPONENTS)
    assert body["version"] == __version__
    jsonschema.validate(body, schema_of_body())


@pytest.mark.parametrize(("role", "named"), [("operator", True), ("risk_manager", True), ("viewer", False)])
def test_portfolios_are_named_to_those_who_may_know_of_all(role, named):
    make_prices()
    make_trade(make_portfolio("HIDDEN"))
    answer = client_of(role, groups=["another desk"]).get(f"{SPRINT3}/risk/health")
    assert answer.json()["components"]["limit_monitoring"]["cause"].startswith("1 portfolios hold positions")
    assert ("HIDDEN" in answer.content.decode()) is named
    assert "HIDDEN" not in str(health_body(RISK))  # as the topic has it


@pytest.mark.parametrize(("role", "named"), [("operator", True), ("risk_manager", True), ("viewer", False)])
def test_deployments_are_named_to_those_who_may_know_of_all(role, named):
    make_prices()
    (version,) = make_versions()
    make_deployment(version, make_portfolio("HIDDEN"), "DEPLOY_777", failures_in_row=2, last_error="HIDDEN detail")
    answer = client_of(role, groups=["another desk"]).get(f"{SPRINT3}/system/health")
    assert answer.json()["components"]["deployments"]["cause"].startswith("2 runs in a row have failed")
    for text in ("DEPLOY_777", "HIDDEN detail"):
        assert (text in answer.content.decode()) is named
        assert text not in str(health_body(["deployments"]))  # as the topic has it


@pytest.mark.parametrize(("part", "components"), [("risk", RISK), ("analytics", ANALYTICS)])
def test_parts_answer_with_their_own_components(part, components):
    assert set(client_of("viewer").get(f"{SPRINT3}/{part}/health").json()["components"]) == set(components)


def test_one_unhealthy_component_makes_503_with_the_whole_body():
    answer = client_of("operator").get(f"{SPRINT3}/system/health")  # no worker is there
    assert answer.status_code == 503
    assert answer.json()["components"]["workers"]["remedy"] == "scripts/restart-service.sh risk-worker"
    jsonschema.validate(answer.json(), schema_of_body())


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((), "healthy"),
        ((Status.HEALTHY, Status.DEGRADED), "degraded"),
        ((Status.UNHEALTHY, Status.DEGRADED), "unhealthy"),
    ],
)
def test_whole_is_as_bad_as_its_worst_component(statuses, expected):
    def component(status: Status) -> ComponentHealth:
        found = () if status == Status.HEALTHY else (Finding(status, "s", "c", "r", "web-gone"),)
        return ComponentHealth(Health("d", found), 0.1)

    assert body_of({f"{n}": component(status) for n, status in enumerate(statuses)})["status"] == expected


def test_parameter_that_does_not_exist_is_refused():
    answer = client_of("operator").get(f"{SPRINT3}/system/health?component=redis")
    assert answer.status_code == 400


def test_open_health_says_one_word():
    answer = APIClient().get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "healthy"})


def test_open_health_without_redis_is_503(settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answer = APIClient().get("/health")
    assert (answer.status_code, answer.json()) == (503, {"status": "unhealthy"})


@pytest.mark.parametrize("header", ["Bearer wrong", "Basic dTpw", "Bearer \u00ff"])
def test_credential_that_is_not_good_is_refused(header):
    client = APIClient(HTTP_AUTHORIZATION=header)
    assert client.get(f"{SPRINT3}/system/health").status_code == 401


def test_session_of_the_admin_is_let_in():
    client = APIClient()
    client.force_login(make_user("operator"))
    assert set(client.get(f"{SPRINT3}/analytics/health").json()["components"]) == set(ANALYTICS)


@pytest.fixture
def database_away(monkeypatch) -> Any:
    """Once called, whatever looks up a credential finds no database; checks find theirs."""

    def refuse(request: Any) -> Any:
        raise OperationalError("the connection is lost")

    return lambda: monkeypatch.setattr(credentials, "_user", refuse)


def test_credential_that_was_good_is_good_while_the_database_is_away(database_away):
    client = client_of("viewer")
    client.get(f"{SPRINT3}/risk/health")
    database_away()
    assert set(client.get(f"{SPRINT3}/risk/health").json()["components"]) == set(RISK)
    stranger = APIClient(HTTP_AUTHORIZATION="Bearer never-seen-before").get(f"{SPRINT3}/risk/health")
    assert stranger.status_code == 503
    assert set(stranger.json()["components"]) == {"database"}
    jsonschema.validate(stranger.json(), schema_of_body())


def test_who_brings_nothing_is_refused_also_while_the_database_is_away(database_away):
    database_away()
    assert APIClient().get(f"{SPRINT3}/risk/health").status_code == 401


def test_remembered_credential_is_forgotten_after_its_time(monkeypatch):
    remembered, now = Remembered(), [1_000.0]
    monkeypatch.setattr(credentials.time, "monotonic", lambda: now[0])
    remembered.keep("bearer a", "user")
    now[0] += REMEMBERED_SECONDS - 1
    assert remembered.user("bearer a") == "user"
    now[0] += 2
    assert remembered.user("bearer a") is None


def test_no_more_credentials_are_remembered_than_the_limit():
    remembered = Remembered()
    for number in range(credentials.MOST_REMEMBERED + 1):
        remembered.keep(f"bearer {number}", number)
    assert remembered.user("bearer 0") is None
    assert remembered.user("bearer 1") == 1
    assert not any("bearer" in key for key in remembered._users)
