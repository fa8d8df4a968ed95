"""`GET /api/v1/snapshots/{id}` and `POST /api/v1/snapshots/{id}/replay`: contract section 5."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.portfolios import replays
from apps.portfolios.models import Snapshot
from apps.portfolios.replays import register_replay, run_replay
from apps.portfolios.snapshots import keep_snapshot, snapshot_id
from apps.portfolios.tests.factories import client_of, make_portfolio, make_prices
from apps.tasks.execution import execute, take
from apps.tasks.models import Task

pytestmark = pytest.mark.django_db

KIND = "tests.constant"
RESULT = {"var": 0.5, "warnings": []}


@pytest.fixture
def snapshot(monkeypatch: pytest.MonkeyPatch) -> Snapshot:
    monkeypatch.setattr(replays, "_computes", {**replays._computes})
    register_replay(KIND, lambda inputs, matrix: RESULT)
    return keep(KIND)


def keep(kind: str) -> Snapshot:
    portfolio = make_portfolio()
    inputs = {"portfolio_id": portfolio.id, "price_version": make_prices().price_version, "confidence": 0.99}
    keep_snapshot(kind, portfolio.id, inputs, RESULT)
    return Snapshot.objects.get(pk=snapshot_id(kind, inputs))


def url(snapshot: Snapshot) -> str:
    return f"/api/v1/snapshots/{snapshot.pk}"


def replay_url(snapshot: Snapshot) -> str:
    return f"{url(snapshot)}/replay"


def error_of(answer: Any) -> tuple[str, str | None]:
    error = answer.json()["errors"][0]
    return error["code"], error["attr"]


def run(answer: Any) -> Task:
    execute(take(answer.json()["task_id"], "w1"), run_replay)
    return Task.objects.get(pk=answer.json()["task_id"])


# --- reading


def test_snapshot_is_answered_with_its_exact_inputs_and_its_result(snapshot: Snapshot) -> None:
    answer = client_of("viewer").get(url(snapshot))
    assert answer.status_code == 200
    body = answer.json()
    assert body.pop("created_at").endswith("Z")
    assert body == {
        "snapshot_id": snapshot.pk,
        "kind": KIND,
        "portfolio_id": snapshot.portfolio_id,
        "inputs": snapshot.inputs,
        "result": RESULT,
    }


@pytest.mark.parametrize(
    ("role", "groups", "status"),
    [
        ("viewer", ["desk"], 200),
        ("trader", ["desk"], 200),
        ("risk_manager", [], 200),
        ("admin", [], 200),
        ("viewer", ["other"], 404),
        ("operator", ["desk"], 403),
        (None, ["desk"], 403),
    ],
)
def test_snapshot_is_read_by_viewers_of_its_portfolio(
    snapshot: Snapshot, role: str | None, groups: list[str], status: int
) -> None:
    assert client_of(role, groups).get(url(snapshot)).status_code == status


def test_path_with_a_trailing_slash_answers_the_same(snapshot: Snapshot) -> None:
    client = client_of("viewer")
    assert client.get(f"{url(snapshot)}/").json() == client.get(url(snapshot)).json()
    assert client_of("trader").post(f"{replay_url(snapshot)}/").status_code == 202


@pytest.mark.parametrize("name", ["0" * 64, "A" * 64, "SNAPSHOT_001", "%00", "..", "\u00e9"])
def test_id_that_is_none_is_not_found(name: str) -> None:
    answer = client_of("admin").get(f"/api/v1/snapshots/{name}")
    assert (answer.status_code, error_of(answer)[0]) == (404, "not_found")


def test_hidden_and_unknown_snapshots_are_told_in_the_same_words(snapshot: Snapshot) -> None:
    client, unknown = client_of("trader", ["other"]), "0" * 64
    for path in ("", "/replay"):
        ask = client.post if path else client.get
        hidden, none = ask(f"{url(snapshot)}{path}"), ask(f"/api/v1/snapshots/{unknown}{path}")
        assert (hidden.status_code, none.status_code) == (404, 404)
        assert hidden.content.decode().replace(snapshot.pk, unknown) == none.content.decode()


def test_unknown_query_parameter_is_refused_by_its_name(snapshot: Snapshot) -> None:
    answer = client_of("viewer").get(f"{url(snapshot)}?full=1")
    assert (answer.status_code, error_of(answer)) == (400, ("unknown_parameter", "full"))


@pytest.mark.parametrize("method", ["put", "patch", "delete", "post"])
def test_snapshot_cannot_be_changed(snapshot: Snapshot, method: str) -> None:
    assert getattr(client_of("admin", []), method)(url(snapshot), {"result": {}}).status_code == 405
    assert Snapshot.objects.get().result == RESULT


# --- replaying


def test_replay_is_accepted_as_a_task(snapshot: Snapshot) -> None:
    answer = client_of("trader").post(replay_url(snapshot))
    task = Task.objects.get()
    assert answer.status_code == 202
    assert answer.json() == {
        "task_id": str(task.pk),
        "status": "processing",
        "status_url": f"/api/v1/tasks/{task.pk}",
        "topic": f"tasks:{task.pk}",
    }
    assert answer["Location"] == f"/api/v1/tasks/{task.pk}"
    assert (task.kind, task.portfolio_id) == ("snapshots.replay", snapshot.portfolio_id)
    assert task.inputs == {"snapshot_id": snapshot.pk}


def test_task_answers_that_the_figure_is_reproduced(snapshot: Snapshot) -> None:
    client = client_of("trader")
    answer = client.post(replay_url(snapshot))
    run(answer)
    body = client.get(answer.json()["status_url"]).json()
    assert body["status"] == "succeeded"
    assert {"reproduced": True, "max_abs_difference": 0.0, "snapshot_id": snapshot.pk}.items() <= body["result"].items()


def test_figure_that_comes_out_otherwise_is_a_task_that_succeeds_and_says_so(snapshot: Snapshot) -> None:
    Snapshot.objects.update(result={**RESULT, "var": 0.75})
    task = run(client_of("trader").post(replay_url(snapshot)))
    assert (task.status, task.result["reproduced"], task.result["max_abs_difference"]) == ("succeeded", False, 0.25)
    assert task.result["differences"] == [{"path": "var", "stored": 0.75, "new": 0.5}]


def test_replay_is_announced_on_the_portfolios_topic(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, dict[str, Any]] = {}
    monkeypatch.setattr("apps.tasks.execution.publish_after_commit", told.__setitem__)
    task = run(client_of("trader").post(replay_url(snapshot)))
    assert told == {
        f"portfolio:updates:{snapshot.portfolio_id}": {
            "event": "snapshot.replayed",
            "portfolio_id": snapshot.portfolio_id,
            "task_id": str(task.pk),
            "snapshot_id": snapshot.pk,
            "kind": KIND,
            "reproduced": True,
            "max_abs_difference": 0.0,
        }
    }


@pytest.mark.parametrize(
    ("role", "groups", "status"),
    [
        ("trader", ["desk"], 202),
        ("admin", [], 202),
        ("viewer", ["desk"], 403),
        ("risk_manager", [], 403),
        ("operator", [], 403),
        ("strategist", ["desk"], 403),
        ("trader", ["other"], 404),
    ],
)
def test_only_traders_of_the_portfolio_may_replay(
    snapshot: Snapshot, role: str, groups: list[str], status: int
) -> None:
    assert client_of(role, groups).post(replay_url(snapshot)).status_code == status
    assert Task.objects.exists() is (status == 202)


@pytest.mark.parametrize("suffix", ["", "/replay"])
def test_nobody_is_let_in_without_credentials(snapshot: Snapshot, suffix: str) -> None:
    client = APIClient()
    assert (client.post if suffix else client.get)(f"{url(snapshot)}{suffix}").status_code == 401


def test_unknown_body_field_is_refused_by_its_name(snapshot: Snapshot) -> None:
    answer = client_of("trader").post(replay_url(snapshot), {"price_version": 1})
    assert (answer.status_code, error_of(answer)) == (400, ("unknown_field", "price_version"))
    assert not Task.objects.exists()


def test_empty_json_object_is_a_body_like_none(snapshot: Snapshot) -> None:
    assert client_of("trader").post(replay_url(snapshot), {}, format="json").status_code == 202


def test_same_idempotency_key_gives_the_same_task(snapshot: Snapshot) -> None:
    client, headers = client_of("trader"), {"Idempotency-Key": "k"}
    first, again = (client.post(replay_url(snapshot), headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code, first.json()) == (202, 202, again.json())
    assert Task.objects.count() == 1


def test_same_idempotency_key_for_another_snapshot_is_a_conflict(snapshot: Snapshot) -> None:
    client, headers, other = client_of("trader"), {"Idempotency-Key": "k"}, keep(KIND)
    assert client.post(replay_url(snapshot), headers=headers).status_code == 202
    answer = client.post(replay_url(other), headers=headers)
    assert (answer.status_code, error_of(answer)[0]) == (409, "idempotency_key_reused")


def test_two_requests_while_the_first_runs_share_one_computation(snapshot: Snapshot) -> None:
    first, second = (client_of("trader").post(replay_url(snapshot)).json()["task_id"] for _ in range(2))
    assert str(Task.objects.get(pk=second).coalesced_with_id) == first


def test_kind_that_cannot_be_computed_again_is_a_conflict(snapshot: Snapshot) -> None:
    answer = client_of("trader").post(replay_url(keep("tests.unheard_of")))
    assert (answer.status_code, error_of(answer)) == (409, ("not_replayable", None))
    assert KIND in answer.json()["errors"][0]["detail"]
    assert not Task.objects.exists()


def test_replay_that_has_ended_can_be_retried_by_a_trader_of_the_portfolio(snapshot: Snapshot) -> None:
    client = client_of("trader")
    task = run(client.post(replay_url(snapshot)))
    retried = client.post(f"/api/v1/tasks/{task.pk}/retry")
    assert (retried.status_code, run(retried).result) == (202, task.result)
