"""The hub: who hears what, once and in order."""

import asyncio
import time

import pytest
from redis import Redis

from apps.realtime.hub import LOST, Hub
from apps.realtime.outbox import MAX_WAITING
from apps.realtime.protocol import Subscribe
from apps.realtime.subscriptions import PatternSubscription, TopicSubscription
from apps.realtime.tests.conftest import OwnValkey
from apps.realtime.tests.ears import Ear, in_thread, publish, run
from apps.realtime.topics import head_key, stream_key


def test_every_listener_gets_every_message_once_and_in_order(valkey: OwnValkey, topic: str) -> None:
    async def story(hub: Hub) -> None:
        ears = [Ear(hub) for _ in range(20)]
        for ear in ears:
            answer = await ear.subscribe(topic)
            assert (answer["type"], answer["seq"], answer["recovered"]) == ("subscribed", 0, True)
        await in_thread(publish, valkey, topic, 50)
        for ear in ears:
            await ear.until(lambda ear=ear: len(ear.seqs) == 50)
            assert ear.seqs == list(range(1, 51))

    run(valkey, story)


def test_since_brings_back_exactly_what_was_missed(valkey: OwnValkey, topic: str) -> None:
    async def story(hub: Hub) -> None:
        first = Ear(hub)
        epoch = (await first.subscribe(topic))["epoch"]
        await in_thread(publish, valkey, topic, 10)
        back = Ear(hub)
        answer = await back.subscribe(topic, since=4, epoch=epoch)
        assert (answer["recovered"], answer["seq"], answer["epoch"]) == (True, 10, epoch)
        await in_thread(publish, valkey, topic)
        await back.until(lambda: len(back.seqs) == 7)
        assert back.seqs == [5, 6, 7, 8, 9, 10, 11]

    run(valkey, story)


@pytest.mark.parametrize(
    ("since", "epoch", "goes_on_from"), [(3, "another", 5), (11, None, 10), (2, None, 5), (0, None, 5)]
)
def test_since_that_cannot_be_answered_is_told_and_what_is_kept_comes(
    valkey: OwnValkey, topic: str, since: int, epoch: str | None, goes_on_from: int
) -> None:
    async def story(hub: Hub) -> None:
        await in_thread(publish, valkey, topic, 10)
        valkey.client.xtrim(stream_key(topic), maxlen=5, approximate=False)
        ear = Ear(hub)
        answer = await ear.subscribe(topic, since=since, epoch=epoch)
        assert (answer["recovered"], answer["seq"]) == (False, goes_on_from)
        await in_thread(publish, valkey, topic)
        await ear.until(lambda: ear.seqs[-1:] == [11])
        assert ear.seqs == list(range(goes_on_from + 1, 12))

    run(valkey, story)


def test_since_at_the_last_message_is_recovered_also_when_the_stream_has_expired(valkey: OwnValkey, topic: str) -> None:
    async def story(hub: Hub) -> None:
        await in_thread(publish, valkey, topic, 3)
        valkey.client.delete(stream_key(topic))
        assert (await Ear(hub).subscribe(topic, since=3))["recovered"] is True
        assert (await Ear(hub).subscribe(topic, since=2))["recovered"] is False

    run(valkey, story)


def test_no_gap_and_no_double_while_publishing_during_subscribe(valkey: OwnValkey, topic: str) -> None:
    def publish_steadily() -> None:
        with Redis.from_url(valkey.url, decode_responses=True) as client:
            for _ in range(150):
                publish(valkey, topic, 20, client)
                time.sleep(0.01)

    async def come_and_go(ear: Ear) -> None:
        assert (await ear.subscribe(topic, since=0))["recovered"] is True
        # The last one leaving races with the next one coming.
        left = ear.subscriptions[topic]
        await ear.unsubscribe(topic)
        assert isinstance(left, TopicSubscription)
        await ear.subscribe(topic, since=left.seq)

    async def story(hub: Hub) -> None:
        publishing = [asyncio.ensure_future(in_thread(publish_steadily)) for _ in range(2)]
        ears = [Ear(hub) for _ in range(30)]
        for ear in ears[:10]:
            await come_and_go(ear)
        await asyncio.gather(*(come_and_go(ear) for ear in ears[10:]))
        await asyncio.gather(*publishing)
        for ear in ears:
            await ear.until(lambda ear=ear: ear.seqs[-1:] == [6_000])
            assert ear.seqs == list(range(1, 6_001))

    run(valkey, story)


def test_long_history_is_replayed_without_overflowing_the_outbox(valkey: OwnValkey, topic: str) -> None:
    async def story(hub: Hub) -> None:
        count = 3 * MAX_WAITING
        await in_thread(publish, valkey, topic, count)
        ear = Ear(hub)
        await ear.subscribe(topic, since=0)
        await ear.until(lambda: len(ear.seqs) == count)
        assert ear.seqs == list(range(1, count + 1))
        assert not ear.overflowed

    run(valkey, story)


def test_hub_holds_a_redis_subscription_only_while_somebody_listens(valkey: OwnValkey, topic: str) -> None:
    def subscribers() -> int:
        return dict(valkey.client.pubsub_numsub(topic))[topic]

    async def story(hub: Hub) -> None:
        one, two = Ear(hub), Ear(hub)
        await one.subscribe(topic)
        await two.subscribe(topic)
        assert subscribers() == 1
        await one.unsubscribe(topic)
        assert subscribers() == 1
        await two.unsubscribe(topic)
        await one.until(lambda: subscribers() == 0)

    run(valkey, story)


def test_pattern_takes_all_topics_that_begin_so_and_nothing_else(valkey: OwnValkey, topic: str) -> None:
    async def story(hub: Hub) -> None:
        ear = Ear(hub)
        answer = await ear.subscribe(f"{topic}[?:*")
        assert (answer["seq"], answer["epoch"], answer["recovered"]) == (None, None, True)
        for name in (f"{topic}[?:a", f"{topic}[?:b", f"{topic}x:c", f"{topic}[?:a"):
            await in_thread(publish, valkey, name)
        await ear.until(lambda: len(ear.seqs) == 3)
        told = [(frame["topic"][-1], frame["seq"]) for frame in ear.frames[1:]]
        assert told == [("a", 1), ("b", 1), ("a", 2)]

    run(valkey, story)


def test_pattern_of_a_word_does_not_reach_topics_with_a_prefix(valkey: OwnValkey, topic: str) -> None:
    async def story(hub: Hub) -> None:
        ear = Ear(hub)
        await ear.subscribe(f"{topic}*")
        await in_thread(publish, valkey, f"{topic}:secret")
        await in_thread(publish, valkey, f"{topic}-open")
        await ear.until(lambda: len(ear.seqs) == 1)
        assert ear.frames[-1]["topic"] == f"{topic}-open"

    run(valkey, story)


def test_topic_under_its_own_name_and_a_pattern_comes_once(valkey: OwnValkey, topic: str) -> None:
    async def story(hub: Hub) -> None:
        ear = Ear(hub)
        await ear.subscribe(f"{topic}:*")
        await ear.subscribe(f"{topic}:a")
        await in_thread(publish, valkey, f"{topic}:a", 3)
        await in_thread(publish, valkey, f"{topic}:b")
        await ear.until(lambda: len(ear.seqs) == 4)
        assert ear.seqs == [1, 2, 3, 1]

    run(valkey, story)


def test_topic_joined_beside_its_pattern_loses_and_doubles_nothing(valkey: OwnValkey, topic: str) -> None:
    def publish_steadily() -> None:
        with Redis.from_url(valkey.url, decode_responses=True) as client:
            publish(valkey, f"{topic}:a", 2_000, client)

    async def story(hub: Hub) -> None:
        ears = [Ear(hub) for _ in range(20)]
        for ear in ears:
            await ear.subscribe(f"{topic}:*")
        publishing = asyncio.ensure_future(in_thread(publish_steadily))
        await ears[0].until(lambda: bool(ears[0].seqs))
        for ear in ears:
            await ear.subscribe(f"{topic}:a")
        await publishing
        for ear in ears:
            await ear.until(lambda ear=ear: ear.seqs[-1:] == [2_000])
            assert ear.seqs == list(range(1, 2_001))

    run(valkey, story)


def test_message_that_two_patterns_cover_comes_once_by_the_narrower(valkey: OwnValkey, topic: str) -> None:
    async def story(hub: Hub) -> None:
        ear = Ear(hub)
        await ear.subscribe(f"{topic}:*")
        await ear.subscribe(f"{topic}:a:*")
        await in_thread(publish, valkey, f"{topic}:a:1", 2)
        await in_thread(publish, valkey, f"{topic}:b:1")
        await ear.until(lambda: ear.frames[-1].get("topic") == f"{topic}:b:1")
        assert ear.seqs == [1, 2, 1]

    run(valkey, story)


def test_foreign_bytes_on_a_channel_do_not_stop_the_hub(valkey: OwnValkey, topic: str) -> None:
    async def story(hub: Hub) -> None:
        ear = Ear(hub)
        await ear.subscribe(topic)
        for foreign in (b"\xff\xfe", b"{}", b"", b'{"type":"message","topic":"x","seq":"1"}'):
            valkey.client.publish(topic, foreign)
        await in_thread(publish, valkey, topic)
        await ear.until(lambda: ear.seqs == [1])
        assert ear.losses == []

    run(valkey, story)


def test_reader_that_does_not_read_is_given_up_and_holds_up_nobody(valkey: OwnValkey, topic: str) -> None:
    async def story(hub: Hub) -> None:
        stuck, ear = Ear(hub), Ear(hub)
        await stuck.subscribe(topic)
        await ear.subscribe(topic)
        stuck.outbox._send = lambda frame: asyncio.Event().wait()  # type: ignore[assignment, return-value]
        await in_thread(publish, valkey, topic, MAX_WAITING + 5)
        await ear.until(lambda: len(ear.seqs) == MAX_WAITING + 5)
        await stuck.until(lambda: stuck.overflowed)

    run(valkey, story)


def test_message_that_is_on_its_way_while_its_topic_is_joined_comes_by_the_pattern(
    valkey: OwnValkey, topic: str
) -> None:
    """The head is read on another connection than the messages come by, and may be ahead of them."""

    async def story(hub: Hub) -> None:
        ear = Ear(hub)
        await ear.subscribe(f"{topic}:*")
        deliver, held = hub._link._handle, []
        hub._link._handle = lambda message: held.append(message) or 0  # type: ignore[func-returns-value]
        await in_thread(publish, valkey, f"{topic}:a", 2)
        await ear.until(lambda: len(held) == 2)
        hub._link._handle = lambda message: (
            deliver(message) if message["type"] == "subscribe" else held.append(message) or 0
        )
        assert (await ear.subscribe(f"{topic}:a"))["seq"] == 2
        hub._link._handle = deliver
        for message in held:
            deliver(message)
        await in_thread(publish, valkey, f"{topic}:a")
        await ear.until(lambda: ear.seqs[-1:] == [3])
        assert ear.seqs == [1, 2, 3]

    run(valkey, story)


def test_loss_that_a_publisher_tells_reaches_topic_and_pattern_at_once(valkey: OwnValkey, topic: str) -> None:
    async def story(hub: Hub) -> None:
        ear, other = Ear(hub), Ear(hub)
        await ear.subscribe(f"{topic}:a")
        await other.subscribe(f"{topic}:*")
        await in_thread(publish, valkey, f"{topic}:a")
        await ear.until(lambda: ear.seqs == [1])
        valkey.client.hincrby(head_key(f"{topic}:a"), "seq", 3)
        valkey.client.publish(f"{topic}:a", LOST)
        await ear.until(lambda: bool(ear.losses))
        assert [loss["seq"] for loss in ear.losses] == [4]
        await other.until(lambda: bool(other.losses))
        await in_thread(publish, valkey, f"{topic}:a")
        await ear.until(lambda: ear.seqs == [1, 5])
        assert len(ear.losses) == 1

    run(valkey, story)


@pytest.mark.parametrize("is_live", [True, False])
def test_every_hole_in_a_history_is_told_and_all_the_rest_comes(valkey: OwnValkey, topic: str, is_live: bool) -> None:
    async def story(hub: Hub) -> None:
        ear = Ear(hub)
        if is_live:
            await ear.subscribe(topic)
        for lost in (2, 3, 0):
            await in_thread(publish, valkey, topic, 2)
            valkey.client.hincrby(head_key(topic), "seq", lost)
        if not is_live:
            await ear.subscribe(topic, since=0)
        await ear.until(lambda: ear.seqs == [1, 2, 5, 6, 10, 11])
        assert [loss["seq"] for loss in ear.losses][-2:] == [4, 9]

    run(valkey, story)


def test_longer_pattern_that_has_not_begun_takes_nothing_from_the_shorter(valkey: OwnValkey, topic: str) -> None:
    async def story(hub: Hub) -> None:
        ear = Ear(hub)
        await ear.subscribe(f"{topic}:*")
        request = Subscribe(f"{topic}:a*")
        ear.subscriptions[request.topic] = PatternSubscription(request, ear.channel, ear.subscriptions)
        await in_thread(publish, valkey, f"{topic}:a")
        await ear.until(lambda: ear.seqs == [1])

    run(valkey, story)


def test_topic_that_is_left_while_it_catches_up_says_nothing_more(valkey: OwnValkey, topic: str) -> None:
    async def story(hub: Hub) -> None:
        ear = Ear(hub)
        await ear.subscribe(topic)
        left = ear.subscriptions[topic]
        await in_thread(publish, valkey, topic, 3)
        await ear.until(lambda: ear.seqs == [1, 2, 3])
        await ear.unsubscribe(topic)
        await in_thread(publish, valkey, topic, 3)
        await hub._has_caught_up(left)  # type: ignore[arg-type]
        assert ear.losses == []
        assert ear.seqs == [1, 2, 3]

    run(valkey, story)
