"""What the platform has to do while Redis fails under it: no task may be lost, and nobody told anything wrong."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from tests.running import ANALYZE, Platform, wait_until

BROADCAST = "/api/v1/sprint3/websocket/broadcast"
PRETRADE = "/api/v1/sprint3/risk/pre-trade-check"
BOOK = "PORTFOLIO_001"


@dataclass(slots=True)
class Submitted:
    """Tasks that differ, so that none shares another's computation. `refused` are answers of which no task came."""

    platform: Platform
    first: int
    task_ids: list[str] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)

    def submit(self, count: int) -> None:
        with self.platform.client() as client:
            for _ in range(count):
                number = self.first + len(self.task_ids) + len(self.refused)
                body = {"portfolio_id": BOOK, "confidence": 0.91, "window_days": 100 + number}
                answer = client.post(ANALYZE, json=body)
                if answer.status_code == httpx.codes.ACCEPTED:
                    self.task_ids.append(answer.json()["task_id"])
                else:
                    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE, answer.text
                    self.refused.append(answer.status_code)

    def lost(self, seconds: float = 120.0) -> int:
        """Waits for all of them to end; how many did not succeed, or left not just one row of figures."""
        count = len(self.task_ids)
        wait_until(lambda: self._count("status <> 'processing'") == count, seconds, f"{count} tasks to end")
        rows = self.platform.query(
            "SELECT count(*) - count(DISTINCT task_id) FROM risk_metrics WHERE task_id = ANY(%s::uuid[])", self.task_ids
        )
        return count - self._count("status = 'succeeded'") + int(rows[0][0])

    def _count(self, condition: str) -> int:
        sql = f"SELECT count(*) FROM tasks_task WHERE id = ANY(%s::uuid[]) AND {condition}"
        return int(self.platform.query(sql, self.task_ids)[0][0])


class Follower:
    """A client of one word that comes back with `since`, and notes where what it is told does not fit."""

    def __init__(self, platform: Platform, topic: str) -> None:
        self.topic = topic
        self.heard: list[int] = []
        self.wrong: list[str] = []
        self.epochs: list[str] = []
        self._address = f"{platform.socket_address}/ws"
        self._seq: int | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        wait_until(lambda: self.epochs, 60, "the subscription")

    def end(self) -> None:
        self._ended.set()
        self._thread.join(20)

    def _follow(self) -> None:
        while not self._ended.is_set():
            with suppress(OSError, WebSocketException, TimeoutError), connect(self._address) as socket:
                socket.send(json.dumps(self._request()))
                self._listen(socket)
            self._ended.wait(0.2)

    def _request(self) -> dict[str, Any]:
        request = {"type": "subscribe", "topic": self.topic}
        return request if self._seq is None else {**request, "since": self._seq, "epoch": self.epochs[-1]}

    def _listen(self, socket: Any) -> None:
        while not self._ended.is_set():
            try:
                self._take(json.loads(socket.recv(timeout=1)))
            except TimeoutError:
                continue

    def _take(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "subscribed":
            self._begin(frame)
        elif frame["type"] == "message":
            if (frame["epoch"], frame["seq"]) != (self.epochs[-1], (self._seq or 0) + 1):
                self.wrong.append(f"{frame['seq']} of {frame['epoch']} after {self._seq} of {self.epochs[-1]}")
            self._seq = frame["seq"]
            self.heard.append(frame["data"]["n"])

    def _begin(self, frame: dict[str, Any]) -> None:
        if not self.epochs or not frame["recovered"]:
            self.epochs.append(frame["epoch"])
            self._seq = frame["seq"]


@contextmanager
def following(platform: Platform, topic: str) -> Iterator[Follower]:
    follower = Follower(platform, topic)
    try:
        yield follower
    finally:
        follower.end()


def broadcast(client: httpx.Client, topic: str, number: int) -> httpx.Response:
    return client.post(BROADCAST, json={"topic": topic, "message": {"n": number}})


def broadcast_until_taken(client: httpx.Client, topic: str, number: int, seconds: float = 60.0) -> None:
    def taken() -> bool:
        said = broadcast(client, topic, number)
        assert said.status_code in (200, 503), said.text
        return said.status_code == httpx.codes.OK

    wait_until(taken, seconds, "a broadcast to be taken")


def decided(client: httpx.Client) -> dict[str, Any]:
    """The decision about a small trade: 200 either way, and one that says why not where it is refused."""
    answer = client.post(PRETRADE, json={"portfolio_id": BOOK, "trade": {"symbol": "AAPL", "quantity": 1}})
    assert answer.status_code == httpx.codes.OK, answer.text
    decision: dict[str, Any] = answer.json()
    assert decision["approved"] or decision["reasons"], decision
    return decision
