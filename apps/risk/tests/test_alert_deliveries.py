"""One delivery: claimed once, tried until it arrives or is given up, found again after whatever died."""

import base64
import json
import math
import time
from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import connection
from django.utils import timezone

from apps.risk.alert_channels import change_channel
from apps.risk.alerts import send_due
from apps.risk.deliveries import LONGEST_WAIT_SECONDS, MOST_QUEUED, deliver, resend, wait_seconds
from apps.risk.errors_alerts import ChannelGoneError, NotDeadError
from apps.risk.models import AlertDelivery, RiskEvent
from apps.risk.tests.alerting import deliver_all, let_pass, make_channel, make_delivery, redis_away
from apps.risk.tests.far_sides import Said
from nautilus.connections import redis_client
from workers import alerts as tasks

pytestmark = pytest.mark.django_db

DOWN = Said(503, b"down")


@pytest.fixture(autouse=True)
def empty_queues() -> None:
    redis_client().flushdb()


def row(delivery: AlertDelivery) -> AlertDelivery:
    return AlertDelivery.objects.get(pk=delivery.pk)


def one(delivery: AlertDelivery) -> object:
    return AlertDelivery.objects.filter(pk=delivery.pk)


def seconds_until_next(delivery: AlertDelivery) -> float:
    return (row(delivery).next_attempt_at - timezone.now()).total_seconds()


def test_delivery_that_arrives_is_done_and_keeps_the_answer(sink):
    delivery = make_delivery(sink.url)
    assert deliver(delivery.pk).delivered
    after = row(delivery)
    assert (after.status, after.attempts, after.last_answer) == ("delivered", 1, "200 ok")
    assert after.delivered_at is not None
    attempt = after.history.get()
    assert (attempt.number, attempt.delivered, attempt.answer) == (1, True, "200 ok")
    assert attempt.elapsed_ms > 0


def test_delivery_is_tried_again_under_the_same_id_until_it_arrives(sink):
    sink.answers = [DOWN, DOWN, Said()]
    delivery = make_delivery(sink.url)
    deliver_all()
    assert row(delivery).status == "delivered"
    assert [attempt.answer for attempt in row(delivery).history.all()] == ["503 down", "503 down", "200 ok"]
    assert [heard.headers["Idempotency-Key"] for heard in sink.heard] == [str(delivery.pk)] * 3


def test_delivery_that_failed_waits_for_its_time(sink):
    sink.answers = [DOWN]
    delivery = make_delivery(sink.url)
    deliver(delivery.pk)
    one(delivery).update(next_attempt_at=timezone.now() + timedelta(seconds=30))
    assert deliver(delivery.pk) is None
    assert len(sink.heard) == 1


def test_waits_double_up_to_a_minute_and_are_spread():
    longest = [max(wait_seconds(attempts) for _ in range(400)) for attempts in (1, 2, 3, 6, 7, 11)]
    for seen, bound in zip(longest, (1, 2, 4, 32, 60, 60), strict=True):
        assert 0.8 * bound < seen <= bound
    assert min(wait_seconds(11) for _ in range(400)) < 0.2 * LONGEST_WAIT_SECONDS


def test_far_side_that_asks_for_time_gets_it(sink):
    sink.answers = [Said(429, b"", {"Retry-After": "100"})]
    delivery = make_delivery(sink.url)
    deliver(delivery.pk)
    assert 95 < seconds_until_next(delivery) <= 100


def test_delivery_is_dead_after_the_last_attempt(sink, settings):
    settings.ALERT_MAX_ATTEMPTS = 3
    sink.answers = [DOWN]
    delivery = make_delivery(sink.url)
    deliver_all()
    assert (row(delivery).status, row(delivery).attempts, len(sink.heard)) == ("dead", 3, 3)


def test_delivery_that_is_refused_for_good_is_dead_at_once(sink):
    sink.answers = [Said(404, b"no such hook")]
    delivery = make_delivery(sink.url)
    deliver(delivery.pk)
    assert (row(delivery).status, row(delivery).last_answer) == ("dead", "404 no such hook")


def test_delivery_to_an_address_inside_is_dead_at_once():
    delivery = make_delivery("https://169.254.169.254/latest")
    deliver(delivery.pk)
    assert row(delivery).status == "dead"
    assert "not in the public Internet" in row(delivery).last_answer


def test_delivery_whose_channel_was_switched_off_is_dead(sink):
    delivery = make_delivery(sink.url)
    change_channel(delivery.channel, {"enabled": False})
    deliver(delivery.pk)
    assert (row(delivery).status, row(delivery).last_answer) == ("dead", "The channel was switched off.")
    assert sink.heard == []


def test_delivery_whose_channel_was_deleted_is_dead_and_stays_so():
    delivery = make_delivery()
    delivery.channel.delete()
    deliver(delivery.pk)
    assert (row(delivery).status, row(delivery).last_answer) == ("dead", "The channel was deleted.")
    with pytest.raises(ChannelGoneError):
        resend(row(delivery))


def test_delivery_that_waits_goes_to_the_target_that_was_mended(sink):
    delivery = make_delivery("https://93.184.216.34/old")
    change_channel(delivery.channel, {"target": sink.url})
    deliver(delivery.pk)
    assert (row(delivery).status, row(delivery).target) == ("delivered", sink.url)


def test_dead_delivery_is_sent_again_under_its_id_with_all_its_attempts(sink, settings):
    settings.ALERT_MAX_ATTEMPTS = 2
    sink.answers = [DOWN]
    delivery = make_delivery(sink.url)
    deliver_all()
    resend(row(delivery))
    sink.answers = [DOWN, Said()]
    deliver_all()
    assert (row(delivery).status, row(delivery).attempts) == ("delivered", 4)
    assert {heard.headers["Idempotency-Key"] for heard in sink.heard} == {str(delivery.pk)}


def test_delivery_that_is_not_dead_is_not_sent_again():
    delivery = make_delivery()
    with pytest.raises(NotDeadError, match="pending"):
        resend(delivery)


def test_failure_that_nobody_thought_of_is_kept_and_tried_again():
    delivery = make_delivery()
    RiskEvent.objects.update(value=math.inf)  # no JSON can say this
    deliver(delivery.pk)
    assert row(delivery).status == "pending"
    assert "ValueError" in row(delivery).last_answer


# --- Who died, and what was lost --------------------------------------------------------------------------
def test_delivery_of_a_sender_that_died_is_taken_over_when_its_lease_is_over(sink):
    delivery = make_delivery(sink.url, status="sending", attempts=1)
    one(delivery).update(next_attempt_at=timezone.now() + timedelta(seconds=30))
    assert send_due()["released"] == 0
    let_pass(one(delivery), "next_attempt_at", seconds=31)
    assert send_due()["released"] == 1
    assert "sender was lost" in row(delivery).history.get().answer
    deliver_all()
    assert (row(delivery).status, row(delivery).attempts, len(sink.heard)) == ("delivered", 2, 1)


def test_delivery_that_loses_every_sender_is_given_up(settings):
    settings.ALERT_MAX_ATTEMPTS = 2
    delivery = make_delivery(status="sending", attempts=2)
    send_due()
    assert row(delivery).status == "dead"


@pytest.mark.django_db(transaction=True)
def test_delivery_that_arrived_while_it_counted_as_lost_is_delivered(sink):
    sink.answers = [Said(seconds=1)]
    delivery = make_delivery(sink.url)
    sender = in_threads(1, lambda: deliver(delivery.pk))
    while not sink.heard:
        time.sleep(0.01)
    let_pass(one(delivery), "next_attempt_at", minutes=5)
    assert send_due()["released"] == 1
    join(sender)
    assert row(delivery).status == "delivered"


def test_message_that_was_lost_is_sent_again():
    delivery = make_delivery()
    assert send_due()["queued"] == 1
    redis_client().flushdb()
    assert send_due()["queued"] == 0  # it may still be on its way
    let_pass(one(delivery), "next_attempt_at", seconds=6)
    assert send_due()["queued"] == 1
    assert redis_client().llen("alerts_queue") == 1


def test_message_that_comes_twice_is_one_attempt(sink):
    sink.answers = [DOWN]
    delivery = make_delivery(sink.url)
    tasks.deliver(str(delivery.pk), 0)
    tasks.deliver(str(delivery.pk), 0)
    assert (row(delivery).attempts, len(sink.heard)) == (1, 1)


def test_delivery_that_is_done_or_not_there_is_left_alone(sink):
    delivery = make_delivery(sink.url, status="delivered")
    tasks.deliver(str(delivery.pk), 0)
    tasks.deliver("00000000-0000-0000-0000-000000000000", 0)
    assert sink.heard == []


def test_queue_takes_so_many_messages_and_no_more():
    channel = make_channel()
    for _ in range(3):
        make_delivery(channel=channel)
    redis_client().lpush("alerts_queue", *["x"] * (MOST_QUEUED - 2))
    assert send_due()["queued"] == 2
    assert send_due()["queued"] == 0


def test_message_names_the_delivery_and_its_attempts():
    delivery = make_delivery(attempts=4)
    tasks.send_due()
    message = json.loads(redis_client().lindex("alerts_queue", 0))
    assert message["headers"]["task"] == "alerts.deliver"
    assert json.loads(base64.b64decode(message["body"]))[0] == [str(delivery.pk), 4]


def test_redis_that_is_away_is_logged_and_nothing_is_lost(monkeypatch, caplog):
    delivery = make_delivery()
    with monkeypatch.context() as patch:
        patch.setattr("apps.risk.deliveries.redis_client", redis_away)
        assert send_due()["queued"] == 0
    assert "Redis" in caplog.text
    assert row(delivery).status == "pending"
    assert send_due()["queued"] == 1


@pytest.mark.django_db(transaction=True)
def test_many_senders_at_once_send_once(sink):
    delivery = make_delivery(sink.url)
    join(in_threads(8, lambda: deliver(delivery.pk)))
    assert (row(delivery).status, row(delivery).attempts, len(sink.heard)) == ("delivered", 1, 1)


@pytest.mark.django_db(transaction=True)
def test_sweeps_at_once_queue_each_delivery_once():
    channel = make_channel()
    for _ in range(20):
        make_delivery(channel=channel)
    queued: list[int] = []
    join(in_threads(4, lambda: queued.append(send_due()["queued"])))
    assert sum(queued) == 20
    assert redis_client().llen("alerts_queue") == 20


def in_threads(count: int, work: Callable[[], object]) -> list[Thread]:
    """Started at the same moment, each with a connection of its own."""
    together = Barrier(count)

    def run() -> None:
        together.wait()
        work()
        connection.close()

    threads = [Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def join(threads: list[Thread]) -> None:
    for thread in threads:
        thread.join()


def test_answer_is_kept_without_what_the_database_refuses_and_without_the_url_s_secret(sink):
    sink.answers = [Said(200, b"GIF\0 for /hook/T0KEN")]
    delivery = make_delivery(sink.url.replace("/hook", "/hook/T0KEN"))
    deliver(delivery.pk)
    delivery.refresh_from_db()
    assert (delivery.status, delivery.last_answer) == ("delivered", "200 GIF\ufffd for …")
