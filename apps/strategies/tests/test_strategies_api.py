"""`/strategy/strategies` over HTTP: shapes, roles, filters, repeats."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.portfolios.tests.factories import client_of, make_client, make_user
from apps.strategies.models import Strategy
from apps.strategies.tests.api_factories import URL, detail_of, errors_of, make_versions

pytestmark = pytest.mark.django_db

STRATEGIES = f"{URL}/strategies"


@pytest.fixture
def strategist() -> APIClient:
    return make_client(make_user("strategist", username="sophie"))


def test_strategy_gets_the_next_id_and_is_answered_as_it_is_read(strategist: APIClient) -> None:
    make_versions("STRATEGY_001")
    answer = strategist.post(STRATEGIES, {"name": "Momentum", "description": "What rose goes on."})
    assert answer.status_code == 201
    body = answer.json()
    assert answer.headers["Location"] == f"{STRATEGIES}/STRATEGY_002"
    assert strategist.get(answer.headers["Location"]).json() == body
    assert body.pop("created_at").endswith("Z")
    assert body == {
        "id": "STRATEGY_002",
        "name": "Momentum",
        "description": "What rose goes on.",
        "head_version": None,
        "versions": 0,
        "open_merge_requests": 0,
        "created_by": "sophie",
    }


def test_id_can_be_chosen_once(strategist: APIClient) -> None:
    assert strategist.post(STRATEGIES, {"name": "A", "id": "MINE"}).json()["id"] == "MINE"
    answer = strategist.post(STRATEGIES, {"name": "B", "id": "MINE"})
    assert (answer.status_code, errors_of(answer)[0][0]) == (409, "strategy_exists")
    assert "MINE" in detail_of(answer)
    assert Strategy.objects.get(pk="MINE").name == "A"


@pytest.mark.parametrize(
    ("fields", "code", "attr"),
    [
        ({}, "required", "name"),
        ({"name": ""}, "blank", "name"),
        ({"name": "x" * 201}, "max_length", "name"),
        ({"name": "A", "id": "a b"}, "invalid", "id"),
        ({"name": "A", "id": "x\x00"}, "null_characters_not_allowed", "id"),
        ({"name": "A", "descripton": "B"}, "unknown_field", "descripton"),
        ({"name": "A", "id": "STRATEGY_999999999"}, "strategy_id_invalid", "id"),
    ],
)
def test_bad_strategy_is_refused_and_nothing_is_made(strategist: APIClient, fields: dict, code: str, attr: str) -> None:
    answer = strategist.post(STRATEGIES, fields)
    assert answer.status_code == 400
    assert (code, attr) in errors_of(answer)
    assert not Strategy.objects.exists()


@pytest.mark.parametrize(
    ("role", "status"),
    [("viewer", 403), ("trader", 403), ("risk_manager", 403), ("operator", 403), ("strategist", 201), ("admin", 201)],
)
def test_strategists_and_admins_begin_strategies(role: str, status: int) -> None:
    assert client_of(role).post(STRATEGIES, {"name": "A"}).status_code == status
    assert Strategy.objects.exists() == (status == 201)


@pytest.mark.parametrize("role", ["viewer", "trader", "risk_manager", "strategist", "admin"])
def test_whoever_reads_books_reads_strategies(role: str) -> None:
    make_versions()
    client = client_of(role, groups=[])
    assert client.get(STRATEGIES).json()["count"] == 1
    assert client.get(f"{STRATEGIES}/STRATEGY_001").json()["head_version"] == 1


def test_operator_and_strangers_read_no_strategy() -> None:
    make_versions()
    for path in (STRATEGIES, f"{STRATEGIES}/STRATEGY_001"):
        assert client_of("operator").get(path).status_code == 403
        assert APIClient().get(path).status_code == 401


def test_list_counts_versions_and_is_filtered_ordered_and_paged(strategist: APIClient) -> None:
    make_versions("STRATEGY_001", count=3)
    strategist.post(STRATEGIES, {"name": "Momentum"})
    listed = strategist.get(STRATEGIES).json()
    assert [(row["id"], row["versions"], row["head_version"]) for row in listed["results"]] == [
        ("STRATEGY_001", 3, 3),
        ("STRATEGY_002", 0, None),
    ]
    assert [row["id"] for row in strategist.get(f"{STRATEGIES}?name=moment").json()["results"]] == ["STRATEGY_002"]
    assert strategist.get(f"{STRATEGIES}?created_by=sophie").json()["count"] == 1
    second = strategist.get(f"{STRATEGIES}?ordering=-id&page_size=1&page=2").json()
    assert (second["count"], second["results"][0]["id"], second["next"]) == (2, "STRATEGY_001", None)
    assert "page_size=1" in second["previous"]


@pytest.mark.parametrize("query", ["nmae=x", "name=%00", "ordering=description", "page=9"])
def test_query_that_does_not_fit_is_refused(strategist: APIClient, query: str) -> None:
    assert strategist.get(f"{STRATEGIES}?{query}").status_code in (400, 404)


@pytest.mark.parametrize("strategy_id", ["STRATEGY_999", "a b", "x%00"])
def test_strategy_that_is_not_there_is_named_in_the_404(strategist: APIClient, strategy_id: str) -> None:
    answer = strategist.get(f"{STRATEGIES}/{strategy_id}")
    assert (answer.status_code, errors_of(answer)) == (404, [("not_found", None)])
    assert strategy_id.replace("%00", "\x00") in detail_of(answer)


def test_repeated_request_makes_one_strategy(strategist: APIClient) -> None:
    answers = [strategist.post(STRATEGIES, {"name": "A"}, HTTP_IDEMPOTENCY_KEY="k").json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert Strategy.objects.count() == 1
    other = strategist.post(STRATEGIES, {"name": "B"}, HTTP_IDEMPOTENCY_KEY="k")
    assert (other.status_code, errors_of(other)[0][0]) == (409, "idempotency_key_reused")


def test_list_takes_as_many_queries_for_ten_strategies_as_for_one(strategist: APIClient) -> None:
    make_versions("STRATEGY_001", count=2)
    strategist.get(STRATEGIES)
    with CaptureQueriesContext(connection) as one:
        strategist.get(STRATEGIES)
    for number in range(2, 11):
        make_versions(f"STRATEGY_{number:03d}", count=2)
    with CaptureQueriesContext(connection) as ten:
        assert strategist.get(STRATEGIES).json()["count"] == 10
    assert len(ten) == len(one)
