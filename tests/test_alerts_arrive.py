"""From a price that moves to an alert that arrives, on a running platform, and with everything restarted meanwhile."""

import json
import logging
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from websockets.sync.client import connect

from apps.risk.tests.far_sides import Mailbox, Sink, running_mail_server, running_sink
from tests.running import Platform, running_platform, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(900)]

RISK = "/api/v1/sprint3/risk"
BOOK = "PORTFOLIO_001"
DAY = "2022-12-28"
INTERVAL_SECONDS = 5.0
# For what is waited for without being measured: a machine may stand still for longer than an interval.
PATIENCE_SECONDS = 60.0
# Every process that has a part in it; the databases last, as all others notice them.
PROCESSES = ("web", "scheduler", "maintenance-worker", "alert-sender", "analytics-worker", "redis", "postgres")


@dataclass(slots=True)
class Desk:
    platform: Platform
    mailbox: Mailbox
    sink: Sink

    def post(self, path: str, body: dict[str, Any], status: int = 201) -> dict[str, Any]:
        with self.platform.client() as client:
            answer = client.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def set_price(self, symbol: str, close: float) -> float:
        """Corrects the last close, and answers with the moment at which it was in."""
        content = f"date,symbol,close\n{DAY},{symbol},{close!r}\n"
        with self.platform.client() as client:
            accepted = client.post("/api/v1/market-data/import", content=content, headers={"Content-Type": "text/csv"})
            task = client.get(accepted.json()["status_url"], params={"wait": 30}).json()
        assert task["status"] == "succeeded", task
        return time.monotonic()

    def price(self, symbol: str) -> float:
        with self.platform.client() as client:
            return float(client.get(f"/api/v1/instruments?symbol={symbol}").json()["results"][0]["price"])

    def position(self, symbol: str) -> float:
        with self.platform.client() as client:
            rows = client.get(f"/api/v1/portfolios/{BOOK}/positions?symbol={symbol}").json()["results"]
        return float(rows[0]["value"])

    def limit(self, threshold: float, kind: str = "position_notional", symbol: str | None = "AAPL") -> int:
        body = {"portfolio_id": BOOK, "kind": kind, "symbol": symbol, "threshold_value": threshold}
        return int(self.post(f"{RISK}/limits", {key: value for key, value in body.items() if value})["id"])

    def ids_at_the_sink(self) -> list[str]:
        return [json.loads(heard.body)["delivery_id"] for heard in self.sink.heard]

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return self.platform.query(sql, *parameters)


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    """A platform of its own, with a mail server and a web server that its alerts go to."""
    home = Path(tempfile.mkdtemp(prefix="nautilus-alerts-"))
    with ExitStack() as stack:
        mailbox, port = stack.enter_context(running_mail_server())
        logging.getLogger("mail.log").setLevel(logging.WARNING)  # it says every line of every mail
        sink = stack.enter_context(running_sink())
        settings = {
            "NAUTILUS_EMAIL_URL": f"smtp://127.0.0.1:{port}/",
            "NAUTILUS_ALERT_OPEN_HOSTS": sink.host,
            "NAUTILUS_MONITOR_INTERVAL_SECONDS": f"{INTERVAL_SECONDS:.0f}",
        }
        desk = Desk(stack.enter_context(running_platform(home, **settings)), mailbox, sink)
        for kind, target in (("email", "desk@example.com"), ("webhook", sink.url)):
            channel = {"kind": kind, "target": target, "min_severity": "info"}
            desk.post(f"{RISK}/alerts/{BOOK}/channels", channel)
        yield desk
    shutil.rmtree(home, ignore_errors=True)


@contextmanager
def listening(desk: Desk) -> Iterator[list[tuple[float, dict[str, Any]]]]:
    """What /ws/risk/{id} pushes, with the moment at which it came."""
    heard: list[tuple[float, dict[str, Any]]] = []
    with connect(f"{desk.platform.socket_address}/ws/risk/{BOOK}") as socket:
        while json.loads(socket.recv(timeout=10))["type"] != "subscribed":
            pass

        def listen() -> None:
            for frame in socket:
                message = json.loads(frame)
                if message["type"] == "message":
                    heard.append((time.monotonic(), message["data"]))

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield heard
    thread.join(10)


def test_breach_by_a_price_is_found_by_the_next_run_pushed_and_delivered(desk):
    price = desk.price("AAPL")
    limit_id = desk.limit(1.5 * desk.position("AAPL"))
    wait_until(lambda: statuses(desk, [limit_id]) == ["ok"], PATIENCE_SECONDS, "the limit to be looked at")
    desk.mailbox.messages.clear()
    desk.sink.heard.clear()
    with listening(desk) as heard:
        desk.set_price("AAPL", 2 * price)
        ((before,),) = desk.rows("SELECT clock_timestamp()")
        runs: set[datetime] = set()

        def is_pushed() -> bool:
            runs.update(begun for (begun,) in desk.rows("SELECT last_run_at FROM risk_monitor"))
            return bool(of_limit(heard, limit_id, "limit_breach"))

        wait_until(is_pushed, PATIENCE_SECONDS, "the push")
        wait_until(lambda: desk.mailbox.messages and desk.sink.heard, PATIENCE_SECONDS, "the deliveries")
    (pushed,) = of_limit(heard, limit_id, "limit_breach")
    # Counted in runs and not in seconds, which are the machine's: none that began after the price went by without it.
    found_at = datetime.fromisoformat(pushed[1]["timestamp"])
    assert len([begun for begun in runs if before < begun <= found_at]) <= 1, (before, runs, found_at)
    body = json.loads(desk.sink.heard[0].body)
    assert (body["limit_id"], body["event_type"], body["event_id"]) == (limit_id, "limit_breach", pushed[1]["event_id"])
    assert "position_notional" in desk.mailbox.messages[0].get_body(("plain",)).get_content()
    desk.set_price("AAPL", price)
    wait_until(lambda: statuses(desk, [limit_id]) == ["ok"], PATIENCE_SECONDS, "the limit to be kept again")


def of_limit(heard: list[tuple[float, dict[str, Any]]], limit_id: int, event_type: str) -> list[Any]:
    return [each for each in heard if (each[1].get("limit_id"), each[1].get("event_type")) == (limit_id, event_type)]


def statuses(desk: Desk, limit_ids: list[int]) -> list[str]:
    rows = desk.rows("SELECT status FROM risk_limits WHERE id = ANY(%s) ORDER BY id", limit_ids)
    return [row[0] for row in rows]


def deliveries_of(desk: Desk, limit_ids: list[int], kind: str) -> set[str]:
    rows = desk.rows(
        "SELECT delivery.id FROM risk_alert_deliveries AS delivery JOIN risk_events AS event ON event.id = event_id "
        "WHERE event.limit_id = ANY(%s) AND delivery.kind = %s",
        limit_ids,
        kind,
    )
    return {str(row[0]) for row in rows}


def test_sink_that_was_down_for_a_minute_gets_every_alert_once_by_its_id(desk):
    price, held = desk.price("AAPL"), desk.position("AAPL")
    limit_ids = [desk.limit(held * (1.6 + 0.01 * number)) for number in range(10)]
    wait_until(lambda: statuses(desk, limit_ids) == ["ok"] * 10, PATIENCE_SECONDS, "the limits to be looked at")
    desk.sink.stop()
    desk.sink.heard.clear()
    desk.set_price("AAPL", 2 * price)
    wait_until(lambda: statuses(desk, limit_ids) == ["breach"] * 10, PATIENCE_SECONDS, "the breaches")
    time.sleep(60)
    expected = deliveries_of(desk, limit_ids, "webhook")
    assert len(expected) == 10
    assert desk.ids_at_the_sink() == []
    desk.sink.open_again()
    wait_until(lambda: expected <= set(desk.ids_at_the_sink()), 90, "all of them to arrive")
    time.sleep(5)
    ours = [each for each in desk.ids_at_the_sink() if each in expected]
    assert sorted(ours) == sorted(expected)
    desk.set_price("AAPL", price)
    wait_until(lambda: statuses(desk, limit_ids) == ["ok"] * 10, PATIENCE_SECONDS, "the limits to be kept again")


def test_restart_of_every_process_at_a_random_moment_loses_nothing(desk):
    price, held = desk.price("AAPL"), desk.position("AAPL")
    limit_ids = [desk.limit(held * (1.75 + 0.01 * number)) for number in range(3)]
    wait_until(lambda: statuses(desk, limit_ids) == ["ok"] * 3, PATIENCE_SECONDS, "the limits to be looked at")
    luck = random.Random(4)
    flips = 0
    for name in PROCESSES:
        flips += 1
        insist(lambda close=price * (1 + flips % 2): desk.set_price("AAPL", close))
        time.sleep(luck.uniform(0, INTERVAL_SECONDS))
        desk.platform.kill(name)
        wanted = ["breach" if flips % 2 else "ok"] * 3
        wait_until(partial(have, desk, limit_ids, wanted), PATIENCE_SECONDS, f"{wanted[0]} after {name} died")
    insist(lambda: desk.set_price("AAPL", price))
    wait_until(lambda: statuses(desk, limit_ids) == ["ok"] * 3, PATIENCE_SECONDS, "the limits to be kept again")
    flips += flips % 2
    wait_until(lambda: not undelivered(desk, limit_ids), 120, "every alert to be delivered")
    for limit_id in limit_ids:
        types = desk.rows("SELECT event_type FROM risk_events WHERE limit_id = %s ORDER BY id", limit_id)
        assert [row[0] for row in types] == ["limit_breach", "limit_cleared"] * (flips // 2)
    assert deliveries_of(desk, limit_ids, "webhook") <= set(desk.ids_at_the_sink())
    assert deliveries_of(desk, limit_ids, "email") <= ids_in_mails(desk)
    assert desk.rows("SELECT count(*) FROM risk_events WHERE published_at IS NULL") == [(0,)]


def have(desk: Desk, limit_ids: list[int], wanted: list[str]) -> bool:
    return insist(lambda: statuses(desk, limit_ids)) == wanted


def undelivered(desk: Desk, limit_ids: list[int]) -> list[tuple[Any, ...]]:
    return desk.rows(
        "SELECT delivery.id FROM risk_alert_deliveries AS delivery JOIN risk_events AS event ON event.id = event_id "
        "WHERE event.limit_id = ANY(%s) AND delivery.status <> 'delivered'",
        limit_ids,
    )


def ids_in_mails(desk: Desk) -> set[str]:
    return {message["X-Nautilus-Delivery"] for message in desk.mailbox.messages}


def insist(ask: Any) -> Any:
    """Asks until there is an answer: a process that was killed is back within seconds."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return ask()
        except (httpx.HTTPError, psycopg.Error, AssertionError, KeyError, ValueError) as error:
            if time.monotonic() > deadline:
                raise AssertionError(f"no answer within 60 s: {error}") from error
            time.sleep(0.3)
