"""`/strategy/versions` over HTTP: posted, listed, read, compared, verified."""

from typing import Any
from urllib.parse import unquote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.portfolios.tests.factories import client_of, make_client, make_portfolio, make_user
from apps.strategies.models import Deployment, StrategyVersion
from apps.strategies.tests.api_factories import (
    EQUAL_WEIGHT,
    PARAMETERS,
    URL,
    detail_of,
    errors_of,
    make_deployment,
    make_versions,
)

pytestmark = pytest.mark.django_db

VERSIONS = f"{URL}/versions/STRATEGY_001"
FIRST = {"parent_version": None, "code": EQUAL_WEIGHT, "parameters": PARAMETERS, "message": "first"}
SECOND = {**FIRST, "parent_version": 1, "parameters": {"gross": 0.9}, "message": "less of it"}
CONTRACT_KEYS = {
    *("strategy_id", "version", "parent_version", "hash", "canonical", "merged_from"),
    *("message", "author", "created_at"),
}


@pytest.fixture
def strategist() -> APIClient:
    return make_client(make_user("strategist", username="sophie"))


def post(client: APIClient, **fields: Any) -> Any:
    return client.post(VERSIONS, {**SECOND, **fields})


def test_posted_version_has_the_keys_of_the_contract_and_is_read_at_its_location(strategist: APIClient) -> None:
    strategist.post(f"{URL}/strategies", {"name": "Equal weight"})
    answer = strategist.post(VERSIONS, FIRST)
    assert answer.status_code == 201
    body = answer.json()
    assert answer.headers["Location"] == f"{VERSIONS}/1"
    assert strategist.get(f"{VERSIONS}/1").json() == body
    assert body.keys() >= CONTRACT_KEYS
    assert len(body["hash"]) == 64
    assert (body["strategy_id"], body["version"], body["parent_version"]) == ("STRATEGY_001", 1, None)
    assert (body["canonical"], body["merged_from"], body["is_head"]) == (True, None, True)
    assert (body["message"], body["author"], body["code"]) == ("first", "sophie", EQUAL_WEIGHT)
    assert body["parameters"] == PARAMETERS
    assert body["created_at"].endswith("Z")


def test_list_is_newest_first_without_code(strategist: APIClient) -> None:
    make_versions(count=3)
    body = strategist.get(VERSIONS).json()
    assert (body["count"], body["next"], body["previous"]) == (3, None, None)
    assert [(row["version"], row["parent_version"], row["is_head"]) for row in body["results"]] == [
        (3, 2, True),
        (2, 1, False),
        (1, None, False),
    ]
    assert all(row.keys() >= CONTRACT_KEYS and "code" not in row for row in body["results"])


def test_list_is_filtered_ordered_and_paged(strategist: APIClient) -> None:
    make_versions(count=2)
    post(strategist, parent_version=2)
    assert strategist.get(f"{VERSIONS}?author=sophie").json()["count"] == 1
    assert strategist.get(f"{VERSIONS}?canonical=true").json()["count"] == 3
    assert strategist.get(f"{VERSIONS}?canonical=false").json()["count"] == 0
    page = strategist.get(f"{VERSIONS}?ordering=version&page_size=2").json()
    assert [row["version"] for row in page["results"]] == [1, 2]
    assert "page=2" in page["next"]


@pytest.mark.parametrize("query", ["canonical=yes", "autor=x", "ordering=code", "page=9", "page=x"])
def test_query_that_does_not_fit_is_refused(strategist: APIClient, query: str) -> None:
    make_versions()
    assert strategist.get(f"{VERSIONS}?{query}").status_code in (400, 404)


def test_list_takes_as_many_queries_for_ten_versions_as_for_one(strategist: APIClient) -> None:
    make_versions(count=1)
    make_versions("STRATEGY_002", count=10)
    strategist.get(VERSIONS)
    with CaptureQueriesContext(connection) as one:
        strategist.get(VERSIONS)
    with CaptureQueriesContext(connection) as ten:
        assert strategist.get(f"{URL}/versions/STRATEGY_002").json()["count"] == 10
    assert len(ten) == len(one)


def test_clean_merge_says_what_it_took_in(strategist: APIClient) -> None:
    make_versions(count=1)
    post(strategist, code="# a note\n" + EQUAL_WEIGHT, parameters=PARAMETERS)
    body = post(strategist, parameters={"gross": 1.0, "cap": 0.2}).json()
    assert (body["version"], body["parent_version"], body["merged_from"]) == (4, 2, 3)
    assert (body["canonical"], body["is_head"]) == (True, True)
    assert body["code"].startswith("# a note\n")
    assert body["parameters"] == {"gross": 1.0, "cap": 0.2}
    taken_in = strategist.get(f"{VERSIONS}/3").json()
    assert (taken_in["canonical"], taken_in["parent_version"], taken_in["merge_request_id"]) == (False, 1, None)


@pytest.mark.parametrize(
    ("fields", "status", "code", "attr"),
    [
        ({"parent_verson": 1}, 400, "unknown_field", "parent_verson"),
        ({"parent_version": 0}, 400, "min_value", "parent_version"),
        ({"parent_version": 2**31}, 400, "max_value", "parent_version"),
        ({"parent_version": "1"}, 400, "invalid", "parent_version"),
        ({"parent_version": 1.5}, 400, "invalid", "parent_version"),
        ({"parent_version": True}, 400, "invalid", "parent_version"),
        ({"code": 5}, 400, "invalid", "code"),
        ({"code": ""}, 400, "blank", "code"),
        ({"code": None}, 400, "null", "code"),
        ({"code": "x\x00"}, 400, "null_characters_not_allowed", "code"),
        ({"parameters": []}, 400, "not_a_dict", "parameters"),
        ({"parameters": "{}"}, 400, "not_a_dict", "parameters"),
        ({"message": "x" * 1_001}, 400, "max_length", "message"),
    ],
)
def test_bad_version_is_refused_with_its_field_and_nothing_is_kept(
    strategist: APIClient, fields: dict, status: int, code: str, attr: str
) -> None:
    make_versions()
    answer = post(strategist, **fields)
    assert answer.status_code == status, answer.content
    assert (code, attr) in errors_of(answer)
    assert StrategyVersion.objects.count() == 1


def test_faults_name_the_value_and_what_would_be_right(strategist: APIClient) -> None:
    make_versions()
    assert detail_of(post(strategist, code=5)) == "5 is not text; expected the source as a JSON string."
    assert "a list; expected a JSON object" in detail_of(post(strategist, parameters=[]))
    assert detail_of(post(strategist, parent_version=0)) == "0 is no version: they count from 1."


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"parent_version": None}, 409, "parent_version_needed"),
        ({"parent_version": 9}, 400, "unknown_parent_version"),
        ({"parameters": PARAMETERS}, 400, "nothing_changed"),
        ({"code": "x = 1\n" * 20_000}, 400, "code_invalid"),
        ({"parameters": {"text": "x" * 120_000}}, 400, "parameters_invalid"),
    ],
)
def test_version_that_does_not_follow_is_refused(strategist: APIClient, fields: dict, status: int, code: str) -> None:
    make_versions()
    answer = post(strategist, **fields)
    assert (answer.status_code, errors_of(answer)[0][0]) == (status, code)
    assert StrategyVersion.objects.count() == 1


def test_infinite_parameter_is_refused(strategist: APIClient) -> None:
    make_versions()
    body = '{"parent_version": 1, "code": "x", "parameters": {"gross": 1e999}, "message": ""}'
    answer = strategist.generic("POST", VERSIONS, body, content_type="application/json")
    assert (answer.status_code, errors_of(answer)[0][0]) == (400, "parameters_invalid")


def test_code_keeps_its_spaces(strategist: APIClient) -> None:
    make_versions()
    assert post(strategist, code=f"\n\n{EQUAL_WEIGHT}    \n").json()["code"] == f"\n\n{EQUAL_WEIGHT}    \n"


UNKNOWN = ["STRATEGY_999", "a b", "x%00", "%F0%9F%98%80"]


@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.parametrize("path", ["", "/1", "/1/diff/1", "/merge-requests", "/merge-requests/1"])
def test_unknown_strategy_is_not_found_anywhere(strategist: APIClient, path: str, name: str) -> None:
    answer = strategist.get(f"{URL}/versions/{name}{path}")
    assert (answer.status_code, errors_of(answer)) == (404, [("not_found", None)])
    assert detail_of(answer).startswith(f"There is no strategy '{unquote(name)}'.")


@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.parametrize("path", ["", "/resolve", "/rebuild-history"])
def test_nothing_is_posted_to_an_unknown_strategy(strategist: APIClient, path: str, name: str) -> None:
    body = {"": FIRST, "/resolve": {"conflict_resolution": "latest"}}.get(path, {})
    answer = strategist.post(f"{URL}/versions/{name}{path}", body)
    assert (answer.status_code, errors_of(answer)) == (404, [("not_found", None)])
    assert detail_of(answer).startswith(f"There is no strategy '{unquote(name)}'.")


@pytest.mark.parametrize("version", [0, 2, 10**30])
def test_unknown_version_is_not_found(strategist: APIClient, version: int) -> None:
    make_versions()
    for path in (f"/{version}", f"/1/diff/{version}", f"/{version}/diff/1"):
        answer = strategist.get(VERSIONS + path)
        assert answer.status_code == 404
        assert f"STRATEGY_001 has no version {version}" in detail_of(answer)


def test_diff_says_what_has_to_change(strategist: APIClient) -> None:
    make_versions(count=1)
    post(strategist, code="import math\n" + EQUAL_WEIGHT, parameters={"gross": 0.5, "cap": 0.2})
    forth, back = (strategist.get(f"{VERSIONS}/{path}").json() for path in ("1/diff/2", "2/diff/1"))
    assert (forth["strategy_id"], forth["from"], forth["to"]) == ("STRATEGY_001", 1, 2)
    assert "\n+import math" in forth["code"]
    assert "\n-import math" in back["code"]
    changed = {"gross": {"from": 1.0, "to": 0.5}}
    assert forth["parameters"] == {"added": {"cap": 0.2}, "removed": {}, "changed": changed}
    assert back["parameters"]["removed"] == {"cap": 0.2}


def test_rebuild_of_a_sound_history_finds_nothing(strategist: APIClient) -> None:
    make_versions(count=3)
    answer = strategist.post(f"{VERSIONS}/rebuild-history")
    assert answer.status_code == 200
    assert answer.json() == {
        "strategy_id": "STRATEGY_001",
        "versions": 3,
        "valid": True,
        "renumbered": [],
        "canonical_mended": [],
        "problems": [],
    }


def test_rebuild_closes_a_gap_in_the_numbers(strategist: APIClient) -> None:
    last = make_versions(count=3)[-1]
    StrategyVersion.objects.filter(pk=last.pk).update(version=9)
    body = strategist.post(f"{VERSIONS}/rebuild-history").json()
    assert body["renumbered"] == [{"from": 9, "to": 3, "hash": last.hash}]
    assert strategist.get(f"{VERSIONS}/3").json()["hash"] == last.hash


def test_rebuild_names_no_deployment_on_a_hidden_portfolio(strategist: APIClient) -> None:
    (version,) = make_versions()
    make_deployment(version, make_portfolio("HIDDEN", groups=["another desk"]), "SECRET_DEAL")
    Deployment.objects.update(version_hash="0" * 64)
    answer = strategist.post(f"{VERSIONS}/rebuild-history")
    assert [problem["code"] for problem in answer.json()["problems"]] == ["deployment_hash"]
    assert b"SECRET_DEAL" not in answer.content


def test_rebuild_takes_no_fields(strategist: APIClient) -> None:
    make_versions()
    assert errors_of(strategist.post(f"{VERSIONS}/rebuild-history", {"force": True})) == [("unknown_field", "force")]


ROLES = ["viewer", "trader", "risk_manager", "operator", "strategist", "admin"]


@pytest.mark.parametrize("role", ROLES)
def test_who_posts_versions(role: str) -> None:
    make_versions()
    assert post(client_of(role)).status_code == (201 if role in ("strategist", "admin") else 403)


@pytest.mark.parametrize("role", ROLES)
def test_who_rebuilds_histories(role: str) -> None:
    make_versions()
    allowed = ("strategist", "operator", "admin")
    answer = client_of(role).post(f"{VERSIONS}/rebuild-history")
    assert answer.status_code == (200 if role in allowed else 403)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("path", ["", "/1", "/1/diff/1", "/merge-requests"])
def test_who_reads_versions(role: str, path: str) -> None:
    make_versions()
    assert client_of(role).get(VERSIONS + path).status_code == (403 if role == "operator" else 200)
    assert APIClient().get(VERSIONS + path).status_code == 401


def test_repeated_request_makes_one_version(strategist: APIClient) -> None:
    make_versions()
    answers = [strategist.post(VERSIONS, SECOND, HTTP_IDEMPOTENCY_KEY="k") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["Idempotency-Replayed"] == "true"
    assert StrategyVersion.objects.count() == 2
