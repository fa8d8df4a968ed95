"""From an event to its deliveries: who is told, who is told again, what is published, whatever died in between."""

import json
import math
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from apps.portfolios.tests.factories import make_user
from apps.realtime.topics import head_key, stream_key
from apps.risk.alerts import acknowledge_event, send_due
from apps.risk.deliveries import MOST_AFTER_COMMIT
from apps.risk.events import close_limit_events, close_portfolio_events, record_events
from apps.risk.models import AlertDelivery, RiskEvent
from apps.risk.tests.alerting import HOOK, a_breach, a_portfolio, let_pass, make_channel, redis_away
from nautilus.connections import redis_client

pytestmark = pytest.mark.django_db

Type = RiskEvent.Type


@pytest.fixture(autouse=True)
def empty_redis() -> None:
    redis_client().flushdb()


@pytest.fixture
def book():
    return a_portfolio()


@pytest.fixture
def committing(django_capture_on_commit_callbacks):
    """record_events as in a transaction of its own: with what it does after the commit."""

    def record(*events: RiskEvent) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            record_events(events)

    return record


def published(topic: str = "risk:alerts:BOOK") -> list[dict]:
    return [json.loads(entry["text"])["data"] for _, entry in redis_client().xrange(stream_key(topic))]


def turns(channel: object = None) -> list[int]:
    deliveries = AlertDelivery.objects.filter(channel=channel) if channel else AlertDelivery.objects.all()
    return sorted(deliveries.values_list("turn", flat=True))


def everything_ages(**time: float) -> None:
    let_pass(RiskEvent.objects.all(), "timestamp", **time)
    let_pass(AlertDelivery.objects.all(), "created_at", **time)


# --- Recorded ---------------------------------------------------------------------------------------------
def test_event_is_stored_published_and_queued(book, committing):
    channel = make_channel(book)
    event = a_breach(book, limit_id=3, symbol="AAA")
    committing(event)
    delivery = AlertDelivery.objects.get()
    assert (delivery.event_id, delivery.channel_id, delivery.turn, delivery.status) == (
        event.pk,
        channel.pk,
        0,
        "pending",
    )
    assert redis_client().llen("alerts_queue") == 1
    told = published()[0]
    assert told["event"] == "alert.raised"
    assert (told["event_id"], told["portfolio_id"], told["limit_id"], told["symbol"]) == (event.pk, "BOOK", 3, "AAA")
    assert (told["severity"], told["value"], told["threshold"]) == ("critical", 61234.5, 50000.0)
    assert RiskEvent.objects.get().published_at is not None
    assert send_due() == {"published": 0, "released": 0, "escalated": 0, "reminded": 0, "queued": 0}


def test_event_of_a_transaction_that_is_undone_never_was(book):
    make_channel(book)
    with pytest.raises(ValueError, match="undone"), transaction.atomic():
        _record_and_fail(a_breach(book))
    assert not RiskEvent.objects.exists()
    assert not AlertDelivery.objects.exists()


def _record_and_fail(event: RiskEvent) -> None:
    record_events([event])
    raise ValueError("undone")


@pytest.mark.parametrize(
    ("min_severity", "severity", "is_told"),
    [
        ("info", "info", True),
        ("warning", "info", False),
        ("warning", "warning", True),
        ("warning", "critical", True),
        ("critical", "warning", False),
        ("critical", "critical", True),
    ],
)
def test_channel_is_told_of_its_severity_and_above(book, committing, min_severity, severity, is_told):
    make_channel(book, min_severity=min_severity)
    committing(a_breach(book, severity=severity))
    assert AlertDelivery.objects.exists() is is_told


def test_channel_that_is_off_or_of_another_book_or_waits_is_not_told(book, committing):
    make_channel(book, enabled=False)
    make_channel(a_portfolio("OTHER"))
    make_channel(book, escalate_after_minutes=5)
    committing(a_breach(book))
    assert not AlertDelivery.objects.exists()


def test_event_about_all_portfolios_has_a_topic_of_its_own(book, committing):
    committing(a_breach(None, event_type=Type.MONITORING_STALLED))
    assert published("risk:alerts:all")[0]["portfolio_id"] is None


def test_test_event_makes_no_deliveries(book, committing):
    make_channel(book, min_severity="info")
    committing(a_breach(book, event_type=Type.TEST))
    assert not AlertDelivery.objects.exists()


def test_value_that_json_cannot_say_is_null(book, committing):
    committing(a_breach(book, value=math.nan, threshold=math.inf))
    assert (published()[0]["value"], published()[0]["threshold"]) == (None, None)


def test_nothing_to_record_is_nothing_done(committing):
    committing()
    assert not RiskEvent.objects.exists()


def test_thousands_of_events_take_a_handful_of_statements(book, django_assert_max_num_queries):
    make_channel(book)
    make_channel(book, target="https://93.184.216.34/other")
    with django_assert_max_num_queries(6):
        record_events([a_breach(book) for _ in range(2_000)])
    assert AlertDelivery.objects.count() == 4_000


@pytest.mark.django_db(transaction=True)
def test_thousands_of_events_are_published_once_each_in_their_order(book):
    record_events([a_breach(book) for _ in range(1_000)])
    ids = [told["event_id"] for told in published()]
    assert ids == sorted(RiskEvent.objects.values_list("pk", flat=True))


def test_messages_that_would_hold_up_the_commit_are_left_to_the_sweep(book, committing):
    make_channel(book)
    committing(*(a_breach(book) for _ in range(MOST_AFTER_COMMIT + 5)))
    assert redis_client().llen("alerts_queue") == MOST_AFTER_COMMIT
    assert send_due()["queued"] == 5


# --- Published later --------------------------------------------------------------------------------------
def test_event_of_a_process_that_died_before_it_published_is_published(book):
    make_channel(book)
    record_events([a_breach(book)])  # what follows the commit does not run here
    assert send_due()["published"] == 0  # whoever recorded it may be about to
    everything_ages(seconds=3)
    let_pass(AlertDelivery.objects.all(), "next_attempt_at", seconds=6)
    done = send_due()
    assert (done["published"], done["queued"]) == (1, 1)
    assert len(published()) == 1
    assert send_due()["published"] == 0


def test_event_that_found_redis_away_is_published_when_it_is_back(book, committing, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("apps.realtime.topics.redis_client", redis_away)
        committing(a_breach(book), a_breach(book))
        everything_ages(seconds=3)
        assert send_due()["published"] == 0
    assert RiskEvent.objects.filter(published_at=None).count() == 2
    assert send_due()["published"] == 2
    assert redis_client().hget(head_key("risk:alerts:BOOK"), "seq") == "2"


def test_event_whose_publisher_died_before_it_noted_so_is_published_once(book, committing, monkeypatch):
    monkeypatch.setattr("apps.risk.events.UNPUBLISHED_AFTER", timedelta(0))
    committing(a_breach(book), a_breach(book))
    RiskEvent.objects.update(published_at=None)
    assert send_due()["published"] == 2
    assert len(published()) == 2


# --- Closed -----------------------------------------------------------------------------------------------
def test_events_of_a_limit_are_closed_together(book, committing):
    committing(a_breach(book, limit_id=3), a_breach(book, limit_id=3), a_breach(book, limit_id=4))
    assert close_limit_events([3]) == 2
    assert close_limit_events([3]) == 0
    assert RiskEvent.objects.get(closed_at=None).limit_id == 4


def test_events_of_a_portfolio_are_closed_by_type(book, committing):
    stale = a_breach(book, event_type=Type.PRICES_STALE)
    stalled = a_breach(None, event_type=Type.MONITORING_STALLED)
    committing(a_breach(book), stale, stalled)
    assert close_portfolio_events(["BOOK"], [Type.PRICES_STALE, Type.MONITORING_STALLED]) == 1
    assert close_portfolio_events([None], [Type.MONITORING_STALLED]) == 1
    assert RiskEvent.objects.get(closed_at=None).event_type == "limit_breach"


def test_event_that_is_over_when_it_happens_is_not_open(book, committing):
    committing(a_breach(book, event_type=Type.LIMIT_CLEARED, severity="info"))
    event = RiskEvent.objects.get()
    assert event.closed_at == event.timestamp


# --- Told again, and told to others -----------------------------------------------------------------------
@pytest.fixture
def open_breach(book, committing):
    """An hour and a minute old, told once."""
    make_channel(book)
    committing(a_breach(book))
    everything_ages(minutes=61)
    return RiskEvent.objects.get()


def test_open_breach_is_repeated_once_an_hour(open_breach):
    assert send_due()["reminded"] == 1
    assert send_due()["reminded"] == 0
    assert turns() == [0, 1]
    everything_ages(minutes=61)
    assert send_due()["reminded"] == 1
    assert turns() == [0, 1, 2]


def test_young_breach_is_not_repeated(book, committing):
    make_channel(book)
    committing(a_breach(book))
    everything_ages(minutes=59)
    assert send_due()["reminded"] == 0


def test_acknowledged_breach_is_not_repeated(open_breach):
    acknowledge_event(open_breach, make_user("risk_manager"))
    assert send_due()["reminded"] == 0


def test_closed_breach_is_not_repeated(open_breach):
    close_portfolio_events(["BOOK"], [Type.LIMIT_BREACH])
    assert send_due()["reminded"] == 0


def test_channel_that_was_switched_off_is_not_reminded(open_breach):
    open_breach.portfolio.alert_channels.update(enabled=False)
    assert send_due()["reminded"] == 0


def test_nothing_is_repeated_where_that_is_switched_off(open_breach, settings):
    settings.ALERT_REPEAT_MINUTES = 0
    assert send_due()["reminded"] == 0


def test_warning_is_not_repeated(book, committing):
    make_channel(book)
    committing(a_breach(book, event_type=Type.LIMIT_WARNING, severity="warning"))
    everything_ages(days=1)
    assert send_due()["reminded"] == 0


def test_breach_is_escalated_when_nobody_has_acknowledged_it_in_time(book, committing):
    boss = make_channel(book, target="https://93.184.216.34/boss", escalate_after_minutes=10)
    committing(a_breach(book))
    everything_ages(minutes=9)
    assert send_due()["escalated"] == 0
    everything_ages(minutes=2)
    assert send_due()["escalated"] == 1
    assert send_due()["escalated"] == 0
    assert turns(boss) == [0]


def test_escalated_breach_is_repeated_to_whom_it_was_escalated(book, committing):
    boss = make_channel(book, escalate_after_minutes=10)
    committing(a_breach(book))
    everything_ages(minutes=11)
    send_due()
    everything_ages(minutes=61)
    assert send_due()["reminded"] == 1
    assert turns(boss) == [0, 1]


@pytest.mark.parametrize("how", ["acknowledged", "closed", "not severe enough"])
def test_breach_is_not_escalated(book, committing, how):
    make_channel(book, escalate_after_minutes=10, min_severity="critical")
    committing(a_breach(book, severity="warning" if how == "not severe enough" else "critical"))
    everything_ages(minutes=11)
    if how == "acknowledged":
        acknowledge_event(RiskEvent.objects.get(), make_user("risk_manager"))
    if how == "closed":
        close_portfolio_events(["BOOK"], [Type.LIMIT_BREACH])
    assert send_due()["escalated"] == 0


# --- Acknowledged -----------------------------------------------------------------------------------------
def test_first_acknowledgement_stands_and_is_published(open_breach, django_capture_on_commit_callbacks):
    first, second = make_user("risk_manager", username="first"), make_user("risk_manager", username="second")
    with django_capture_on_commit_callbacks(execute=True):
        acknowledge_event(open_breach, first)
        acknowledge_event(open_breach, second)
    assert RiskEvent.objects.get().acknowledged_by == first
    told = [message for message in published() if message["event"] == "alert.acknowledged"]
    assert [message["acknowledged_by"] for message in told] == ["first"]


def test_time_of_the_acknowledgement_is_the_databases(open_breach):
    acknowledge_event(open_breach, make_user("risk_manager"))
    assert abs(open_breach.acknowledged_at - timezone.now()) < timedelta(minutes=1)


def test_what_is_about_all_portfolios_is_told_once_to_each_target_of_any_of_them():
    for name, target in (("ONE", HOOK), ("TWO", HOOK), ("THREE", f"{HOOK}/3")):
        make_channel(a_portfolio(name), target)
    make_channel(a_portfolio("ONE"), f"{HOOK}/quiet", enabled=False)
    stalled = a_breach(None, event_type=RiskEvent.Type.MONITORING_STALLED, message="The monitor has not run for 42 s")
    record_events([stalled])
    assert sorted(stalled.deliveries.values_list("target", flat=True)) == [HOOK, f"{HOOK}/3"]


def test_channel_that_was_made_after_the_breach_is_told_of_it(book, committing):
    committing(a_breach(book))
    assert not AlertDelivery.objects.exists()
    make_channel(book)
    send_due()
    send_due()
    assert AlertDelivery.objects.count() == 1
