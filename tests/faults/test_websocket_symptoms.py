"""Sockets that are refused, silent, slow or stale: the platform says so, and nobody loses a message."""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from apps.realtime.topics import publish_many
from tests.faults.beside import redis_of
from tests.faults.desk import SETTINGS, Desk
from tests.running import wait_until
from tests.storm.frames import RawSocket

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(300)]

BROADCAST = "/api/v1/sprint3/websocket/broadcast"
STATS = "/api/v1/sprint3/websocket/stats"
MOST = int(SETTINGS["NAUTILUS_MAX_CONNECTIONS"])
TOO_SLOW, TRY_AGAIN_LATER, FORBIDDEN = 4008, 1013, 4403
TEXT_OF_A_MESSAGE = "x" * 8_192
ENOUGH = 2_000  # 1,000 may wait, and the kernel's buffers take some 500


def publish(desk: Desk, topic: str, count: int) -> None:
    with desk.platform.client() as client:
        for number in range(count):
            said = client.post(BROADCAST, json={"topic": topic, "message": {"n": number}})
            assert said.status_code == 200, said.text


def follow(desk: Desk, topic: str, **more: Any) -> ClientConnection:
    socket = connect(f"{desk.platform.socket_address}/ws", open_timeout=20)
    socket.send(json.dumps({"type": "subscribe", "topic": topic, **more}))
    said = json.loads(socket.recv(timeout=20))
    assert said["type"] == "subscribed", said
    return socket


def hear(socket: ClientConnection, count: int) -> list[int]:
    """The seqs of the next messages."""
    seqs: list[int] = []
    while len(seqs) < count:
        frame = json.loads(socket.recv(timeout=30))
        if frame["type"] == "message":
            seqs.append(frame["seq"])
    return seqs


def active(desk: Desk) -> int:
    return int(desk.ask("GET", STATS)["active"])


def close_code(socket: ClientConnection) -> int | None:
    try:
        while True:
            socket.recv(timeout=20)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


def test_connections_refused_by_their_origin_are_counted_and_told(desk, fault_line):
    line = fault_line("sockets: refused by Origin")
    with connect(f"{desk.platform.socket_address}/ws", origin="http://evil.example") as refused:
        assert close_code(refused) == FORBIDDEN
    said = desk.wait_for_symptom("websocket", "sockets-refused-by-origin", 20)
    line.seen(said["symptom"])
    assert "evil.example" in said["cause"] or "NAUTILUS_TRUSTED_ORIGINS" in said["remedy"]
    with follow(desk, "origins") as ours:
        publish(desk, "origins", 1)
        assert hear(ours, 1) == [1]
    line.mended(lost=0)


def test_pool_that_is_exhausted_sends_away_with_1013_and_is_told(desk, fault_line):
    line = fault_line(f"sockets: pool exhausted ({MOST})")
    topic = f"crowd-{uuid4().hex[:8]}"
    with ExitStack() as stack:
        here = active(desk)
        crowd = [stack.enter_context(follow(desk, topic)) for _ in range(MOST - here)]
        line.injected()
        with connect(f"{desk.platform.socket_address}/ws") as one_more:
            assert close_code(one_more) == TRY_AGAIN_LATER
        said = desk.wait_for_symptom("websocket", "sockets-pool-exhausted", 20)
        line.seen(said["symptom"])
        publish(desk, topic, 3)
        assert [hear(each, 3) for each in crowd] == [[1, 2, 3]] * len(crowd)
    line.cured()
    wait_until(lambda: active(desk) <= here, 20, "the sockets to be gone")
    with follow(desk, topic, since=0) as back:
        assert hear(back, 3) == [1, 2, 3]
    line.mended(lost=0)


def test_subscriber_to_a_topic_that_is_misspelt_is_told_so(desk, fault_line):
    line = fault_line("sockets: subscribed to a channel that does not exist")
    with connect(f"{desk.platform.socket_address}/ws") as socket:
        line.injected()
        socket.send(json.dumps({"type": "subscribe", "topic": "risk:alert:PORTFOLIO_001"}))
        said = json.loads(socket.recv(timeout=20))
        assert said["type"] == "error", said
        assert "risk:alert:PORTFOLIO_001" in said["detail"]
        line.seen(said["detail"])
        socket.send(json.dumps({"type": "subscribe", "topic": "risk:alerts:PORTFOLIO_001"}))
        assert json.loads(socket.recv(timeout=20))["type"] == "subscribed"
    line.mended(lost=0)


def test_redis_that_is_away_silences_sockets_until_it_is_back_and_nothing_is_missing(desk, fault_line):
    line = fault_line("sockets: subscribed, and Redis is down")
    topic = f"silent-{uuid4().hex[:8]}"
    with follow(desk, topic) as socket:
        publish(desk, topic, 2)
        assert hear(socket, 2) == [1, 2]
        desk.platform.stop("redis")
        line.injected()
        try:
            said = wait_until(lambda: _leading(desk, "redis"), 20, "redis to be missed")
            line.seen(said)
        finally:
            desk.platform.start("redis")
            line.cured()
        wait_until(lambda: _can_publish(desk, topic), 30, "messages to be taken again")
        assert hear(socket, 1) == [3]
    line.mended(lost=0)


def _leading(desk: Desk, component: str) -> str | None:
    return desk.component(component).get("symptom")


def _can_publish(desk: Desk, topic: str) -> bool:
    with desk.platform.client() as client:
        return client.post(BROADCAST, json={"topic": topic, "message": {"n": 0}}).status_code == 200


def test_slow_reader_is_closed_and_told_and_comes_back_for_the_rest(desk, fault_line):
    line = fault_line("sockets: a reader too slow")
    topic = f"slow-{uuid4().hex[:8]}"
    with RawSocket(desk.platform.port, receive_buffer=4_096) as slow:
        epoch = slow.ask(type="subscribe", topic=topic)["epoch"]
        line.injected()
        # At once and not by HTTP: one that reads nothing for two heartbeats, four seconds here, is closed as stale.
        publish_many([(topic, {"text": TEXT_OF_A_MESSAGE})] * ENOUGH, client=redis_of(desk))
        said = desk.wait_for_symptom("websocket", "sockets-slow-delivery", 60)
        line.seen(said["symptom"])
        heard = [message["seq"] for message in slow.messages_until_the_end()]
    assert heard == list(range(1, len(heard) + 1))
    line.cured()
    with follow(desk, topic, since=len(heard), epoch=epoch) as back:
        heard += hear(back, ENOUGH - len(heard))
    line.mended(lost=ENOUGH - len(set(heard)))
    assert heard == list(range(1, ENOUGH + 1))


READER = """
import sys, time
from websockets.sync.client import connect
with connect(sys.argv[1]) as socket:
    print("open", flush=True)
    time.sleep(600)
"""


def test_client_that_answers_no_ping_is_closed_within_two_heartbeats(desk, fault_line):
    line = fault_line("sockets: a stale connection")
    before = active(desk)
    client = subprocess.Popen(
        [sys.executable, "-c", READER, f"{desk.platform.socket_address}/ws"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert client.stdout is not None
        assert client.stdout.readline() == "open\n"
        wait_until(lambda: active(desk) == before + 1, 20, "the socket to be counted")
        os.kill(client.pid, signal.SIGSTOP)
        line.injected()
        wait_until(lambda: active(desk) == before, 30, "the stale socket to be closed")
        line.seen("no pong for two heartbeats: closed by itself")
    finally:
        client.kill()
        client.wait()
    with follow(desk, "stale") as socket:
        publish(desk, "stale", 1)
        assert len(hear(socket, 1)) == 1
    line.mended(lost=0)
