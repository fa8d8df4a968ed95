import json
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.db import transaction
from redis import Redis

from apps.realtime.topics import (
    BadTopicError,
    Encoded,
    Fence,
    FencedError,
    check_subscription,
    check_topic,
    head_key,
    parse_message,
    publish,
    publish_after_commit,
    publish_many,
    publish_once,
    stream_key,
)


@pytest.fixture
def redis() -> Redis:
    return Redis.from_url(settings.REDIS_URL, decode_responses=True)


def messages_of(redis: Redis, topic: str) -> list[dict[str, Any]]:
    return [json.loads(fields["text"]) for _, fields in redis.xrange(stream_key(topic))]


def test_seq_starts_at_one_and_grows_by_one(topic: str) -> None:
    assert [publish(topic, {"n": n}) for n in range(5)] == [1, 2, 3, 4, 5]


def test_concurrent_publishers_never_share_or_skip_a_seq(topic: str, redis: Redis) -> None:
    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(lambda n: publish(topic, {"n": n}), range(400)))
    kept = messages_of(redis, topic)
    assert sorted(given) == list(range(1, 401))
    assert [message["seq"] for message in kept] == list(range(1, 401))
    assert {message["data"]["n"] for message in kept} == set(range(400))


def test_message_has_the_contracts_fields_and_goes_over_the_channel_of_the_topics_name(
    topic: str, redis: Redis
) -> None:
    listening = redis.pubsub(ignore_subscribe_messages=True)
    listening.subscribe(topic)
    listening.get_message(timeout=2)
    publish(topic, {"price": 1.5, "name": "Zürich ☃"})
    text = (listening.get_message(timeout=2) or {})["data"]
    message = json.loads(text)
    assert list(message) == ["type", "topic", "seq", "epoch", "timestamp", "data"]
    assert (message["type"], message["topic"], message["seq"]) == ("message", topic, 1)
    assert message["epoch"] == redis.hget(head_key(topic), "epoch")
    assert message["timestamp"].endswith("Z")
    assert datetime.fromisoformat(message["timestamp"]).tzinfo == UTC
    assert message["data"] == {"price": 1.5, "name": "Zürich ☃"}
    assert messages_of(redis, topic) == [message]


def test_header_is_read_without_decoding_the_data(topic: str, redis: Redis) -> None:
    publish(topic, {"seq": 99, "epoch": "other"})
    [(_, fields)] = redis.xrange(stream_key(topic))
    message = parse_message(topic, fields["text"])
    assert message is not None
    assert (message.seq, message.epoch) == (1, redis.hget(head_key(topic), "epoch"))


def test_foreign_text_on_a_channel_is_no_message(topic: str) -> None:
    assert parse_message(topic, '{"type":"task"}') is None


def test_stream_is_capped_and_expires(topic: str, redis: Redis) -> None:
    for _ in range(3):
        publish(topic, {})
    assert 0 < redis.ttl(stream_key(topic)) <= 600
    assert redis.ttl(head_key(topic)) > 600


def test_lost_head_begins_a_new_epoch_without_the_old_messages(topic: str, redis: Redis) -> None:
    publish(topic, {"old": True})
    publish(topic, {"old": True})
    before = redis.hget(head_key(topic), "epoch")
    redis.delete(head_key(topic))
    assert publish(topic, {"old": False}) == 1
    assert redis.hget(head_key(topic), "epoch") != before
    assert [message["data"] for message in messages_of(redis, topic)] == [{"old": False}]


def test_dates_decimals_and_ids_are_written_as_the_rest_api_writes_them(topic: str, redis: Redis) -> None:
    moment = datetime(2022, 12, 28, 1, 2, 3, tzinfo=UTC)
    ident = UUID(int=1)
    publish(topic, {"day": date(2022, 12, 28), "at": moment, "amount": Decimal("1.25"), "id": ident})
    [message] = messages_of(redis, topic)
    assert message["data"] == {
        "day": "2022-12-28",
        "at": "2022-12-28T01:02:03Z",
        "amount": 1.25,
        "id": "00000000-0000-0000-0000-000000000001",
    }


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), Decimal("NaN")])
def test_nan_is_refused(topic: str, bad: Any) -> None:
    with pytest.raises(ValueError):
        publish(topic, {"var": bad})


def test_client_of_the_callers_own_being_away_is_logged_and_answered_with_none(
    topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    nobody = Redis(port=1, socket_connect_timeout=0.5)
    with caplog.at_level(logging.WARNING, "apps.realtime.topics"):
        assert publish(topic, {"n": 1}, client=nobody) is None
    assert topic in caplog.text


@pytest.mark.parametrize("name", ["", "x" * 201, "two words", "tab\t", "new\nline", "a*", "*", "\ud800", "nul\x00"])
def test_names_no_topic_can_have(name: str) -> None:
    with pytest.raises(BadTopicError):
        check_topic(name)


def test_star_stands_at_the_end_of_a_subscription_only() -> None:
    assert check_subscription("portfolio:updates:*") == "portfolio:updates:*"
    for name in ("*", "a*b", "a**", "*a"):
        with pytest.raises(BadTopicError):
            check_subscription(name)


@pytest.mark.django_db(transaction=True)
def test_published_after_commit_and_not_after_rollback(topic: str, redis: Redis) -> None:
    with transaction.atomic():
        publish_after_commit(topic, {"n": 1})
        assert messages_of(redis, topic) == []
    with transaction.atomic():
        publish_after_commit(topic, {"n": 2})
        transaction.set_rollback(True)
    publish_after_commit(topic, {"n": 3})
    assert [message["data"]["n"] for message in messages_of(redis, topic)] == [1, 3]


@pytest.mark.django_db(transaction=True)
def test_data_is_taken_as_it_was_when_published(topic: str, redis: Redis) -> None:
    data = {"status": "processing"}
    with transaction.atomic():
        publish_after_commit(topic, data)
        data["status"] = "succeeded"
    assert messages_of(redis, topic)[0]["data"] == {"status": "processing"}


def test_many_messages_are_published_as_each_alone_would_be(topic: str, redis: Redis) -> None:
    messages = [(f"{topic}:{n % 3}", {"n": n}) for n in range(200)]
    assert publish_many(messages) == [n // 3 + 1 for n in range(200)]
    for part in range(3):
        kept = messages_of(redis, f"{topic}:{part}")
        assert [message["data"]["n"] for message in kept] == list(range(part, 200, 3))


def test_topic_keeps_as_many_messages_as_its_publisher_asks_for(topic: str, redis: Redis) -> None:
    for _ in range(10):
        publish_many([(topic, {"n": n}) for n in range(50)], history_messages=100)
    kept = messages_of(redis, topic)
    assert 100 <= len(kept) < 250  # streams are cut by whole nodes, of 100 messages at the most
    assert kept[-1]["seq"] == 500


def test_bad_topic_among_many_publishes_none_of_its_step(topic: str, redis: Redis) -> None:
    with pytest.raises(BadTopicError):
        publish_many([(topic, {}), ("two words", {})])
    assert messages_of(redis, topic) == []


def test_fence_that_is_not_what_it_must_be_lets_nothing_through(topic: str, redis: Redis) -> None:
    fence = Fence(f"{topic}:lease", "mine", f"{topic}:stamp")
    redis.set(fence.key, "another's")
    with pytest.raises(FencedError):
        publish_many([(topic, {})], fence=fence)
    assert messages_of(redis, topic) == []
    assert redis.hgetall(fence.stamp) == {}


def test_fence_that_holds_is_stamped_with_the_time_of_the_publish(topic: str, redis: Redis) -> None:
    fence = Fence(f"{topic}:lease", "mine", f"{topic}:stamp")
    redis.set(fence.key, fence.value)
    publish_many([(topic, {})], fence=fence)
    second, _ = redis.time()
    stamp = redis.hgetall(fence.stamp)
    assert (stamp["by"], stamp["ended"]) == ("mine", "")
    assert abs(int(stamp["at"]) / 1e6 - second) < 60


def test_name_that_was_published_answers_with_its_seq_to_the_last_digit(topic: str, redis: Redis) -> None:
    redis.hset(head_key(topic), "seq", 1_234_567_890_123_456)
    for _ in range(2):
        assert publish_once([(f"{topic}:1", topic, {})]) == [1_234_567_890_123_457]


def test_named_message_that_its_topics_keys_do_not_take_is_logged(
    topic: str, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    redis.set(head_key(topic), "by another program")
    assert publish_once([(f"{topic}:1", topic, {})]) == [0]
    assert f"Redis refused a message on '{topic}'" in caplog.text


def test_encoded_data_goes_out_as_it_is(topic: str, redis: Redis) -> None:
    publish_many([(topic, Encoded('{"price":1.50}'))])
    [(_, fields)] = redis.xrange(stream_key(topic))
    assert fields["text"].endswith('"data":{"price":1.50}}')
