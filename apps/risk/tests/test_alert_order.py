"""Events reach a topic in the order in which they happened, also those that found Redis away."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction

from apps.portfolios.models import Portfolio
from apps.portfolios.tests.factories import make_user
from apps.realtime.topics import stream_key
from apps.risk.alerts import acknowledge_event, send_due
from apps.risk.events import ALL_PORTFOLIOS_TOPIC, record_events
from apps.risk.models import RiskEvent
from apps.risk.tests.alerting import a_breach, a_portfolio, let_pass, redis_away
from nautilus.connections import redis_client
from tests.running import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

Type = RiskEvent.Type
Away = Callable[[], Any]


@pytest.fixture(autouse=True)
def empty_redis() -> None:
    redis_client().flushdb()


@pytest.fixture
def book() -> Portfolio:
    return a_portfolio()


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Away:
    @contextmanager
    def is_away() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr("apps.realtime.topics.redis_client", redis_away)
            yield

    return is_away


def told(topic: str = "risk:alerts:BOOK") -> list[tuple[str, str]]:
    entries: Any = redis_client().xrange(stream_key(topic))
    data = [json.loads(fields["text"])["data"] for _, fields in entries]
    return [(message["event"], message["event_type"]) for message in data]


def an_end(portfolio: Portfolio | None, event_type: str = Type.LIMIT_CLEARED) -> RiskEvent:
    return a_breach(portfolio, event_type=event_type, severity="info")


def test_end_that_redis_takes_comes_after_the_beginning_that_found_it_away(book: Portfolio, away: Away) -> None:
    with away():
        record_events([a_breach(book)])
    record_events([an_end(book)])
    assert told() == [("alert.raised", "limit_breach"), ("alert.raised", "limit_cleared")]
    assert not RiskEvent.objects.filter(published_at=None).exists()


def test_events_about_all_portfolios_keep_their_order_too(away: Away) -> None:
    with away():
        record_events([a_breach(None, event_type=Type.MONITORING_STALLED)])
    record_events([an_end(None, Type.MONITORING_RESUMED)])
    types = [event_type for _, event_type in told(ALL_PORTFOLIOS_TOPIC)]
    assert types == ["monitoring_stalled", "monitoring_resumed"]


def test_events_of_other_books_are_left_to_the_sweep(book: Portfolio, away: Away) -> None:
    with away():
        record_events([a_breach(a_portfolio("OTHER")), a_breach(None)])
    record_events([a_breach(book)])
    assert RiskEvent.objects.filter(published_at=None).count() == 2


def test_end_waits_for_who_is_publishing_the_beginning(book: Portfolio, away: Away) -> None:
    with away():
        record_events([a_breach(book)])
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            list(RiskEvent.objects.select_for_update(no_key=True))
            ending = pool.submit(record_and_disconnect, an_end(book))
            wait_until(somebody_waits_for_a_row, 20, "the end to wait for the beginning", 0.02)
            assert told() == []
        ending.result(timeout=20)
    assert told() == [("alert.raised", "limit_breach"), ("alert.raised", "limit_cleared")]


def record_and_disconnect(event: RiskEvent) -> None:
    try:
        record_events([event])
    finally:
        connection.close()


def somebody_waits_for_a_row() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


# --- Acknowledged -----------------------------------------------------------------------------------------
IN_ORDER = [("alert.raised", "limit_breach"), ("alert.acknowledged", "limit_breach")]


def test_acknowledgement_comes_after_the_alert_that_found_redis_away(book: Portfolio, away: Away) -> None:
    with away():
        record_events([a_breach(book)])
    acknowledge_event(RiskEvent.objects.get(), make_user("risk_manager"))
    assert told() == IN_ORDER


def test_acknowledgement_that_finds_redis_away_too_waits_with_its_alert(book: Portfolio, away: Away) -> None:
    with away():
        record_events([a_breach(book)])
        acknowledge_event(RiskEvent.objects.get(), make_user("risk_manager"))
    assert told() == []
    let_pass(RiskEvent.objects.all(), "timestamp", seconds=3)
    assert send_due()["published"] == 1
    assert told() == IN_ORDER


def test_acknowledgement_of_an_alert_that_was_published_goes_out_once(book: Portfolio) -> None:
    record_events([a_breach(book)])
    acknowledge_event(RiskEvent.objects.get(), make_user("risk_manager"))
    let_pass(RiskEvent.objects.all(), "timestamp", seconds=3)
    send_due()
    assert told() == IN_ORDER
