"""Contract section 1, where it holds for every endpoint alike."""

import json
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from apps.portfolios.models import Trade
from apps.portfolios.tests.factories import client_of, make_portfolio, make_prices, make_trade
from apps.tasks.models import Task
from nautilus.connections import redis_client

pytestmark = pytest.mark.django_db

ANALYZE = "/api/v1/sprint3/analytics/risk/analyze"


@pytest.fixture(autouse=True)
def book() -> None:
    redis_client().flushdb()
    make_prices()
    make_trade(make_portfolio("P1", initial_cash=1_000_000))


@pytest.fixture
def trader() -> APIClient:
    return client_of("trader")


def error_of(answer) -> dict:
    body = answer.json()
    assert set(body) == {"type", "errors"}
    assert set(body["errors"][0]) == {"code", "detail", "attr"}
    return body["errors"][0]


@pytest.mark.parametrize(
    ("fields", "attr", "says"),
    [
        ({"confidense": 0.99}, "confidense", "did you mean 'confidence'"),
        ({"confidence": 1}, "confidence", "1.0 is not between 0.5 and 1"),
        ({"confidence": 0.5}, "confidence", "0.5 is not between"),
        ({"confidence": "0.99"}, "confidence", "'0.99' is not a number"),
        ({"confidence": True}, "confidence", "True is not a number"),
        ({"confidence": 10**400}, "confidence", "is not a number"),
        ({"window_days": 10**400}, "window_days", "25000"),
        ({"confidence": None}, "confidence", "may not be null"),
        ({"window_days": 1}, "window_days", "2"),
        ({"window_days": 500.5}, "window_days", "500.5 is not a whole number"),
        ({"horizon_days": 251}, "horizon_days", "250"),
        ({"horizon_days": 10, "window_days": 10, "horizon_method": "overlapping"}, "horizon_days", "do not fit"),
        ({"method": "magic"}, "method", "magic"),
        ({"as_of": "2022-13-01"}, "as_of", "YYYY"),
        ({"as_of": "2999-01-01"}, "as_of", "in the future"),
    ],
)
def test_bad_request_for_risk_is_refused_with_the_field_and_the_value(trader, fields, attr, says):
    answer = trader.post(ANALYZE, {"portfolio_id": "P1", **fields})
    assert answer.status_code == 400
    error = error_of(answer)
    assert error["attr"] == attr
    assert says in error["detail"]
    assert not Task.objects.exists()


@pytest.mark.parametrize(
    "text", ['{"portfolio_id": "P1", "confidence": NaN}', '{"confidence": Infinity}', "{", "[1]", '"x"', ""]
)
def test_body_that_is_no_json_object_is_refused(trader, text):
    answer = trader.generic("POST", ANALYZE, text, content_type="application/json")
    assert answer.status_code == 400
    error_of(answer)
    assert not Task.objects.exists()


def test_other_content_type_is_refused_with_415(trader):
    assert trader.generic("POST", ANALYZE, "a=1", content_type="text/plain").status_code == 415


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"\\ud800": 1}', '{"portfolio_id": "P1", "method": "\\ud800"}', '{"portfolio_id": "a\\u0000"}'],
)
def test_body_that_is_made_to_hurt_is_refused_clearly(trader, text):
    answer = trader.generic("POST", ANALYZE, text, content_type="application/json")
    assert answer.status_code in (400, 404)
    error_of(answer)


def test_body_beyond_the_limit_is_refused_before_it_is_parsed(trader):
    answer = trader.generic("POST", ANALYZE, "[" + "[]," * 2_000_000 + "[]]", content_type="application/json")
    assert (answer.status_code, error_of(answer)["code"]) == (413, "body_too_large")


def test_token_that_is_no_text_is_refused_as_invalid():
    assert APIClient().get("/api/v1/portfolios", HTTP_AUTHORIZATION="Bearer \xff\xfe").status_code == 401


def test_operator_reads_no_book_through_its_tasks(trader):
    task_id = trader.post(ANALYZE, {"portfolio_id": "P1"}).json()["task_id"]
    assert client_of("operator").get(f"/api/v1/tasks/{task_id}").status_code == 404


def test_unknown_path_answers_in_the_same_shape(trader):
    answer = trader.get("/api/v1/portfolioz")
    assert answer.status_code == 404
    assert "/api/v1/portfolioz" in error_of(answer)["detail"]


def test_wrong_method_answers_in_the_same_shape(trader):
    answer = trader.put("/api/v1/tasks")
    assert (answer.status_code, error_of(answer)["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    "query", ["statuss=failed", "order=kind", "ordering=secret", "ordering=--kind", "status=done", "page=99"]
)
def test_query_parameter_that_does_not_fit_is_refused(trader, query):
    answer = trader.get(f"/api/v1/tasks?{query}")
    assert answer.status_code in (400, 404)
    error_of(answer)


def test_page_is_at_most_500_long(trader):
    make = [Task(kind="k", coalesce_key=str(n), created_by_id=user_id(trader)) for n in range(501)]
    Task.objects.bulk_create(make)
    body = trader.get("/api/v1/tasks?page_size=9999").json()
    assert (body["count"], len(body["results"])) == (501, 500)
    assert body["next"]
    assert body["previous"] is None


def user_id(client: APIClient) -> int:
    from knox.models import AuthToken

    return AuthToken.objects.latest("created").user_id


def test_same_key_and_body_give_the_same_answer(trader):
    key = str(uuid4())
    answers = [trader.post(ANALYZE, {"portfolio_id": "P1"}, HTTP_IDEMPOTENCY_KEY=key) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["task_id"] for answer in answers}) == 1
    assert Task.objects.count() == 1


def test_same_key_with_another_body_is_refused(trader):
    key = str(uuid4())
    trader.post(ANALYZE, {"portfolio_id": "P1"}, HTTP_IDEMPOTENCY_KEY=key)
    answer = trader.post(ANALYZE, {"portfolio_id": "P1", "confidence": 0.95}, HTTP_IDEMPOTENCY_KEY=key)
    assert (answer.status_code, error_of(answer)["code"]) == (409, "idempotency_key_reused")


def test_key_of_another_user_is_another_key(trader):
    key = str(uuid4())
    mine = trader.post(ANALYZE, {"portfolio_id": "P1"}, HTTP_IDEMPOTENCY_KEY=key)
    theirs = client_of("trader").post(ANALYZE, {"portfolio_id": "P1"}, HTTP_IDEMPOTENCY_KEY=key)
    assert mine.json()["task_id"] != theirs.json()["task_id"]


def test_refused_request_does_not_use_up_its_key(trader):
    key = str(uuid4())
    assert trader.post(ANALYZE, {"portfolio_id": "P9"}, HTTP_IDEMPOTENCY_KEY=key).status_code == 404
    assert trader.post(ANALYZE, {"portfolio_id": "P1"}, HTTP_IDEMPOTENCY_KEY=key).status_code == 202


def test_repeated_trade_is_booked_once(trader):
    trade = {"symbol": "AAA", "quantity": 5, "price": 11, "traded_at": "2022-01-04T21:00:00Z"}
    for _ in range(2):
        answer = trader.post("/api/v1/portfolios/P1/trades", trade, HTTP_IDEMPOTENCY_KEY="k-1")
        assert answer.status_code == 201
    assert Trade.objects.filter(quantity=5).count() == 1


def test_token_is_stored_as_a_hash_and_ends_with_its_revocation():
    from knox.models import AuthToken

    from apps.portfolios.tests.factories import make_user

    user = make_user("viewer", password="correct horse battery")
    answer = APIClient().post(
        "/api/v1/auth/token", {"username": user.username, "password": "correct horse battery"}, HTTP_IDEMPOTENCY_KEY="k"
    )
    token = answer.json()["token"]
    assert token not in json.dumps(list(AuthToken.objects.values("digest", "token_key")))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    assert client.get("/api/v1/portfolios").status_code == 200
    assert client.delete("/api/v1/auth/token").status_code == 204
    assert client.get("/api/v1/portfolios").status_code == 401


def test_expired_token_is_refused():
    from datetime import timedelta

    from knox.models import AuthToken

    from apps.portfolios.tests.factories import make_user

    _, token = AuthToken.objects.create(make_user("viewer"), expiry=timedelta(seconds=-1))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    assert client.get("/api/v1/portfolios").status_code == 401


def test_other_credential_schemes_are_refused_with_what_is_expected():
    answer = APIClient().get("/api/v1/portfolios", HTTP_AUTHORIZATION="Basic YTpi")
    assert answer.status_code == 401
    assert "Bearer <token>" in error_of(answer)["detail"]


LOCAL = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost:8001"}


def test_local_operator_rule_is_off_unless_make_run_switched_it_on(settings):
    settings.LOCAL_OPERATOR = False
    assert APIClient().get("/api/v1/portfolios", **LOCAL).status_code == 401


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, 200),
        ({"HTTP_HOST": "127.0.0.1:8001"}, 200),
        ({"HTTP_ORIGIN": "https://evil.example"}, 401),
        ({"HTTP_ORIGIN": "http://localhost:8001"}, 401),
        ({"HTTP_SEC_FETCH_SITE": "cross-site"}, 401),
        ({"HTTP_X_FORWARDED_FOR": "10.0.0.9"}, 401),
        ({"HTTP_HOST": "nautilus.example"}, 401),
        ({"REMOTE_ADDR": "10.0.0.9"}, 401),
        ({"HTTP_AUTHORIZATION": "Bearer wrong"}, 401),
    ],
)
def test_local_operator_is_a_plain_client_on_this_machine(settings, changed, status):
    from apps.portfolios.tests.factories import make_group

    make_group("admin")
    settings.LOCAL_OPERATOR = True
    settings.ALLOWED_HOSTS = ["*"]
    assert APIClient().get("/api/v1/portfolios", **{**LOCAL, **changed}).status_code == status


def test_tasks_of_others_look_as_if_they_were_not_there(trader):
    task_id = trader.post(ANALYZE, {"portfolio_id": "P1"}).json()["task_id"]
    other = client_of("trader")
    for answer in (other.get(f"/api/v1/tasks/{task_id}"), other.delete(f"/api/v1/tasks/{task_id}")):
        assert answer.status_code == 404
    assert other.get("/api/v1/tasks").json()["count"] == 0
    assert client_of("risk_manager").get(f"/api/v1/tasks/{task_id}").status_code == 200


def test_retry_asks_again_whether_the_user_may(trader):
    task_id = trader.post(ANALYZE, {"portfolio_id": "P1"}).json()["task_id"]
    trader.delete(f"/api/v1/tasks/{task_id}")
    assert client_of("risk_manager").post(f"/api/v1/tasks/{task_id}/retry").status_code == 403
    assert trader.post(f"/api/v1/tasks/{task_id}/retry").status_code == 202


def test_openapi_is_version_3_1_and_names_every_path_that_is_built():
    schema = APIClient().get("/api/schema", HTTP_ACCEPT="application/vnd.oai.openapi+json").json()
    assert schema["openapi"].startswith("3.1")
    assert {"/api/v1/tasks/{task_id}", "/api/v1/portfolios", ANALYZE} <= set(schema["paths"])
