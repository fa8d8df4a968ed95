"""Deploying and approving over HTTP: who may, what is refused, what is answered."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.portfolios.models import Portfolio
from apps.portfolios.tests.factories import client_of, make_client, make_portfolio, make_prices, make_user
from apps.strategies.models import Deployment, StrategyVersion
from apps.strategies.tests.api_factories import URL, detail_of, errors_of, make_deployment, make_versions
from apps.tasks.models import Task

pytestmark = pytest.mark.django_db

DEPLOY = f"{URL}/deploy"
ASKED = {"strategy_id": "STRATEGY_001", "version": 1, "portfolio_id": "BOOK", "environment": "paper"}
ACCEPTED_KEYS = {"task_id", "status", "status_url", "topic", "deployment_id"}
ROLES = ["viewer", "trader", "risk_manager", "operator", "strategist", "admin"]
A_BROKER = "apps.strategies.brokers.paper.PaperBroker"


@pytest.fixture(autouse=True)
def versions() -> list[StrategyVersion]:
    """Two of STRATEGY_001; BOOK is the desk's, HIDDEN another's."""
    make_prices()
    make_portfolio("BOOK")
    make_portfolio("HIDDEN", groups=["another desk"])
    return make_versions(count=2)


@pytest.fixture
def sophie() -> Any:
    return make_user("strategist", username="sophie")


@pytest.fixture
def strategist(sophie: Any) -> APIClient:
    return make_client(sophie)


def deployed(
    version: StrategyVersion, portfolio_id: str = "BOOK", name: str = "DEPLOY_001", **fields: Any
) -> Deployment:
    return make_deployment(version, Portfolio.objects.get(pk=portfolio_id), name, **fields)


# --- Deploying ---------------------------------------------------------------------------------------------------


def test_deployment_is_accepted_with_its_task_and_can_be_read_at_once(strategist: APIClient) -> None:
    answer = strategist.post(DEPLOY, ASKED)
    assert answer.status_code == 202, answer.content
    body = answer.json()
    assert body.keys() == ACCEPTED_KEYS
    assert (body["deployment_id"], body["status"]) == ("DEPLOY_001", "processing")
    assert answer.headers["Location"] == body["status_url"] == f"/api/v1/tasks/{body['task_id']}"
    assert strategist.get(body["status_url"]).json()["kind"] == "strategy.deploy"
    shown = strategist.get(f"{URL}/deployments/DEPLOY_001").json()
    assert (shown["status"], shown["environment"], shown["version"]) == ("pending", "paper", 1)
    assert (shown["created_by"], shown["task_id"]) == ("sophie", body["task_id"])
    assert {step["status"] for step in shown["steps"]} == {"pending"}


def test_what_is_left_out_has_its_default(strategist: APIClient, settings: Any) -> None:
    settings.STRATEGY_COST_BPS = 7.5
    strategist.post(DEPLOY, ASKED)
    shown = strategist.get(f"{URL}/deployments/DEPLOY_001").json()
    assert (shown["schedule"], shown["cost_bps"], shown["symbols"]) == ("daily", 7.5, ["AAA", "BBB"])
    assert (shown["start_date"], shown["canary"]) == (None, None)


def test_what_is_said_is_kept(strategist: APIClient) -> None:
    said = {
        "schedule": "weekly",
        "symbols": ["BBB"],
        "cost_bps": 0,
        "start_date": "2022-01-04",
        "canary": {"share": 0.1, "days": 5},
    }
    assert strategist.post(DEPLOY, ASKED | said).status_code == 202
    shown = strategist.get(f"{URL}/deployments/DEPLOY_001").json()
    assert {name: shown[name] for name in said} == said


@pytest.mark.parametrize(
    ("fields", "code", "attr"),
    [
        ({"version": 0}, "min_value", "version"),
        ({"version": "1"}, "invalid", "version"),
        ({"version": None}, "null", "version"),
        ({"environment": "prod"}, "invalid_choice", "environment"),
        ({"schedule": "hourly"}, "invalid_choice", "schedule"),
        ({"symbols": []}, "min_length", "symbols"),
        ({"symbols": "AAA"}, "not_a_list", "symbols"),
        ({"symbols": ["AAA", "ZZZ"]}, "unknown_symbol", "symbols"),
        ({"symbols": ["a b"]}, "unknown_symbol", "symbols"),
        ({"cost_bps": -1}, "min_value", "cost_bps"),
        ({"cost_bps": 1_000.5}, "max_value", "cost_bps"),
        ({"cost_bps": "5"}, "invalid", "cost_bps"),
        ({"start_date": "4 January"}, "invalid", "start_date"),
        ({"start_date": "2021-01-04"}, "start_date_invalid", "start_date"),
        ({"start_date": "2999-01-04"}, "start_date_invalid", "start_date"),
        ({"canary": {"share": 1, "days": 5}}, "share", "canary.share"),
        ({"canary": {"share": 0, "days": 5}}, "share", "canary.share"),
        ({"canary": {"share": 0.5, "days": 0}}, "min_value", "canary.days"),
        ({"canary": {"share": 0.5, "days": 253}}, "max_value", "canary.days"),
        ({"canary": {"share": 0.5}}, "required", "canary.days"),
        ({"canary": {"share": 0.5, "days": 5, "hours": 1}}, "unknown_field", "canary.hours"),
        ({"canary": 0.5}, "invalid", "canary.non_field_errors"),
        ({"enviroment": "paper"}, "unknown_field", "enviroment"),
    ],
)
def test_bad_request_is_refused_with_its_field_and_nothing_is_deployed(
    strategist: APIClient, fields: dict, code: str, attr: str
) -> None:
    answer = strategist.post(DEPLOY, ASKED | fields)
    assert (answer.status_code, errors_of(answer)) == (400, [(code, attr)])
    assert not Deployment.objects.exists()
    assert not Task.objects.exists()


@pytest.mark.parametrize("field", sorted(ASKED))
def test_each_field_of_the_contract_is_needed(strategist: APIClient, field: str) -> None:
    asked = {name: value for name, value in ASKED.items() if name != field}
    assert errors_of(strategist.post(DEPLOY, asked)) == [("required", field)]


def test_faults_name_the_value_and_what_would_be_right(strategist: APIClient) -> None:
    share = strategist.post(DEPLOY, ASKED | {"canary": {"share": 1.5, "days": 5}})
    assert detail_of(share) == "1.5 is not between 0 and 1; expected a part such as 0.1."
    costs = strategist.post(DEPLOY, ASKED | {"cost_bps": 2_000})
    assert detail_of(costs) == "2000.0 is not between 0 and 1000 basis points."
    assert detail_of(strategist.post(DEPLOY, ASKED | {"schedule": "hourly"})) == (
        "'hourly' is not one of daily, weekly, monthly."
    )
    assert "ZZZ" in detail_of(strategist.post(DEPLOY, ASKED | {"symbols": ["ZZZ"]}))


@pytest.mark.parametrize("asked", [{"strategy_id": "STRATEGY_999"}, {"strategy_id": "a b"}, {"version": 9}])
def test_version_that_is_not_there_is_not_found(strategist: APIClient, asked: dict) -> None:
    answer = strategist.post(DEPLOY, ASKED | asked)
    assert (answer.status_code, errors_of(answer)) == (404, [("not_found", None)])
    assert not Deployment.objects.exists()


@pytest.mark.parametrize("role", ROLES)
def test_strategists_and_admins_deploy_to_paper(role: str) -> None:
    assert client_of(role).post(DEPLOY, ASKED).status_code == (202 if role in ("strategist", "admin") else 403)
    assert Deployment.objects.exists() == (role in ("strategist", "admin"))


@pytest.mark.parametrize("environment", ["paper", "live"])
def test_hidden_portfolio_looks_as_if_it_were_not_there(strategist: APIClient, environment: str) -> None:
    asked = ASKED | {"environment": environment}
    hidden, missing = (strategist.post(DEPLOY, asked | {"portfolio_id": name}) for name in ("HIDDEN", "NONE"))
    assert hidden.status_code == missing.status_code == (404 if environment == "paper" else 403)
    assert detail_of(hidden).replace("HIDDEN", "NONE") == detail_of(missing)
    assert not Deployment.objects.exists()


def test_live_is_for_admins_and_needs_a_broker(strategist: APIClient, settings: Any) -> None:
    live = ASKED | {"environment": "live"}
    refused = strategist.post(DEPLOY, live)
    assert (refused.status_code, "'admin'" in detail_of(refused)) == (403, True)
    settings.LIVE_BROKER = ""
    without = client_of("admin").post(DEPLOY, live)
    assert (without.status_code, errors_of(without)[0][0]) == (409, "no_broker")
    assert "NAUTILUS_LIVE_BROKER" in detail_of(without)
    settings.LIVE_BROKER = A_BROKER
    assert client_of("admin").post(DEPLOY, live).status_code == 202
    assert "approval" in {step.name for step in Deployment.objects.get().steps.all()}


def test_live_deployment_has_no_start_date(settings: Any) -> None:
    settings.LIVE_BROKER = A_BROKER
    answer = client_of("admin").post(DEPLOY, ASKED | {"environment": "live", "start_date": "2022-01-04"})
    assert (answer.status_code, errors_of(answer)) == (400, [("start_date_invalid", "start_date")])


def test_second_deployment_on_its_way_to_a_portfolio_is_refused(strategist: APIClient) -> None:
    strategist.post(DEPLOY, ASKED)
    answer = strategist.post(DEPLOY, ASKED | {"version": 2})
    assert (answer.status_code, errors_of(answer)[0][0]) == (409, "deployment_under_way")
    assert "DEPLOY_001" in detail_of(answer)


def test_repeated_request_deploys_once(strategist: APIClient) -> None:
    answers = [strategist.post(DEPLOY, ASKED, HTTP_IDEMPOTENCY_KEY="k") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    assert Deployment.objects.count() == Task.objects.count() == 1
    other = strategist.post(DEPLOY, ASKED | {"version": 2}, HTTP_IDEMPOTENCY_KEY="k")
    assert errors_of(other) == [("idempotency_key_reused", None)]


def test_portfolio_is_looked_up_once(strategist: APIClient) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert strategist.post(DEPLOY, ASKED).status_code == 202
    looked_up = 'FROM "portfolios_portfolio" WHERE'
    assert len([query for query in captured if looked_up in query["sql"]]) == 1


# --- Approving ---------------------------------------------------------------------------------------------------


@pytest.fixture
def waiting(versions: list[StrategyVersion], sophie: Any, settings: Any) -> Deployment:
    settings.LIVE_BROKER = A_BROKER
    return deployed(versions[0], environment="live", status="awaiting_approval", created_by=sophie)


APPROVE = f"{URL}/deployments/DEPLOY_001/approve"


def test_somebody_else_approves_and_it_is_active(waiting: Deployment) -> None:
    answer = make_client(make_user("risk_manager", username="rita", groups=[])).post(APPROVE)
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert (body["deployment_id"], body["status"], body["approved_by"]) == ("DEPLOY_001", "active", "rita")
    assert body["approved_at"].endswith("Z")
    assert body["activated_at"].endswith("Z")


@pytest.mark.parametrize("role", ROLES)
def test_risk_managers_and_admins_approve(waiting: Deployment, role: str) -> None:
    assert client_of(role).post(APPROVE).status_code == (200 if role in ("risk_manager", "admin") else 403)
    waiting.refresh_from_db()
    assert (waiting.status == "active") == (role in ("risk_manager", "admin"))


def test_who_asked_cannot_approve(waiting: Deployment) -> None:
    alone = make_user("admin", username="alone")
    Deployment.objects.filter(pk=waiting.pk).update(created_by=alone)
    answer = make_client(alone).post(APPROVE)
    assert (answer.status_code, errors_of(answer)) == (409, [("own_deployment", None)])
    waiting.refresh_from_db()
    assert waiting.status == "awaiting_approval"


@pytest.mark.parametrize("status", ["pending", "active", "failed"])
def test_only_what_waits_can_be_approved(versions: list[StrategyVersion], status: str) -> None:
    deployed(versions[0], status=status)
    answer = client_of("risk_manager").post(APPROVE)
    assert (answer.status_code, errors_of(answer)) == (409, [("deployment_state", None)])
    assert status in detail_of(answer)


def test_approval_takes_no_fields_and_names_what_is_not_there(waiting: Deployment) -> None:
    client = client_of("risk_manager")
    assert errors_of(client.post(APPROVE, {"approve": True})) == [("unknown_field", "approve")]
    missing = client.post(APPROVE.replace("001", "999"))
    assert (missing.status_code, "DEPLOY_999" in detail_of(missing)) == (404, True)


@pytest.mark.parametrize("path", [DEPLOY, APPROVE])
def test_nothing_is_done_without_credentials(path: str) -> None:
    assert APIClient().post(path, {}).status_code == 401


@pytest.mark.parametrize("path", [DEPLOY, APPROVE])
def test_path_of_a_deed_is_not_read(path: str) -> None:
    assert client_of("admin").get(path).status_code == 405
