"""`/risk/alerts`: what is shown to whom, channels, test messages, acknowledging, dead letters."""

import json

import pytest

from apps.portfolios.tests.factories import client_of, make_user
from apps.risk.alerts import acknowledge_event
from apps.risk.deliveries import deliver
from apps.risk.events import event_as_dict
from apps.risk.models import AlertChannel, AlertDelivery, RiskEvent
from apps.risk.tests.alerting import (
    HOOK,
    SECRET,
    a_breach,
    a_portfolio,
    let_pass,
    make_channel,
    make_delivery,
    redis_away,
)
from apps.risk.tests.far_sides import Said
from nautilus.connections import redis_client

pytestmark = pytest.mark.django_db

ALERTS = "/api/v1/sprint3/risk/alerts"
BOOK = f"{ALERTS}/BOOK"
CHANNELS = f"{BOOK}/channels"


@pytest.fixture
def book():
    return a_portfolio()


@pytest.fixture
def manager():
    return client_of("risk_manager")


@pytest.fixture
def viewer():
    return client_of("viewer")


def the_error(answer: object, status: int = 400) -> dict:
    assert answer.status_code == status, answer.content
    return answer.json()["errors"][0]


def store(*events: RiskEvent) -> None:
    for event in events:
        event.save()


# --- Read -------------------------------------------------------------------------------------------------
def test_viewer_reads_alerts_newest_first_with_what_became_of_each_message(book, viewer, sink):
    delivery = make_delivery(sink.url)
    deliver(delivery.pk)
    let_pass(RiskEvent.objects.all(), "timestamp", hours=1)
    store(a_breach(book, message="the newer one", limit_id=3, symbol="AAA"))
    answer = viewer.get(BOOK).json()
    assert (answer["portfolio_id"], answer["count"], answer["next"]) == ("BOOK", 2, None)
    newer, older = answer["alerts"]
    assert (newer["message"], newer["limit_id"], newer["kind"], newer["symbol"]) == (
        "the newer one",
        3,
        "var_99",
        "AAA",
    )
    assert (newer["acknowledged_at"], newer["closed_at"], newer["deliveries"]) == (None, None, [])
    told = older["deliveries"][0]
    assert (told["id"], told["status"], told["attempts"]) == (str(delivery.pk), "delivered", 1)
    assert told["last_answer"] == "200 ok"
    assert told["delivered_at"].endswith("Z")


def test_channel_shows_its_last_delivery(book, viewer, sink):
    delivery = make_delivery(sink.url)
    deliver(delivery.pk)
    quiet = make_channel(book, enabled=False)
    shown = {channel["id"]: channel for channel in viewer.get(BOOK).json()["channels"]}
    last = shown[delivery.channel_id]["last_delivery"]
    assert (last["status"], last["answer"]) == ("delivered", "200 ok")
    assert (shown[quiet.pk]["last_delivery"], shown[quiet.pk]["enabled"]) == (None, False)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("event_type=limit_breach", {"open", "acknowledged"}),
        ("severity=warning", {"over"}),
        ("open=true", {"open", "acknowledged"}),
        ("open=false", {"over"}),
        ("acknowledged=false&open=true", {"open"}),
        ("since=2100-01-01T00:00:00Z", set()),
        ("since=2000-01-01T00:00:00Z&page_size=500", {"open", "over", "acknowledged"}),
    ],
)
def test_alerts_are_filtered(book, viewer, query, expected):
    over = a_breach(book, message="over", event_type="limit_warning", severity="warning")
    over.closed_at = over.timestamp
    acknowledged = a_breach(book, message="acknowledged")
    store(a_breach(book, message="open"), over, acknowledged)
    acknowledge_event(acknowledged, make_user("risk_manager"))
    assert {alert["message"] for alert in viewer.get(f"{BOOK}?{query}").json()["alerts"]} == expected


@pytest.mark.parametrize("query", ["opne=true", "open=maybe", "severity=high", "since=yesterday", "event_type=x"])
def test_filter_that_means_nothing_is_refused(book, viewer, query):
    assert the_error(viewer.get(f"{BOOK}?{query}"))["attr"] == query.split("=")[0]


def test_alerts_come_in_pages(book, viewer):
    store(*(a_breach(book) for _ in range(3)))
    first = viewer.get(f"{BOOK}?page_size=2").json()
    assert (first["count"], len(first["alerts"]), first["previous"]) == (3, 2, None)
    assert len(viewer.get(first["next"]).json()["alerts"]) == 1


def test_secret_is_never_shown_and_a_target_to_write_to_only_to_risk_managers(book, viewer, manager):
    make_channel(book, target="https://93.184.216.34/hook?token=of-others")
    make_channel(book, kind="slack", secret="", target="https://hooks.slack.com/services/T/B/of-others")
    for_viewers = viewer.get(BOOK).content.decode()
    assert "of-others" not in for_viewers
    assert SECRET not in for_viewers
    channels = manager.get(BOOK).json()["channels"]
    assert channels[0]["target"] == "https://93.184.216.34/hook?token=of-others"
    assert channels[1]["target"] == "https://hooks.slack.com/…"
    assert SECRET not in json.dumps(channels)


def test_alert_has_the_same_keys_over_rest_and_on_the_topic(book, viewer):
    event = a_breach(book)
    store(event)
    alert = viewer.get(BOOK).json()["alerts"][0]
    told = event_as_dict(event)
    assert set(alert) - {"deliveries"} <= set(told)
    assert all(alert[key] == told[key] for key in ("id", "event_type", "severity", "value", "threshold", "kind"))


def test_alerts_take_no_query_a_row(book, viewer, django_assert_max_num_queries):
    channel = make_channel(book)
    for _ in range(20):
        make_delivery(channel=channel)
    with django_assert_max_num_queries(12):
        assert len(viewer.get(BOOK).json()["alerts"]) == 20


def test_other_desks_portfolio_looks_as_if_it_were_not_there(book):
    stranger = client_of("viewer", groups=["another desk"])
    hidden, missing = stranger.get(BOOK), stranger.get(f"{ALERTS}/NONE")
    assert hidden.status_code == 404
    assert hidden.json()["errors"][0]["detail"].replace("BOOK", "NONE") == missing.json()["errors"][0]["detail"]


# --- Channels ---------------------------------------------------------------------------------------------
def test_webhook_gets_a_secret_that_is_shown_once(book, manager):
    answer = manager.post(CHANNELS, {"kind": "webhook", "target": HOOK})
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert len(made["secret"]) >= 43
    assert AlertChannel.objects.get().secret == made["secret"]
    assert (made["min_severity"], made["escalate_after_minutes"], made["enabled"]) == ("warning", 0, True)
    assert made["secret"] not in manager.get(BOOK).content.decode()


def test_channel_is_made_as_it_was_asked_for(book, manager):
    asked = {
        "kind": "email",
        "target": "risk@desk.example",
        "min_severity": "critical",
        "escalate_after_minutes": 15,
        "enabled": False,
    }
    made = manager.post(CHANNELS, asked).json()
    assert {name: made[name] for name in asked} == asked
    assert made["secret"] == ""


@pytest.mark.parametrize(
    ("changed", "attr"),
    [
        ({"kind": "pigeon"}, "kind"),
        ({"target": "http://93.184.216.34/"}, "target"),
        ({"target": "https://127.0.0.1/"}, "target"),
        ({"target": "https://user:pw@93.184.216.34/"}, "target"),
        ({"kind": "email", "target": "nobody"}, "target"),
        ({"kind": "slack", "target": "nobody"}, "target"),
        ({"kind": "email", "target": "risk@desk.example", "secret": SECRET}, "secret"),
        ({"secret": "short"}, "secret"),
        ({"min_severity": "high"}, "min_severity"),
        ({"escalate_after_minutes": -1}, "escalate_after_minutes"),
        ({"escalate_after_minutes": 1.5}, "escalate_after_minutes"),
        ({"targt": HOOK}, "targt"),
    ],
)
def test_channel_that_could_not_work_is_refused(book, manager, changed, attr):
    assert the_error(manager.post(CHANNELS, {"kind": "webhook", "target": HOOK, **changed}))["attr"] == attr
    assert not AlertChannel.objects.exists()


def test_channel_is_changed_where_it_is_asked_and_stays_elsewhere(book, manager):
    channel = make_channel(book, min_severity="critical")
    answer = manager.patch(f"{CHANNELS}/{channel.pk}", {"enabled": False})
    assert answer.status_code == 200, answer.content
    channel.refresh_from_db()
    assert (channel.enabled, channel.min_severity, channel.target, channel.secret) == (False, "critical", HOOK, SECRET)
    assert "secret" not in answer.json()


def test_changed_target_and_secret_are_checked(book, manager):
    channel = make_channel(book)
    url = f"{CHANNELS}/{channel.pk}"
    assert the_error(manager.patch(url, {"target": "https://10.0.0.1/"}))["attr"] == "target"
    assert the_error(manager.patch(url, {"secret": "short"}))["attr"] == "secret"
    assert the_error(manager.patch(url, {"kind": "email"}))["attr"] == "kind"
    assert manager.patch(url, {"secret": "another-secret-of-ours"}).status_code == 200


def test_deleted_channel_leaves_its_deliveries(book, manager):
    delivery = make_delivery()
    assert manager.delete(f"{CHANNELS}/{delivery.channel_id}").status_code == 204
    alert = manager.get(BOOK).json()["alerts"][0]
    assert alert["deliveries"][0]["channel_id"] is None


def test_channel_of_another_portfolio_is_not_found(book, manager):
    other = make_channel(a_portfolio("OTHER"))
    assert the_error(manager.patch(f"{CHANNELS}/{other.pk}", {"enabled": False}), 404)["code"] == "not_found"
    assert the_error(manager.delete(f"{CHANNELS}/{other.pk}"), 404)["code"] == "not_found"


def test_channel_is_made_once_for_one_idempotency_key(book, manager):
    asked = {"kind": "webhook", "target": HOOK}
    answers = [manager.post(CHANNELS, asked, HTTP_IDEMPOTENCY_KEY="k1").json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert AlertChannel.objects.count() == 1


@pytest.mark.parametrize("role", ["viewer", "trader", "strategist", "operator"])
def test_only_risk_managers_change_anything(book, role):
    delivery = make_delivery(status="dead")
    client = client_of(role)
    channel = f"{CHANNELS}/{delivery.channel_id}"
    for method, url in [
        ("post", CHANNELS),
        ("patch", channel),
        ("delete", channel),
        ("post", f"{BOOK}/test"),
        ("post", f"{ALERTS}/events/{delivery.event_id}/acknowledge"),
        ("get", f"{ALERTS}/deliveries"),
        ("get", f"{ALERTS}/deliveries/{delivery.pk}"),
        ("post", f"{ALERTS}/deliveries/{delivery.pk}/resend"),
    ]:
        assert getattr(client, method)(url).status_code == 403, url


# --- Tried ------------------------------------------------------------------------------------------------
def test_test_message_answers_with_what_every_channel_said(book, manager, sink, mailbox):
    make_channel(book, target=sink.url)
    make_channel(book, kind="email", target="risk@desk.example", secret="")
    make_channel(book, target="https://10.0.0.1/")
    make_channel(book, target=sink.url, enabled=False)
    answer = manager.post(f"{BOOK}/test")
    assert answer.status_code == 200, answer.content
    hook, email, inside = answer.json()["results"]
    assert (hook["delivered"], hook["answer"], hook["target"]) == (True, "200 ok", sink.url)
    assert hook["elapsed_ms"] > 0
    assert (email["delivered"], email["answer"]) == (True, "250 2.0.0 queued as 4711")
    assert inside["delivered"] is False
    assert "not in the public Internet" in inside["answer"]
    body = json.loads(sink.heard[0].body)
    assert (body["event_type"], body["portfolio_id"]) == ("test", "BOOK")
    assert "Test message for BOOK" in mailbox.messages[0]["Subject"]
    assert (len(sink.heard), AlertDelivery.objects.count()) == (1, 0)


def test_test_message_goes_over_the_topic(book, manager):
    redis_client().flushdb()
    answer = manager.post(f"{BOOK}/test").json()
    assert answer["websocket"] == {"topic": "risk:alerts:BOOK", "published": True, "seq": 1}
    event = RiskEvent.objects.get(pk=answer["event_id"])
    assert (event.event_type, event.closed_at) == ("test", event.timestamp)


def test_test_message_says_where_redis_is_away(book, manager, monkeypatch):
    monkeypatch.setattr("apps.realtime.topics.redis_client", redis_away)
    assert manager.post(f"{BOOK}/test").json()["websocket"]["published"] is False


def test_channels_are_tried_at_the_same_time(book, manager, sink):
    sink.answers = [Said(seconds=0.5)]
    for _ in range(6):
        make_channel(book, target=sink.url)
    results = manager.post(f"{BOOK}/test").json()["results"]
    assert [result["delivered"] for result in results] == [True] * 6
    assert sum(result["elapsed_ms"] for result in results) > 3_000 > 2 * max(r["elapsed_ms"] for r in results)


def test_channel_that_hangs_is_said_within_the_time_limit(book, manager, sink, settings):
    settings.ALERT_TIMEOUT_SECONDS = 0.3
    sink.answers = [Said(seconds=2)]
    make_channel(book, target=sink.url)
    result = manager.post(f"{BOOK}/test").json()["results"][0]
    assert result["delivered"] is False
    assert "no answer" in result["answer"]
    assert result["elapsed_ms"] < 1_500


# --- Acknowledged -----------------------------------------------------------------------------------------
def test_first_acknowledgement_stands(book):
    store(a_breach(book))
    url = f"{ALERTS}/events/{RiskEvent.objects.get().pk}/acknowledge"
    first, second = client_of("risk_manager"), client_of("risk_manager")
    answer = first.post(url)
    assert answer.status_code == 200
    assert answer.json()["acknowledged_by"].startswith("risk_manager")
    assert second.post(url).json() == answer.json()


def test_event_about_all_portfolios_can_be_acknowledged(manager):
    store(a_breach(None, event_type="monitoring_stalled"))
    assert manager.post(f"{ALERTS}/events/{RiskEvent.objects.get().pk}/acknowledge").status_code == 200


@pytest.mark.parametrize("event_id", ["999999", "9" * 30])
def test_event_that_is_not_there_is_not_found(manager, event_id):
    assert the_error(manager.post(f"{ALERTS}/events/{event_id}/acknowledge"), 404)["code"] == "not_found"


# --- Dead letters -----------------------------------------------------------------------------------------
def test_dead_deliveries_are_listed_and_sent_again(book, manager, sink):
    sink.answers = [Said(404, b"no such hook")]
    dead, other = make_delivery(sink.url), make_delivery(channel=make_channel(a_portfolio("OTHER")))
    deliver(dead.pk)
    listed = manager.get(f"{ALERTS}/deliveries?status=dead&portfolio_id=BOOK").json()
    assert listed["count"] == 1
    row = listed["results"][0]
    assert (row["id"], row["last_answer"], row["portfolio_id"]) == (str(dead.pk), "404 no such hook", "BOOK")
    assert manager.get(f"{ALERTS}/deliveries?portfolio_id=OTHER").json()["results"][0]["id"] == str(other.pk)
    sink.answers = [Said()]
    assert manager.post(f"{ALERTS}/deliveries/{dead.pk}/resend").json()["status"] == "pending"
    deliver(dead.pk)
    shown = manager.get(f"{ALERTS}/deliveries/{dead.pk}").json()
    assert (shown["status"], [attempt["answer"] for attempt in shown["history"]]) == (
        "delivered",
        ["404 no such hook", "200 ok"],
    )


def test_delivery_that_is_not_dead_is_not_sent_again(book, manager):
    delivery = make_delivery()
    error = the_error(manager.post(f"{ALERTS}/deliveries/{delivery.pk}/resend"), 409)
    assert error["code"] == "delivery_not_dead"
    assert "pending" in error["detail"]


def test_delivery_without_its_channel_is_not_sent_again(book, manager):
    delivery = make_delivery(status="dead")
    delivery.channel.delete()
    error = the_error(manager.post(f"{ALERTS}/deliveries/{delivery.pk}/resend"), 409)
    assert error["code"] == "channel_deleted"


@pytest.mark.parametrize("query", ["statsu=dead", "status=lost"])
def test_filter_of_deliveries_that_means_nothing_is_refused(manager, query):
    assert the_error(manager.get(f"{ALERTS}/deliveries?{query}"))["attr"] == query.split("=")[0]


def test_delivery_that_is_not_there_is_not_found(manager):
    missing = f"{ALERTS}/deliveries/00000000-0000-0000-0000-000000000000"
    assert the_error(manager.get(missing), 404)["code"] == "not_found"
    assert the_error(manager.post(f"{missing}/resend"), 404)["code"] == "not_found"
