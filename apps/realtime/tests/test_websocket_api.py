"""`/websocket/*` as operators call it: real sockets where sockets matter, processes spoken for where numbers do."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest
from django.test import override_settings
from rest_framework.test import APIClient
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from apps.portfolios.tests.factories import client_of, make_user
from apps.realtime import broadcasts
from apps.realtime.tests.conftest import OwnValkey, Server
from apps.realtime.tests.said_processes import Say, report, said_processes
from nautilus.api.models import IdempotentAnswer
from nautilus.api.tickets import issue_ticket
from nautilus.connections import redis_client

ROOT = "/api/v1/sprint3/websocket"
Follow = Callable[..., ClientConnection]


@pytest.fixture
def operator(db: None) -> APIClient:
    client = client_of("operator")
    client.raise_request_exception = False  # a 503 is an answer
    return client


@pytest.fixture
def say() -> Iterator[Say]:
    with said_processes() as start:
        yield start


@pytest.fixture
def follow(server: Server) -> Iterator[Follow]:
    """A socket that follows the topics it is given."""
    user = make_user("viewer")
    with ExitStack() as open_sockets:

        def start(*topics: str) -> ClientConnection:
            socket = open_sockets.enter_context(connect(f"{server.url('/ws')}?ticket={issue_ticket(user)}", proxy=None))
            for topic in topics:
                socket.send(json.dumps({"type": "subscribe", "topic": topic}))
                assert hear(socket)["type"] == "subscribed"
            return socket

        yield start


@contextmanager
def redis_away() -> Iterator[None]:
    """Nothing listens on this port."""
    try:
        with override_settings(REDIS_URL="redis://127.0.0.1:1/0"):
            redis_client.cache_clear()
            yield
    finally:
        redis_client.cache_clear()


def hear(socket: ClientConnection) -> dict[str, Any]:
    return json.loads(socket.recv(timeout=10))


def close_code(socket: ClientConnection) -> int | None:
    with suppress(ConnectionClosed):
        while True:
            socket.recv(timeout=10)
    return socket.protocol.close_code


def broadcast(client: APIClient, topic: Any, message: Any, **headers: str) -> Any:
    return client.post(f"{ROOT}/broadcast", {"topic": topic, "message": message}, headers=headers)


def fault(answer: Any) -> dict[str, Any]:
    return answer.json()["errors"][0]


# --- Looking ------------------------------------------------------------------------------------------
def test_stats_count_the_sockets_that_are_open(operator: APIClient, follow: Follow, topic: str) -> None:
    sockets = [follow(topic), follow(topic)]
    stats = operator.get(f"{ROOT}/stats").json()
    (process,) = stats["processes"]
    assert (stats["active"], process["active"], stats["users"], stats["silent_processes"]) == (2, 2, 1, 0)
    assert (stats["accepted"], stats["rejected"], stats["max"]) == (len(sockets), 0, 2_000)


def test_subscriptions_show_topic_subscribers_and_last_seq(operator: APIClient, follow: Follow, topic: str) -> None:
    sockets = [follow(topic), follow(topic, f"{topic}*")]
    broadcast(operator, topic, "hello")
    assert {hear(socket)["seq"] for socket in sockets} == {1}
    assert operator.get(f"{ROOT}/subscriptions").json() == {
        "topics": [
            {"topic": topic, "subscribers": 2, "last_seq": 1},
            {"topic": f"{topic}*", "subscribers": 1, "last_seq": None},
        ],
        "total": 2,
        "silent_processes": 0,
    }


def test_subscriptions_are_chosen_by_the_beginning_of_the_topic(operator: APIClient, say: Say) -> None:
    say(report(topics={"risk:alerts:A": 1, "tasks:1": 9}))
    chosen = operator.get(f"{ROOT}/subscriptions?topic=risk:").json()
    assert [row["topic"] for row in chosen["topics"]] == ["risk:alerts:A"]


def test_performance_has_a_latency_once_a_message_was_written(operator: APIClient, follow: Follow, topic: str) -> None:
    socket = follow(topic)
    broadcast(operator, topic, "hello")
    hear(socket)
    performance = operator.get(f"{ROOT}/performance").json()
    assert performance["latency_ms"]["p50"] > 0
    assert performance["reasons"] == {"mean_batch": "No batch yet."}


@pytest.mark.parametrize("path", ["stats", "subscriptions", "performance"])
def test_parameter_that_does_not_exist_is_refused(operator: APIClient, path: str) -> None:
    answer = operator.get(f"{ROOT}/{path}?topics=x")
    assert (answer.status_code, fault(answer)["attr"]) == (400, "topics")


@pytest.mark.parametrize("path", ["stats", "subscriptions", "performance"])
def test_looking_while_redis_is_away_says_so(operator: APIClient, path: str) -> None:
    with redis_away():
        answer = operator.get(f"{ROOT}/{path}")
    assert (answer.status_code, fault(answer)["code"]) == (503, "service_unavailable")
    assert fault(answer)["detail"].startswith("Redis cannot be reached.")


# --- Broadcasting -------------------------------------------------------------------------------------
def test_broadcast_reaches_who_follows_the_word_or_a_pattern_of_it(
    operator: APIClient, follow: Follow, topic: str
) -> None:
    by_name, by_pattern, elsewhere = follow(topic), follow(f"{topic[:-1]}*"), follow("other")
    answer = broadcast(operator, topic, {"title": "Maintenance", "minutes": 10})
    assert answer.json() == {"topic": topic, "seq": 1, "receivers": 2, "silent_processes": 0}
    for socket in (by_name, by_pattern):
        assert hear(socket)["data"] == {"title": "Maintenance", "minutes": 10}
    broadcast(operator, "other", "for you")
    assert hear(elsewhere)["topic"] == "other"


def test_text_is_sent_as_an_object(operator: APIClient, follow: Follow, topic: str) -> None:
    socket = follow(topic)
    broadcast(operator, topic, "Maintenance at 18:00")
    assert hear(socket)["data"] == {"message": "Maintenance at 18:00"}


def test_receivers_are_those_of_all_processes(operator: APIClient, say: Say, topic: str) -> None:
    say(report("a:1", topics={topic: 3, f"{topic}-other": 50}))
    say(report("b:2", topics={topic: 2, f"{topic}*": 1, "tes*": 1, f"{topic}-*": 50, "tes:*": 50}))
    assert broadcast(operator, topic, {}).json()["receivers"] == 7


def test_broadcast_that_nobody_hears_is_kept_for_who_comes(operator: APIClient, topic: str) -> None:
    assert broadcast(operator, topic, {}).json()["seq"] == 1
    assert broadcast(operator, topic, {}).json() == {"topic": topic, "seq": 2, "receivers": 0, "silent_processes": 0}


@pytest.mark.parametrize(
    "topic",
    ["risk:alerts:PORTFOLIO_001", "risk:alerts:all", "tasks:1", "portfolio:updates:A", "analytics:updates:A"],
)
def test_topic_that_an_app_writes_on_is_refused(operator: APIClient, topic: str) -> None:
    answer = broadcast(operator, topic, {"event": "alert.raised"})
    assert (answer.status_code, fault(answer)["code"]) == (403, "topic_not_open")
    assert topic in fault(answer)["detail"]
    assert not redis_client().exists(f"topics:head:{topic}")


def test_health_is_not_said_by_hand(operator: APIClient) -> None:
    assert broadcast(operator, "system:health", {"status": "healthy"}).status_code == 403


def test_word_that_an_app_has_taken_is_refused(operator: APIClient, topic: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(broadcasts, "_taken", set())
    broadcasts.take_word(topic)
    assert broadcast(operator, topic, {"trading_state": "active"}).status_code == 403


@pytest.mark.parametrize(
    "topic", ["", "two words", "news*", "x" * 201, "nobody:owns:this", "/0.celeryev", 5, None, ["a"]]
)
def test_topic_that_nobody_could_follow_is_refused(operator: APIClient, topic: Any) -> None:
    answer = broadcast(operator, topic, {})
    assert (answer.status_code, fault(answer)["attr"]) == (400, "topic")


@pytest.mark.parametrize("message", [5, None, True, ["a"], [{}]])
def test_message_that_is_neither_object_nor_text_is_refused(operator: APIClient, topic: str, message: Any) -> None:
    answer = broadcast(operator, topic, message)
    assert (answer.status_code, fault(answer)["attr"]) == (400, "message")


def test_message_of_64_kib_is_sent_and_a_byte_more_is_refused(operator: APIClient, topic: str) -> None:
    room = 64 * 1024 - len('{"message":""}')
    assert broadcast(operator, topic, "x" * room).status_code == 200
    answer = broadcast(operator, topic, "x" * (room + 1))
    assert (answer.status_code, fault(answer)["attr"]) == (400, "message")
    assert "65,537 bytes" in fault(answer)["detail"]


def test_unknown_field_is_refused(operator: APIClient, topic: str) -> None:
    answer = operator.post(f"{ROOT}/broadcast", {"topic": topic, "message": {}, "mesage": {}})
    assert (answer.status_code, fault(answer)["attr"]) == (400, "mesage")


def test_broadcast_sent_again_with_its_key_goes_out_once(operator: APIClient, topic: str) -> None:
    first, again = (broadcast(operator, topic, {"n": 1}, **{"Idempotency-Key": topic}) for _ in range(2))
    assert first.json() == again.json()
    assert redis_client().hget(f"topics:head:{topic}", "seq") == "1"


def test_broadcast_whose_answer_was_lost_goes_out_once_under_its_key(operator: APIClient, topic: str) -> None:
    for _ in range(2):
        assert broadcast(operator, topic, {"n": 1}, **{"Idempotency-Key": topic}).json()["seq"] == 1
        IdempotentAnswer.objects.all().delete()  # as after a 503


def test_other_broadcast_under_the_key_of_one_that_failed_goes_out(operator: APIClient, topic: str) -> None:
    for n in (1, 2):
        assert broadcast(operator, topic, {"n": n}, **{"Idempotency-Key": topic}).json()["seq"] == n
        IdempotentAnswer.objects.all().delete()


def test_broadcast_goes_to_the_redis_that_it_is_given(topic: str, valkey: OwnValkey) -> None:
    assert broadcasts.broadcast(topic, {"n": 1}, user="operator", client=valkey.client)["seq"] == 1
    assert valkey.client.exists(f"topics:stream:{topic}")
    assert not redis_client().exists(f"topics:stream:{topic}")


def test_broadcast_that_the_topics_keys_do_not_take_is_no_success(operator: APIClient, topic: str) -> None:
    redis_client().set(f"topics:head:{topic}", "by another program")
    answer = broadcast(operator, topic, {})
    assert (answer.status_code, fault(answer)["code"]) == (503, "topic_refused")
    assert f"topics:head:{topic}" in fault(answer)["detail"]


def test_broadcast_while_redis_is_away_is_refused(operator: APIClient, topic: str) -> None:
    with redis_away():
        answer = broadcast(operator, topic, {})
    assert (answer.status_code, answer.json()["type"]) == (503, "server_error")


# --- Restarting ---------------------------------------------------------------------------------------
def test_restart_closes_every_socket_with_1012(operator: APIClient, follow: Follow, topic: str) -> None:
    sockets = [follow(topic), follow()]
    answer = operator.post(f"{ROOT}/restart")
    assert answer.json() == {"restarted": True, "processes": 1, "connections_closed": 2, "silent_processes": 0}
    assert [close_code(socket) for socket in sockets] == [1012, 1012]


def test_client_that_comes_back_after_a_restart_has_lost_nothing(
    operator: APIClient, follow: Follow, topic: str
) -> None:
    socket = follow(topic)
    broadcast(operator, topic, {"n": 1})
    epoch = hear(socket)["epoch"]
    operator.post(f"{ROOT}/restart")
    broadcast(operator, topic, {"n": 2})
    back = follow()
    back.send(json.dumps({"type": "subscribe", "topic": topic, "since": 1, "epoch": epoch}))
    assert hear(back)["recovered"] is True
    assert hear(back)["data"] == {"n": 2}


def test_restart_sent_again_with_its_key_is_done_once(operator: APIClient, say: Say, topic: str) -> None:
    process = say({"process": "a:1", "hub": "a", "connections_closed": 3})
    answers = [operator.post(f"{ROOT}/restart", headers={"Idempotency-Key": topic}) for _ in range(2)]
    assert [answer.json()["connections_closed"] for answer in answers] == [3, 3]
    assert process.commands == ["restart"]


def test_restart_without_a_process_says_what_to_start(operator: APIClient) -> None:
    answer = operator.post(f"{ROOT}/restart")
    assert (answer.status_code, fault(answer)["code"]) == (503, "no_socket_server")


@pytest.mark.parametrize("role", ["viewer", "trader", "risk_manager", "strategist"])
@pytest.mark.parametrize("path", ["stats", "subscriptions", "performance"])
def test_who_is_no_operator_sees_nothing(db: None, role: str, path: str) -> None:
    assert client_of(role).get(f"{ROOT}/{path}").status_code == 403


@pytest.mark.parametrize("role", ["viewer", "trader", "risk_manager", "strategist"])
@pytest.mark.parametrize("path", ["broadcast", "restart"])
def test_who_is_no_operator_does_nothing(db: None, role: str, path: str) -> None:
    assert client_of(role).post(f"{ROOT}/{path}", {}).status_code == 403
