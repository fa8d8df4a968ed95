"""A monitor that is dead or off, limits that are missing, answers from the cache, alerts that do not arrive."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from apps.risk.tests.far_sides import Mailbox, Said, Sink, running_sink
from tests.faults.desk import Desk
from tests.running import ANALYZE, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(300)]

RISK = "/api/v1/sprint3/risk"
BOOK = "PORTFOLIO_001"
LAST_DAY = "2022-12-28"


def add_limit(desk: Desk, threshold: float, book: str = BOOK, kind: str = "gross_exposure") -> int:
    body = {"portfolio_id": book, "kind": kind, "threshold_value": threshold}
    return int(desk.ask("POST", f"{RISK}/limits", 201, json=body)["id"])


def status_of(desk: Desk, limit_id: int) -> str:
    return str(desk.ask("GET", f"{RISK}/limits/{limit_id}")["status"])


def set_price(desk: Desk, symbol: str, close: float) -> None:
    content = f"date,symbol,close\n{LAST_DAY},{symbol},{close!r}\n"
    how = {"content": content, "headers": {"Content-Type": "text/csv"}}
    task = desk.ended_task(desk.ask("POST", "/api/v1/market-data/import", 202, **how))
    assert task["status"] == "succeeded", task


def price_of(desk: Desk, symbol: str) -> float:
    return float(desk.ask("GET", f"/api/v1/instruments?symbol={symbol}")["results"][0]["price"])


@contextmanager
def limit_of(desk: Desk, threshold: float) -> Iterator[int]:
    """A limit of the sample book, deleted afterwards: what follows finds the book as it was."""
    limit_id = add_limit(desk, threshold)
    try:
        yield limit_id
    finally:
        desk.ask("DELETE", f"{RISK}/limits/{limit_id}", 204)


def test_monitor_that_is_dead_leaves_stuck_figures_and_is_told(desk, fault_line):
    line = fault_line("risk: figures stuck (monitor dead)")
    with limit_of(desk, 1e12) as limit_id:
        wait_until(lambda: status_of(desk, limit_id) == "ok", 60, "the limit to be looked at")
        desk.platform.stop("maintenance-worker")
        line.injected()
        try:
            said = desk.wait_for_symptom("risk_monitoring", "risk-figures-stuck", 60)
            line.seen(said["symptom"])
            assert desk.ask("GET", f"{RISK}/monitoring/status")["running"] is False
        finally:
            desk.platform.start("maintenance-worker")
            line.cured()
        desk.wait_until_healthy("risk_monitoring", 60)
        assert status_of(desk, limit_id) == "ok"
    line.mended(lost=0)


def test_breach_while_monitoring_is_off_is_told_as_undetected_and_found_when_it_is_on(desk, fault_line):
    line = fault_line("risk: breaches not detected (monitoring off)")
    desk.ask("POST", f"{RISK}/monitoring/stop")
    line.injected()
    try:
        said = desk.wait_for_symptom("risk_monitoring", "risk-breaches-not-detected", 30)
        assert "monitoring/start" in said["remedy"]
        line.seen(said["symptom"])
        limit_id = add_limit(desk, 1.0)  # any book is above it
    finally:
        line.cured()
        desk.ask("POST", f"{RISK}/monitoring/start")
    wait_until(lambda: status_of(desk, limit_id) == "breach", 30, "the breach to be found")
    events = desk.platform.query("SELECT count(*) FROM risk_events WHERE limit_id = %s", limit_id)
    line.mended(lost=1 - events[0][0])
    desk.ask("DELETE", f"{RISK}/limits/{limit_id}", 204)


def test_portfolio_without_a_limit_is_told(desk, fault_line):
    line = fault_line("risk: breaches not detected (threshold missing)")
    limits = desk.ask("GET", f"{RISK}/limits?portfolio_id=PORTFOLIO_002&active=true")["results"]
    assert not limits, "the sample book was to have no limit"
    said = desk.wait_for_symptom("limit_monitoring", "risk-breaches-not-detected", 30)
    assert "PORTFOLIO_002" in said["cause"]
    line.seen(said["symptom"])
    limit_id = add_limit(desk, 1e12, "PORTFOLIO_002")
    wait_until(lambda: "PORTFOLIO_002" not in _causes(desk, "limit_monitoring"), 30, "the limit to be seen")
    line.mended(lost=0)
    desk.ask("DELETE", f"{RISK}/limits/{limit_id}", 204)


def _causes(desk: Desk, component: str) -> str:
    return " ".join(finding["cause"] for finding in desk.component(component).get("findings", []))


def test_answer_from_the_cache_is_of_the_newest_prices_also_in_the_aggressive_mode(desk, fault_line):
    line = fault_line("risk: cache stale (aggressive mode)")
    price = price_of(desk, "AAPL")
    desk.ask("POST", "/api/v1/cache/enable-aggressive-mode", json={"seconds": 600})
    line.injected()
    try:
        before = _analyzed(desk)
        set_price(desk, "AAPL", 2 * price)
        assert _analyzed(desk)["portfolio_value"] > before["portfolio_value"]
        line.seen(str(desk.ask("GET", "/api/v1/cache/status")["mode"]))
    finally:
        line.cured()
        desk.ask("POST", "/api/v1/cache/disable-aggressive-mode")
        desk.ask("POST", "/api/v1/cache/clear", json={"prefix": "risk"})
        set_price(desk, "AAPL", price)
    assert _analyzed(desk)["portfolio_value"] == pytest.approx(before["portfolio_value"], rel=1e-12)
    line.mended(lost=0)


def _analyzed(desk: Desk) -> dict[str, Any]:
    task = desk.ended_task(desk.ask("POST", ANALYZE, 202, json={"portfolio_id": BOOK}))
    assert task["status"] == "succeeded", task
    return task["result"]


@contextmanager
def mail_server(port: int) -> Iterator[Mailbox]:
    from aiosmtpd.controller import Controller

    mailbox = Mailbox()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield mailbox
    controller.stop()


@contextmanager
def channel(desk: Desk, kind: str, target: str) -> Iterator[int]:
    body = {"kind": kind, "target": target, "min_severity": "info"}
    made = desk.ask("POST", f"{RISK}/alerts/{BOOK}/channels", 201, json=body)
    yield made["id"]
    desk.ask("DELETE", f"{RISK}/alerts/{BOOK}/channels/{made['id']}", 204)


def breach(desk: Desk) -> list[str]:
    """Ids of the deliveries of a breach that is made now."""
    with limit_of(desk, 1.0) as limit_id:
        wait_until(lambda: status_of(desk, limit_id) == "breach", 60, "the breach")
        rows = desk.platform.query(
            "SELECT delivery.id FROM risk_alert_deliveries AS delivery JOIN risk_events AS event ON event.id = event_id"
            " WHERE event.limit_id = %s AND event.event_type = 'limit_breach'",
            limit_id,
        )
    return [str(row[0]) for row in rows]


def test_mail_server_that_is_down_is_told_and_every_mail_arrives_once_it_is_up(desk, fault_line):
    line = fault_line("risk: notifications fail (SMTP down)")
    with channel(desk, "email", "desk@example.com"):
        line.injected()
        deliveries = breach(desk)
        assert deliveries
        said = desk.wait_for_symptom("notifications", "alerts-not-delivered", 90)
        line.seen(said["symptom"])
        line.cured()
        with mail_server(desk.mail_port) as mailbox:
            wait_until(lambda: set(deliveries) <= _ids(mailbox), 120, "the mails")
            line.mended(lost=len(set(deliveries) - _ids(mailbox)))


def _ids(mailbox: Mailbox) -> set[str]:
    return {str(message["X-Nautilus-Delivery"]) for message in mailbox.messages}


def test_web_hook_that_refuses_is_told_with_its_words_and_gets_every_alert_once_it_takes_them(desk, fault_line):
    line = fault_line("risk: notifications fail (far side refuses)")
    with running_sink() as sink, channel(desk, "webhook", sink.url):
        sink.answers = [Said(500, b"no disk")]
        line.injected()
        deliveries = breach(desk)
        said = desk.wait_for_symptom("notifications", "alerts-not-delivered", 90)
        assert "500" in said["cause"]
        line.seen(said["symptom"])
        line.cured()
        sink.heard.clear()
        sink.answers = [Said()]
        wait_until(lambda: set(deliveries) <= _heard(sink), 120, "the alerts")
        line.mended(lost=len(set(deliveries) - _heard(sink)))


def _heard(sink: Sink) -> set[str]:
    return {str(json.loads(heard.body)["delivery_id"]) for heard in sink.heard}
