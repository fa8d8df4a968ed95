"""Rolling back and clearing over HTTP: who may, what is refused, what is answered."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from apps.portfolios.models import Portfolio
from apps.portfolios.tests.factories import client_of, make_client, make_portfolio, make_prices, make_user
from apps.strategies.models import Deployment, StrategyVersion
from apps.strategies.tests.api_factories import URL, detail_of, errors_of, make_deployment, make_versions

pytestmark = pytest.mark.django_db

ROLL_BACK = f"{URL}/rollback"
CLEAR = f"{URL}/deployments/clear-stuck"
ACCEPTED_KEYS = {"task_id", "status", "status_url", "topic", "deployment_id"}
ROLES = ["viewer", "trader", "risk_manager", "operator", "strategist", "admin"]


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


# --- Rolling back ------------------------------------------------------------------------------------------------


@pytest.fixture
def second(versions: list[StrategyVersion], sophie: Any) -> Deployment:
    """DEPLOY_002 runs version 2 and took the place of DEPLOY_001, which ran version 1; both are sophie's."""
    first = deployed(versions[0], status="superseded", activated_at=timezone.now(), created_by=sophie)
    return deployed(versions[1], name="DEPLOY_002", previous=first, created_by=sophie)


def test_strategist_rolls_back_what_they_deployed(second: Deployment, strategist: APIClient) -> None:
    answer = strategist.post(ROLL_BACK, {"deployment_id": "DEPLOY_002", "reason": "too wild"})
    assert answer.status_code == 202, answer.content
    body = answer.json()
    assert body.keys() == ACCEPTED_KEYS
    assert body["deployment_id"] == "DEPLOY_003"
    back = strategist.get(f"{URL}/deployments/DEPLOY_003").json()
    assert (back["version"], back["rolls_back"], back["skip_backtest"]) == (1, "DEPLOY_002", False)
    assert "too wild" in back["reason"]
    second.refresh_from_db()
    assert second.status == "active"  # until what replaces it has passed


def test_operator_without_any_desk_rolls_back_by_force(second: Deployment) -> None:
    operator = client_of("operator", groups=[])
    answer = operator.post(ROLL_BACK, {"deployment_id": "DEPLOY_002", "force": True})
    assert answer.status_code == 202, answer.content
    assert operator.get(answer.json()["status_url"]).status_code == 200
    back = Deployment.objects.get(pk=answer.json()["deployment_id"])
    assert (back.version.version, back.skip_backtest, back.rolls_back_id) == (1, True, "DEPLOY_002")
    second.refresh_from_db()
    assert second.status == "rolled_back"


@pytest.mark.parametrize("deployment_id", ["DEPLOY_002", "DEPLOY_999"])
def test_operator_needs_force(second: Deployment, deployment_id: str) -> None:
    for force in ({}, {"force": False}):
        answer = client_of("operator").post(ROLL_BACK, {"deployment_id": deployment_id, **force})
        assert (answer.status_code, errors_of(answer)) == (403, [("permission_denied", None)])
        assert "force" in detail_of(answer)
    second.refresh_from_db()
    assert second.status == "active"


@pytest.mark.parametrize("role", ["viewer", "trader", "risk_manager"])
@pytest.mark.parametrize("force", [False, True])
def test_others_roll_nothing_back(second: Deployment, role: str, force: bool) -> None:
    for deployment_id in ("DEPLOY_002", "DEPLOY_999"):
        answer = client_of(role).post(ROLL_BACK, {"deployment_id": deployment_id, "force": force})
        assert answer.status_code == 403
    assert Deployment.objects.count() == 2


@pytest.mark.parametrize("force", [False, True])
def test_strategist_does_not_roll_back_what_is_anothers(second: Deployment, force: bool) -> None:
    answer = client_of("strategist").post(ROLL_BACK, {"deployment_id": "DEPLOY_002", "force": force})
    assert (answer.status_code, errors_of(answer)) == (403, [("permission_denied", None)])
    assert "DEPLOY_002 is not yours" in detail_of(answer)


@pytest.mark.parametrize("force", [False, True])
def test_strategist_of_another_desk_is_told_that_there_is_none(second: Deployment, force: bool) -> None:
    client = client_of("strategist", groups=["another desk"])
    hidden, missing = (
        client.post(ROLL_BACK, {"deployment_id": name, "force": force}) for name in ("DEPLOY_002", "DEPLOY_999")
    )
    assert (hidden.status_code, missing.status_code) == (404, 404)
    assert detail_of(hidden).replace("002", "999") == detail_of(missing)


def test_admin_rolls_back_anything(second: Deployment) -> None:
    assert client_of("admin", groups=[]).post(ROLL_BACK, {"deployment_id": "DEPLOY_002"}).status_code == 202


def test_first_deployment_ends_and_answers_itself(versions: list[StrategyVersion], strategist: APIClient) -> None:
    only = deployed(versions[0], created_by=make_user("strategist"))
    answer = client_of("operator").post(ROLL_BACK, {"deployment_id": "DEPLOY_001", "force": True})
    assert (answer.status_code, answer.json()["deployment_id"]) == (202, "DEPLOY_001")
    only.refresh_from_db()
    assert only.status == "rolled_back"


def test_any_version_can_be_named(second: Deployment, strategist: APIClient) -> None:
    answer = strategist.post(ROLL_BACK, {"deployment_id": "DEPLOY_002", "to_version": 1})
    assert Deployment.objects.get(pk=answer.json()["deployment_id"]).version.version == 1


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"to_version": 0}, 400, "min_value"),
        ({"to_version": 9}, 404, "not_found"),
        ({"to_version": 2}, 409, "deployment_state"),
        ({"force": "maybe"}, 400, "invalid"),
        ({"reason": "x" * 1_001}, 400, "max_length"),
        ({"forced": True}, 400, "unknown_field"),
        ({"deployment_id": "DEPLOY_999"}, 404, "not_found"),
        ({"deployment_id": "a b"}, 404, "not_found"),
        ({"deployment_id": "DEPLOY_001"}, 409, "deployment_state"),
    ],
)
def test_rollback_that_does_not_fit_is_refused(second: Deployment, fields: dict, status: int, code: str) -> None:
    answer = client_of("admin").post(ROLL_BACK, {"deployment_id": "DEPLOY_002", **fields})
    assert (answer.status_code, errors_of(answer)[0][0]) == (status, code)
    second.refresh_from_db()
    assert (second.status, Deployment.objects.count()) == ("active", 2)


def test_repeated_rollback_goes_back_once(second: Deployment, strategist: APIClient) -> None:
    asked = {"deployment_id": "DEPLOY_002"}
    answers = [strategist.post(ROLL_BACK, asked, HTTP_IDEMPOTENCY_KEY="k").json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert Deployment.objects.count() == 3
    again = strategist.post(ROLL_BACK, asked)
    assert (again.status_code, errors_of(again)) == (409, [("deployment_state", None)])


# --- Clearing ----------------------------------------------------------------------------------------------------


def stuck(version: StrategyVersion, portfolio_id: str, name: str, minutes: int) -> Deployment:
    begun = timezone.now() - timedelta(minutes=minutes)
    return deployed(version, portfolio_id, name, status="backtesting", created_at=begun)


def test_stuck_deployments_are_cleared_and_named(versions: list[StrategyVersion]) -> None:
    late = stuck(versions[0], "BOOK", "DEPLOY_001", minutes=45)
    young = stuck(versions[0], "HIDDEN", "DEPLOY_002", minutes=10)
    answer = client_of("operator", groups=[]).post(CLEAR)
    assert (answer.status_code, answer.json()) == (200, {"cleared": ["DEPLOY_001"], "older_than_minutes": 30})
    late.refresh_from_db()
    young.refresh_from_db()
    assert (late.status, late.reason[:7], young.status) == ("failed", "Timeout", "backtesting")


def test_age_can_be_said(versions: list[StrategyVersion]) -> None:
    stuck(versions[0], "BOOK", "DEPLOY_001", minutes=45)
    client = client_of("operator")
    assert client.post(CLEAR, {"older_than_minutes": 60}).json() == {"cleared": [], "older_than_minutes": 60}
    assert client.post(CLEAR, {"older_than_minutes": 40}).json()["cleared"] == ["DEPLOY_001"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"older_than_minutes": 0}, "min_value"),
        ({"older_than_minutes": 10_081}, "max_value"),
        ({"older_than_minutes": "30"}, "invalid"),
        ({"older_than": 30}, "unknown_field"),
    ],
)
def test_bad_age_is_refused(fields: dict, code: str) -> None:
    answer = client_of("operator").post(CLEAR, fields)
    assert (answer.status_code, errors_of(answer)[0][0]) == (400, code)


@pytest.mark.parametrize("role", ROLES)
def test_operators_and_admins_clear(role: str) -> None:
    assert client_of(role).post(CLEAR).status_code == (200 if role in ("operator", "admin") else 403)


@pytest.mark.parametrize("path", [ROLL_BACK, CLEAR])
def test_nothing_is_done_without_credentials(path: str) -> None:
    assert APIClient().post(path, {}).status_code == 401


@pytest.mark.parametrize("path", [ROLL_BACK, CLEAR])
def test_path_of_a_deed_is_not_read(path: str) -> None:
    assert client_of("admin").get(path).status_code == 405
