"""How many sockets listen, over all hubs."""

import asyncio
from uuid import uuid4

from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from apps.realtime.hub import Hub
from apps.realtime.listeners import HUBS_KEY, count_by_prefix, count_listeners, prefix_of, report_listeners
from apps.realtime.tests.conftest import OwnValkey
from apps.realtime.tests.ears import Ear


def test_topic_and_pattern_are_counted_under_one_prefix():
    counted = count_by_prefix({"risk:alerts:A": 2, "risk:alerts:*": 1, "news": 4, "tasks:1": 1})
    assert counted == {"risk:alerts:": 3, "news": 4, "tasks:": 1}
    assert prefix_of("portfolio:updates:*") == "portfolio:updates:"


def test_sockets_of_all_hubs_are_added_up(valkey: OwnValkey):
    async def tell() -> None:
        redis = AsyncRedis.from_url(valkey.url, decode_responses=True)
        await report_listeners(redis, "one", {"risk:alerts:": 2})
        await report_listeners(redis, "two", {"risk:alerts:": 3, "tasks:": 1})
        await redis.aclose()

    asyncio.run(tell())
    assert count_listeners(["risk:alerts:", "tasks:", "none:"], valkey.client) == {
        "risk:alerts:": 5,
        "tasks:": 1,
        "none:": 0,
    }


def test_hub_says_how_many_listen_and_when_they_have_left(valkey: OwnValkey, monkeypatch):
    monkeypatch.setattr("apps.realtime.listeners.REPORT_SECONDS", 0.05)

    async def story() -> None:
        hub, topic = Hub(valkey.url), f"test:{uuid4().hex}"
        ears = [Ear(hub), Ear(hub)]
        for ear in ears:
            await ear.subscribe(topic)
        await ears[0].until(lambda: counted(valkey.client) == 2)
        for ear in ears:
            await ear.unsubscribe(topic)
        await ears[0].until(lambda: counted(valkey.client) == 0)
        await hub.close()

    asyncio.run(story())


def test_hub_that_died_is_forgotten(valkey: OwnValkey):
    valkey.client.zadd(HUBS_KEY, {"dead": 1})

    async def tell() -> None:
        redis = AsyncRedis.from_url(valkey.url, decode_responses=True)
        await report_listeners(redis, "alive", {"tasks:": 1})
        await redis.aclose()

    asyncio.run(tell())
    assert valkey.client.zrange(HUBS_KEY, 0, -1) == ["alive"]


def counted(client: Redis) -> int:
    return count_listeners(["test:"], client)["test:"]
