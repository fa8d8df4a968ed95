"""What a process allows its sockets, and what operators can ask of them: over real sockets."""

import json
import socket as tcp
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.contrib.auth.models import User
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection, connect

from apps.realtime.control import ask_hubs
from apps.realtime.tests.conftest import Server
from apps.realtime.tests.test_sockets import ask, close_code, hear
from apps.realtime.topics import publish
from nautilus import websocket_protocol
from nautilus.api.tickets import issue_ticket

Dial = Callable[..., ClientConnection]


@pytest.fixture
def dial(server: Server, user: User) -> Iterator[Dial]:
    with ExitStack() as open_sockets:
        yield lambda path="/ws": open_sockets.enter_context(
            connect(f"{server.url(path)}?ticket={issue_ticket(user)}", proxy=None)
        )


def report_of(server: Server) -> dict[str, Any]:
    """What the hub of this test says: the only one that listens to this Redis now."""
    [report] = ask_hubs("report", timeout_seconds=5)
    return report


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_filter_lets_only_what_matches_through_and_pong_says_where_the_client_stands(dial: Dial, topic: str) -> None:
    socket = dial()
    ask(socket, type="subscribe", topic=topic, filters={"var": {"gt": 1000}, "severity": {"in": ["critical"]}})
    for var, severity in ((1, "critical"), (2000, "critical"), (3000, "info"), (4, "info")):
        publish(topic, {"var": var, "severity": severity})
    assert hear(socket)["data"]["var"] == 2000
    until(lambda: ask(socket, type="ping")["positions"] == {topic: 4})


def test_filter_holds_for_what_was_missed_too(dial: Dial, topic: str) -> None:
    for number in range(10):
        publish(topic, {"n": number})
    socket = dial()
    assert ask(socket, type="subscribe", topic=topic, since=0, filters={"n": {"gte": 8}})["recovered"] is True
    assert [hear(socket)["seq"] for _ in range(2)] == [9, 10]


def test_pattern_with_a_filter(dial: Dial, topic: str) -> None:
    socket = dial()
    ask(socket, type="subscribe", topic=f"{topic}*", filters={"n": 2})
    for number in range(4):
        publish(f"{topic}-{number}", {"n": number})
    assert hear(socket)["topic"] == f"{topic}-2"


def test_batch_brings_many_messages_in_one_frame_and_answers_do_not_overtake_it(dial: Dial, topic: str) -> None:
    socket = dial()
    ask(socket, type="subscribe", topic=topic, batch=True)
    for number in range(250):
        publish(topic, {"n": number})
    batches = [hear(socket), hear(socket)]
    assert [len(batch["messages"]) for batch in batches] == [100, 100]
    socket.send(json.dumps({"type": "unsubscribe", "topic": topic}))
    frames = [*batches, hear(socket)]
    assert [message["seq"] for frame in frames for message in frame["messages"]] == list(range(1, 251))
    assert hear(socket)["type"] == "unsubscribed"


def test_one_socket_too_many_is_told_to_try_again(dial: Dial, settings: Any) -> None:
    settings.WEBSOCKET_MAX_CONNECTIONS = 2
    first, _ = dial(), dial()
    refused = dial()
    assert close_code(refused) == 1013
    assert "has its 2 sockets" in (refused.protocol.close_reason or "")
    first.close()
    until(lambda: ask_and_close(dial) == "pong")


def ask_and_close(dial: Dial) -> str:
    socket = dial()
    try:
        return str(ask(socket, type="ping")["type"])
    except Exception:
        return "refused"
    finally:
        socket.close()


def test_one_subscription_too_many_is_refused_and_the_socket_stays(dial: Dial, topic: str, settings: Any) -> None:
    settings.WEBSOCKET_MAX_SUBSCRIPTIONS = 3
    socket = dial()
    answers = [ask(socket, type="subscribe", topic=f"{topic}-{number}") for number in range(4)]
    assert [answer.get("code") for answer in answers] == [None, None, None, "too_many_subscriptions"]
    ask(socket, type="unsubscribe", topic=f"{topic}-0")
    assert ask(socket, type="subscribe", topic=f"{topic}-3")["type"] == "subscribed"


def test_client_that_asks_too_often_is_told_and_then_closed(dial: Dial, settings: Any) -> None:
    settings.WEBSOCKET_FRAMES_PER_SECOND, settings.WEBSOCKET_FRAMES_BURST = 0.001, 5
    socket = dial()
    assert [ask(socket, type="ping").get("code") for _ in range(6)] == [None] * 5 + ["rate_limited"]
    for _ in range(49):
        socket.send('{"type":"ping"}')
    assert close_code(socket) == 1008


def test_report_counts_what_this_process_does(dial: Dial, server: Server, topic: str, user: User) -> None:
    one, two = dial(), dial()
    ask(one, type="subscribe", topic=topic)
    ask(two, type="subscribe", topic=topic)
    ask(two, type="subscribe", topic=f"{topic}*")
    publish(topic, {"n": 1})
    hear(one), hear(two)
    report = report_of(server)
    assert (report["active"], report["accepted"]) == (2, 2)
    assert report["topics"] == {topic: 2, f"{topic}*": 1}
    assert report["users"] == {user.username: 2}
    assert sum(report["latency_counts"].values()) >= 1
    assert report["messages_sent"] >= 5  # three answers to subscribe, two messages
    assert report["bytes_sent"] > 300


def test_pattern_that_covers_the_hubs_channel_is_no_process(dial: Dial, server: Server) -> None:
    ask(dial(), type="subscribe", topic="n*")
    answers = ask_hubs("report", timeout_seconds=5)
    assert (answers.asked, answers.silent) == (1, 0)


def test_restart_closes_with_1012_and_clients_lose_nothing(dial: Dial, topic: str) -> None:
    socket = dial()
    epoch = ask(socket, type="subscribe", topic=topic)["epoch"]
    publish(topic, {"n": 1})
    hear(socket)
    [answer] = ask_hubs("restart", timeout_seconds=5)
    assert answer["connections_closed"] == 1
    assert close_code(socket) == 1012
    publish(topic, {"n": 2})
    back = dial()
    assert ask(back, type="subscribe", topic=topic, since=1, epoch=epoch)["recovered"] is True
    assert hear(back)["data"] == {"n": 2}
    publish(topic, {"n": 3})
    assert hear(back)["data"] == {"n": 3}


def test_reader_that_takes_nothing_is_cleaned_up(
    dial: Dial, server: Server, user: User, topic: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_protocol, "CLOSING_SECONDS", 0.5)
    ask(dial(), type="subscribe", topic=f"{topic}-other")  # from here on the hub cleans up by itself, each 20 s
    settings.WEBSOCKET_HEARTBEAT_SECONDS = 0.05
    with socket_that_never_reads(server, user, {"type": "subscribe", "topic": topic}):
        until(lambda: topic in report_of(server)["topics"])
        # Fewer messages than may wait, and more bytes than the kernel takes for a client that does not read.
        for _ in range(400):
            publish(topic, {"filling": "x" * 20_000})
        until(lambda: bool(sum(answer["connections_closed"] for answer in ask_hubs("cleanup", timeout_seconds=5))))
        until(lambda: list(report_of(server)["topics"]) == [f"{topic}-other"])


def socket_that_never_reads(server: Server, user: User, request: dict[str, Any]) -> tcp.socket:
    """By hand: the library's client reads in the background."""
    raw = tcp.socket()
    raw.setsockopt(tcp.SOL_SOCKET, tcp.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", server.port))
    handshake = (
        f"GET /ws?ticket={issue_ticket(user)} HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version: 13",
        "",
        "",
    )
    raw.sendall("\r\n".join(handshake).encode())
    assert raw.recv(4096).startswith(b"HTTP/1.1 101")
    raw.sendall(Frame(Opcode.TEXT, json.dumps(request).encode()).serialize(mask=True))
    return raw


def test_deflated_and_plain_sockets_get_the_same_messages(user: User, topic: str, transactional_db: None) -> None:
    server = Server(deflate=True)
    urls = [f"{server.url('/ws')}?ticket={issue_ticket(user)}" for _ in range(2)]
    with connect(urls[0], proxy=None) as deflated, connect(urls[1], proxy=None, compression=None) as plain:
        assert (bool(deflated.protocol.extensions), bool(plain.protocol.extensions)) == (True, False)
        for socket in (deflated, plain):
            ask(socket, type="subscribe", topic=topic)
        for number in range(20):
            publish(topic, {"n": number, "text": "ü" * 1_000})
        assert [hear(deflated) for _ in range(20)] == [hear(plain) for _ in range(20)]
    server.stop()


def test_command_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of report, restart, cleanup"):
        ask_hubs("explode")
