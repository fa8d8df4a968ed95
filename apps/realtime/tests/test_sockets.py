"""The protocol over real sockets: uvicorn, the `websockets` client, the Valkey of REDIS_URL."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from django.contrib.auth.models import User
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from apps.realtime.consumers import MAX_BAD_FRAMES_IN_A_ROW
from apps.realtime.tests.conftest import Server
from apps.realtime.topics import publish
from nautilus.api.tickets import issue_ticket

Dial = Callable[..., ClientConnection]


@pytest.fixture
def dial(server: Server, user: User) -> Iterator[Dial]:
    """Connects to a path as `user`, with a ticket."""
    with ExitStack() as open_sockets:
        yield lambda path="/ws": open_sockets.enter_context(
            connect(f"{server.url(path)}?ticket={issue_ticket(user)}", proxy=None)
        )


def ask(socket: ClientConnection, **request: Any) -> dict[str, Any]:
    socket.send(json.dumps(request))
    return hear(socket)


def hear(socket: ClientConnection) -> dict[str, Any]:
    return json.loads(socket.recv(timeout=10))


def close_code(socket: ClientConnection) -> int | None:
    with suppress(ConnectionClosed):
        while True:
            socket.recv(timeout=10)
    return socket.protocol.close_code


def test_ping_is_answered_with_pong_and_the_time(dial: Dial) -> None:
    pong = ask(dial(), type="ping")
    assert pong["type"] == "pong"
    assert pong["timestamp"].endswith("Z")


def test_subscribe_list_message_unsubscribe(dial: Dial, topic: str) -> None:
    socket = dial()
    answer = ask(socket, type="subscribe", topic=topic, id=1)
    assert answer == {
        "type": "subscribed",
        "topic": topic,
        "seq": 0,
        "epoch": answer["epoch"],
        "recovered": True,
        "id": 1,
    }
    assert ask(socket, type="list", id="l") == {"type": "subscriptions", "topics": [topic], "id": "l"}
    publish(topic, {"hello": "world"})
    message = hear(socket)
    assert (message["type"], message["topic"], message["seq"]) == ("message", topic, 1)
    assert message["data"] == {"hello": "world"}
    assert message["epoch"] == answer["epoch"]
    assert ask(socket, type="unsubscribe", topic=topic) == {"type": "unsubscribed", "topic": topic}
    publish(topic, {"hello": "nobody"})
    assert ask(socket, type="list") == {"type": "subscriptions", "topics": []}


def test_client_that_comes_back_gets_what_it_missed(dial: Dial, topic: str) -> None:
    first = dial()
    epoch = ask(first, type="subscribe", topic=topic)["epoch"]
    publish(topic, {"n": 1})
    assert hear(first)["seq"] == 1
    first.close()
    publish(topic, {"n": 2})
    publish(topic, {"n": 3})
    back = dial()
    answer = ask(back, type="subscribe", topic=topic, since=1, epoch=epoch)
    assert (answer["recovered"], answer["seq"]) == (True, 3)
    publish(topic, {"n": 4})
    assert [hear(back)["data"]["n"] for _ in range(3)] == [2, 3, 4]


def test_fifty_sockets_get_every_message_once_and_in_order(dial: Dial, topic: str) -> None:
    sockets = [dial() for _ in range(50)]
    for socket in sockets:
        ask(socket, type="subscribe", topic=topic)
    publishers = [threading.Thread(target=lambda: [publish(topic, {}) for _ in range(50)]) for _ in range(4)]
    for publisher in publishers:
        publisher.start()
    for socket in sockets:
        assert [hear(socket)["seq"] for _ in range(200)] == list(range(1, 201))
    for publisher in publishers:
        publisher.join()


def test_subscribing_twice_and_leaving_what_one_is_not_in_are_errors(dial: Dial, topic: str) -> None:
    socket = dial()
    assert ask(socket, type="unsubscribe", topic=topic, id=1)["code"] == "not_subscribed"
    ask(socket, type="subscribe", topic=topic)
    assert ask(socket, type="subscribe", topic=topic, id=2)["code"] == "already_subscribed"


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b'{"type":"ping"}', "binary"),
        ("no json", "not_json"),
        ("x" * 65_537, "too_large"),
        ("x" * 1_048_576, "too_large"),
        ("[" * 65_000, "not_json"),
        ("[]", "not_an_object"),
        ('{"type":"shout","id":5}', "unknown_type"),
        ('{"type":"subscribe","topic":"a","filters":{"severity":{"like":"critical"}}}', "invalid_filter"),
        ('{"type":"subscribe","topic":"a","batch":1}', "invalid_field"),
        ('{"type":"subscribe","topic":"a","id":"\\ud83d"}', None),
    ],
)
def test_bad_frame_is_answered_and_the_connection_stays(dial: Dial, frame: Any, code: str | None) -> None:
    socket = dial()
    socket.send(frame)
    answer = hear(socket)
    assert answer.get("code") == code
    assert ask(socket, type="ping")["type"] == "pong"


def test_client_that_sends_nothing_but_nonsense_is_closed(dial: Dial) -> None:
    socket = dial()
    for _ in range(MAX_BAD_FRAMES_IN_A_ROW):
        socket.send("nonsense")
    assert close_code(socket) == 1008


def test_refused_topic_and_missing_topic_are_refused_with_the_same_words(
    dial: Dial, rule: Callable[[str, Any], None]
) -> None:
    rule("test:alerts", lambda user, name: name == "MINE")
    socket = dial()
    assert ask(socket, type="subscribe", topic="test:alerts:MINE")["type"] == "subscribed"
    refused = ask(socket, type="subscribe", topic="test:alerts:YOURS")
    missing = ask(socket, type="subscribe", topic="nobody:alerts:YOURS")
    pattern = ask(socket, type="subscribe", topic="test:alerts:*")
    assert refused["code"] == missing["code"] == pattern["code"] == "not_found"
    assert refused["detail"].replace("test", "nobody") == missing["detail"]
    assert ask(socket, type="list")["topics"] == ["test:alerts:MINE"]


def test_rule_that_fails_opens_nothing(dial: Dial, rule: Callable[[str, Any], None]) -> None:
    rule("test:broken", lambda user, name: 1 / 0)
    assert ask(dial(), type="subscribe", topic="test:broken:x")["code"] == "unavailable"


@pytest.mark.parametrize(
    ("path", "topic_"),
    [
        ("/ws/system/health", "system:health"),
        ("/ws/system/health/", "system:health"),
        ("/ws/analytics/P1", "analytics:updates:P1"),
        ("/ws/risk/P1", "risk:alerts:P1"),
        ("/ws/tasks/T1", "tasks:T1"),
    ],
)
def test_paths_subscribe_by_themselves(dial: Dial, rule: Callable[[str, Any], None], path: str, topic_: str) -> None:
    for prefix in ("analytics:updates", "risk:alerts", "tasks"):
        rule(prefix, lambda user, name: name in ("P1", "T1"))
    assert hear(dial(path))["topic"] == topic_


@pytest.mark.parametrize("path", ["/ws/analytics/P2", "/ws/risk/P2", "/ws/tasks/T2", "/ws/risk/*", "/ws/risk/a%20b"])
def test_path_of_a_topic_one_may_not_read_is_closed(dial: Dial, rule: Callable[[str, Any], None], path: str) -> None:
    for prefix in ("analytics:updates", "risk:alerts", "tasks"):
        rule(prefix, lambda user, name: name in ("P1", "T1"))
    assert close_code(dial(path)) == 4403


def test_client_that_comes_after_its_task_has_ended_still_gets_its_changes(
    dial: Dial, rule: Callable[[str, Any], None], topic: str
) -> None:
    rule("tasks", lambda user, name: True)
    publish(f"tasks:{topic}", {"status": "processing"})
    publish(f"tasks:{topic}", {"status": "succeeded"})
    socket = dial(f"/ws/tasks/{topic}")
    assert hear(socket)["type"] == "subscribed"
    assert [hear(socket)["data"]["status"] for _ in range(2)] == ["processing", "succeeded"]


def test_unknown_path_is_closed_with_a_code(dial: Dial) -> None:
    assert close_code(dial("/ws/nothing/here/at/all")) == 4404


def test_socket_that_broke_off_leaves_nothing_behind(dial: Dial, server: Server, topic: str) -> None:
    gone, stays = dial(), dial()
    for socket in (gone, stays):
        ask(socket, type="subscribe", topic=topic)
    gone.socket.close()
    publish(topic, {"n": 1})
    assert hear(stays)["data"] == {"n": 1}
