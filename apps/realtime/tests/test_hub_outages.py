"""The hub against a Valkey that is stopped, killed off from, wiped, and rolled back."""

import asyncio
import os
import signal
from contextlib import suppress
from typing import Any

import pytest

from apps.realtime import hub as hub_module
from apps.realtime import link as link_module
from apps.realtime import topics
from apps.realtime.control import HUBS_CHANNEL
from apps.realtime.hub import Hub, HubUnavailableError
from apps.realtime.tests.conftest import OwnValkey
from apps.realtime.tests.ears import Ear, in_thread, publish, run
from apps.realtime.topics import head_key, stream_key


def test_outage_of_redis_loses_nothing_that_is_in_the_stream(valkey: OwnValkey, topic: str) -> None:
    async def story(hub: Hub) -> None:
        ears = [Ear(hub) for _ in range(5)]
        for ear in ears:
            await ear.subscribe(topic)
        for round_ in range(1, 4):
            await in_thread(valkey.stop)
            assert topics.publish(topic, {"lost": True}, client=valkey.client) is None
            await in_thread(valkey.start)
            await in_thread(publish, valkey, topic, 100)  # before the hub is back
            for ear in ears:
                await ear.until(lambda ear=ear, round_=round_: len(ear.seqs) == 100 * round_)
        for ear in ears:
            assert ear.seqs == list(range(1, 301))
            assert ear.losses == []

    run(valkey, story)


def test_killed_connections_lose_nothing_while_publishing(valkey: OwnValkey, topic: str) -> None:
    async def story(hub: Hub) -> None:
        ears = [Ear(hub) for _ in range(5)]
        for ear in ears:
            await ear.subscribe(topic)
        publishing = asyncio.ensure_future(in_thread(publish, valkey, topic, 3_000))
        while not publishing.done():
            await asyncio.sleep(0.2)
            valkey.client.client_kill_filter(_type="pubsub")
        await publishing
        for ear in ears:
            await ear.until(lambda ear=ear: len(ear.seqs) >= 3_000)
            assert ear.seqs == list(range(1, 3_001))
            assert ear.losses == []

    run(valkey, story)


def test_wiped_redis_is_told_as_a_new_epoch_and_goes_on(valkey: OwnValkey, topic: str) -> None:
    async def story(hub: Hub) -> None:
        ear = Ear(hub)
        old = (await ear.subscribe(topic))["epoch"]
        await in_thread(publish, valkey, topic, 5)
        await ear.until(lambda: len(ear.seqs) == 5)
        valkey.client.flushdb()
        await in_thread(publish, valkey, topic, 3)
        await ear.until(lambda: len(ear.seqs) == 8)
        assert ear.seqs == [1, 2, 3, 4, 5, 1, 2, 3]
        [told] = ear.losses
        assert told["epoch"] != old
        assert told["seq"] == 0
        assert ear.frames.index(told) == 6  # before the first message of the new epoch
        back = await Ear(hub).subscribe(topic, since=5, epoch=old)
        assert (back["recovered"], back["epoch"], back["seq"]) == (False, told["epoch"], 3)
        blind = await Ear(hub).subscribe(topic, since=2, epoch=old)
        assert blind["recovered"] is False

    run(valkey, story)


def test_wiped_and_restarted_redis_is_told_without_waiting_for_a_message(valkey: OwnValkey, topic: str) -> None:
    async def story(hub: Hub) -> None:
        ear = Ear(hub)
        await ear.subscribe(topic)
        await in_thread(publish, valkey, topic, 2)
        await ear.until(lambda: len(ear.seqs) == 2)
        valkey.client.flushdb()
        await in_thread(valkey.stop)
        await in_thread(valkey.start)
        await ear.until(lambda: bool(ear.losses))
        assert ear.losses[0]["seq"] == 0

    run(valkey, story)


@pytest.mark.parametrize("published_before_the_hub_is_back", [0, 1, 4])
def test_redis_that_lost_its_last_writes_is_a_new_epoch_and_never_a_mixture(
    valkey: OwnValkey, topic: str, published_before_the_hub_is_back: int
) -> None:
    def lose_the_last_two() -> None:
        valkey.client.hset(head_key(topic), "seq", 3)
        valkey.client.xdel(stream_key(topic), "4-0", "5-0")
        # The stream's own last id goes back too, as it does when a machine fails before its disk has all.
        kept = valkey.client.xrange(stream_key(topic))
        valkey.client.delete(stream_key(topic))
        for entry, fields in kept:
            valkey.client.xadd(stream_key(topic), fields, id=entry)

    async def story(hub: Hub) -> None:
        ear = Ear(hub)
        old = (await ear.subscribe(topic))["epoch"]
        await in_thread(publish, valkey, topic, 5)
        await ear.until(lambda: len(ear.seqs) == 5)
        lose_the_last_two()
        valkey.client.client_kill_filter(_type="pubsub")
        publish(valkey, topic, published_before_the_hub_is_back)
        await ear.until(lambda: bool(ear.losses))
        assert ear.losses[0]["epoch"] != old
        await in_thread(publish, valkey, topic, 2)
        await ear.until(lambda: len(ear.seqs) == 7)
        assert ear.seqs[5:] == [1, 2]
        assert (await Ear(hub).subscribe(topic, since=5, epoch=old))["recovered"] is False

    run(valkey, story)


def test_redis_that_does_not_answer_is_said_in_time(
    valkey: OwnValkey, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "PATIENCE_SECONDS", 0.5)

    async def story(hub: Hub) -> None:
        await in_thread(valkey.stop)
        ear = Ear(hub)
        with pytest.raises(HubUnavailableError):
            await ear.subscribe(topic)
        await in_thread(valkey.start)
        await asyncio.sleep(1)
        assert (await ear.subscribe(topic))["recovered"] is True

    run(valkey, story)


def test_quiet_connection_is_asked_whether_it_lives(
    valkey: OwnValkey, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "IDLE_SECONDS", 0.1)

    async def story(hub: Hub) -> None:
        ear = Ear(hub)
        await ear.subscribe(topic)
        link = hub._link._pubsub
        await asyncio.sleep(0.6)
        assert hub._link._pubsub is link is not None
        pid = valkey.pid
        os.kill(pid, signal.SIGSTOP)
        await ear.until(lambda: hub._link._pubsub is not link)
        os.kill(pid, signal.SIGCONT)
        await in_thread(publish, valkey, topic)
        await ear.until(lambda: ear.seqs == [1])

    run(valkey, story)


def test_lost_connection_leaves_exactly_one_listener(valkey: OwnValkey, topic: str) -> None:
    """Many commands fail at once then, and each of them would begin anew."""

    async def come_and_go(hub: Hub, number: int) -> None:
        ear = Ear(hub)
        for turn in range(5):
            with suppress(HubUnavailableError):
                await ear.subscribe(f"{topic}-{number}-{turn}")
            if (name := f"{topic}-{number}-{turn}") in ear.subscriptions:
                await ear.unsubscribe(name)

    async def story(hub: Hub) -> None:
        ear = Ear(hub)
        await ear.subscribe(f"{topic}:*")
        for _ in range(3):
            coming = asyncio.gather(*(come_and_go(hub, number) for number in range(60)))
            await asyncio.sleep(0.02)
            valkey.client.client_kill_filter(_type="pubsub")
            await coming
        await asyncio.sleep(1)
        await ear.until(lambda: dict(valkey.client.pubsub_numsub(HUBS_CHANNEL))[HUBS_CHANNEL] == 1)
        await in_thread(publish, valkey, f"{topic}:a", 5)
        await ear.until(lambda: len(ear.seqs) >= 5)
        assert ear.seqs == [1, 2, 3, 4, 5]

    run(valkey, story)


def test_loss_of_redis_while_a_subscription_begins_costs_no_message(
    valkey: OwnValkey, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = hub_module.read_history

    async def read_slowly(*arguments: Any) -> Any:
        history = await read(*arguments)
        await asyncio.sleep(0.6)  # as a long one takes
        return history

    async def story(hub: Hub) -> None:
        ear, other = Ear(hub), Ear(hub)
        await other.subscribe(f"{topic}-other")
        monkeypatch.setattr(hub_module, "read_history", read_slowly)
        begun = asyncio.ensure_future(ear.subscribe(topic))
        await asyncio.sleep(0.3)
        valkey.client.client_kill_filter(_type="pubsub")
        await in_thread(publish, valkey, topic)
        await begun
        await ear.until(lambda: ear.seqs == [1])

    run(valkey, story)


def test_entry_that_cannot_be_read_does_not_make_the_socket_mute(valkey: OwnValkey, topic: str) -> None:
    async def story(hub: Hub) -> None:
        ear = Ear(hub)
        await ear.subscribe(topic)
        valkey.client.xadd(stream_key(topic), {"foreign": "entry"}, id="1-0")
        valkey.client.hset(head_key(topic), "seq", 1)
        valkey.client.client_kill_filter(_type="pubsub")
        await asyncio.sleep(1)
        valkey.client.xdel(stream_key(topic), "1-0")
        await in_thread(publish, valkey, topic)
        await ear.until(lambda: ear.seqs == [2])

    run(valkey, story)
