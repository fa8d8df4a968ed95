"""Versions that collide, over HTTP: the 409 that loses nothing, the merge request, and how it is ended."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.portfolios.tests.factories import client_of, make_client, make_user
from apps.strategies.models import MergeRequest, StrategyVersion
from apps.strategies.tests.api_factories import EQUAL_WEIGHT, URL, detail_of, errors_of, make_versions

pytestmark = pytest.mark.django_db

VERSIONS = f"{URL}/versions/STRATEGY_001"
REQUESTS = f"{VERSIONS}/merge-requests"
RESOLVE = f"{VERSIONS}/resolve"
# The head, version 2, has gross 0.5 instead of 1.0.
COLLIDING = {"parent_version": 1, "code": EQUAL_WEIGHT, "parameters": {"gross": 0.8}, "message": "mine"}


@pytest.fixture(autouse=True)
def two_versions() -> None:
    make_versions(count=2)


@pytest.fixture
def strategist() -> APIClient:
    return make_client(make_user("strategist", username="sophie"))


def collide(client: APIClient, gross: float = 0.8, **headers: Any) -> Any:
    answer = client.post(VERSIONS, {**COLLIDING, "parameters": {"gross": gross}}, **headers)
    assert answer.status_code == 409, answer.content
    return answer


def request_id(client: APIClient, gross: float = 0.8) -> int:
    return int(collide(client, gross).json()["merge_request_id"])


def test_conflict_has_the_shape_of_errors_and_says_where_the_merge_request_is(strategist: APIClient) -> None:
    answer = collide(strategist)
    body = answer.json()
    merge_request = MergeRequest.objects.get()
    assert (body["type"], errors_of(answer)) == ("client_error", [("merge_conflict", None)])
    assert body["merge_request_id"] == merge_request.pk
    assert f"merge request {merge_request.pk}" in detail_of(answer)
    assert answer.headers["Location"] == f"{REQUESTS}/{merge_request.pk}"
    assert strategist.get(answer.headers["Location"]).json()["status"] == "open"


def test_posted_version_is_kept_beside_the_main_line(strategist: APIClient) -> None:
    merge_request_id = request_id(strategist)
    kept = strategist.get(f"{VERSIONS}/3").json()
    assert (kept["canonical"], kept["is_head"], kept["parent_version"]) == (False, False, 1)
    assert (kept["parameters"], kept["merge_request_id"]) == ({"gross": 0.8}, merge_request_id)
    assert strategist.get(f"{URL}/strategies/STRATEGY_001").json()["open_merge_requests"] == 1


def test_conflict_with_an_idempotency_key_is_kept_and_answered_once(strategist: APIClient) -> None:
    answers = [collide(strategist, HTTP_IDEMPOTENCY_KEY="k") for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert MergeRequest.objects.get().pk == answers[0].json()["merge_request_id"]
    assert StrategyVersion.objects.count() == 3


def test_merge_request_shows_both_sides_and_what_collides(strategist: APIClient) -> None:
    body = strategist.get(f"{REQUESTS}/{request_id(strategist)}").json()
    assert (body["strategy_id"], body["status"], body["created_by"]) == ("STRATEGY_001", "open", "sophie")
    assert (body["base_version"], body["head_version"], body["branch_version"]) == (1, 2, 3)
    assert (body["resolution"], body["result_version"], body["resolved_at"], body["resolved_by"]) == (None,) * 4
    hunk = {"kind": "parameters", "path": ["gross"], "base": 1.0, "head": 0.5, "branch": 0.8}
    assert (body["collisions"], body["hunks"]) == (1, [hunk])


def test_merge_requests_are_listed_newest_first_and_by_status(strategist: APIClient) -> None:
    first, second = request_id(strategist, 0.8), request_id(strategist, 0.7)
    listed = strategist.get(REQUESTS).json()
    assert [(row["merge_request_id"], row["collisions"]) for row in listed["results"]] == [(second, 1), (first, 1)]
    assert all("hunks" not in row for row in listed["results"])
    strategist.post(RESOLVE, {"conflict_resolution": "latest", "merge_request_id": first})
    assert [row["merge_request_id"] for row in strategist.get(f"{REQUESTS}?status=open").json()["results"]] == [second]
    assert strategist.get(f"{REQUESTS}?status=resolved").json()["count"] == 1
    assert strategist.get(f"{REQUESTS}?status=closed").status_code == 400


def test_merge_request_of_another_strategy_is_not_found(strategist: APIClient) -> None:
    make_versions("STRATEGY_002")
    merge_request_id = request_id(strategist)
    for path in (f"{URL}/versions/STRATEGY_002/merge-requests/{merge_request_id}", f"{REQUESTS}/{10**30}"):
        answer = strategist.get(path)
        assert (answer.status_code, errors_of(answer)) == (404, [("not_found", None)])


def test_latest_holds_as_a_whole(strategist: APIClient) -> None:
    merge_request_id = request_id(strategist)
    answer = strategist.post(RESOLVE, {"conflict_resolution": "latest"})
    assert answer.status_code == 201
    body = answer.json()
    assert answer.headers["Location"] == f"{VERSIONS}/4"
    assert (body["version"], body["parent_version"], body["merged_from"]) == (4, 2, 3)
    assert (body["canonical"], body["parameters"]) == (True, {"gross": 0.8})
    ended = strategist.get(f"{REQUESTS}/{merge_request_id}").json()
    assert (ended["status"], ended["resolution"], ended["result_version"]) == ("resolved", "latest", 4)
    assert (ended["resolved_by"], ended["resolved_at"][-1]) == ("sophie", "Z")


def test_manual_is_what_was_sent_and_the_code_that_merged_cleanly(strategist: APIClient) -> None:
    request_id(strategist)
    asked = {"conflict_resolution": "manual", "parameters": {"gross": 0.65}, "message": "between"}
    body = strategist.post(RESOLVE, asked).json()
    assert (body["parameters"], body["code"], body["message"]) == ({"gross": 0.65}, EQUAL_WEIGHT, "between")


def test_manual_without_what_collides_is_refused(strategist: APIClient) -> None:
    request_id(strategist)
    answer = strategist.post(RESOLVE, {"conflict_resolution": "manual"})
    assert (answer.status_code, errors_of(answer)[0][0]) == (400, "resolution_incomplete")


@pytest.mark.parametrize("merge_request_id", [0, -1, 10**30])
def test_merge_request_that_is_not_there_is_named(strategist: APIClient, merge_request_id: int) -> None:
    request_id(strategist)
    answer = strategist.post(RESOLVE, {"conflict_resolution": "latest", "merge_request_id": merge_request_id})
    assert (answer.status_code, errors_of(answer)) == (409, [("no_open_merge_request", None)])
    assert f"no merge request {merge_request_id}" in detail_of(answer)


def test_nothing_to_resolve_or_too_much_is_said(strategist: APIClient) -> None:
    none = strategist.post(RESOLVE, {"conflict_resolution": "latest"})
    assert (none.status_code, errors_of(none)[0][0]) == (409, "no_open_merge_request")
    ids = [request_id(strategist, gross) for gross in (0.8, 0.7)]
    several = strategist.post(RESOLVE, {"conflict_resolution": "latest"})
    assert (several.status_code, errors_of(several)[0][0]) == (409, "several_merge_requests")
    assert all(str(number) in detail_of(several) for number in ids)


@pytest.mark.parametrize(
    ("fields", "code", "attr"),
    [
        ({}, "required", "conflict_resolution"),
        ({"conflict_resolution": "mine"}, "invalid_choice", "conflict_resolution"),
        ({"conflict_resolution": "latest", "parameters": {}}, "conflict_resolution_invalid", "conflict_resolution"),
        ({"conflict_resolution": "latest", "merge_request_id": "1"}, "invalid", "merge_request_id"),
        ({"conflict_resolution": "manual", "code": 1}, "invalid", "code"),
        ({"conflict_resolution": "manual", "parameters": [1]}, "not_a_dict", "parameters"),
        ({"conflict_resolution": "latest", "merge_request": 1}, "unknown_field", "merge_request"),
    ],
)
def test_bad_resolution_is_refused(strategist: APIClient, fields: dict, code: str, attr: str) -> None:
    request_id(strategist)
    answer = strategist.post(RESOLVE, fields)
    assert (answer.status_code, errors_of(answer)) == (400, [(code, attr)])
    assert MergeRequest.objects.get().status == "open"


@pytest.mark.parametrize("role", ["viewer", "trader", "risk_manager", "operator"])
def test_only_strategists_and_admins_resolve(strategist: APIClient, role: str) -> None:
    request_id(strategist)
    assert client_of(role).post(RESOLVE, {"conflict_resolution": "latest"}).status_code == 403
    assert MergeRequest.objects.get().status == "open"


def test_request_is_renewed_where_the_head_has_moved_though_the_answer_is_an_error(strategist: APIClient) -> None:
    request_id(strategist)
    newer = {**COLLIDING, "parent_version": 2, "parameters": {"gross": 0.3}}
    assert strategist.post(VERSIONS, newer).status_code == 201
    asked = {"conflict_resolution": "manual", "parameters": {"gross": 0.65}}
    answer = strategist.post(RESOLVE, asked, HTTP_IDEMPOTENCY_KEY="k")
    assert (answer.status_code, errors_of(answer)) == (409, [("head_moved", None)])
    (renewed,) = strategist.get(REQUESTS).json()["results"]
    assert (renewed["status"], renewed["head_version"]) == ("open", 4)
    assert strategist.post(RESOLVE, asked).json()["parameters"] == {"gross": 0.65}
