"""A reader that is slower than its topic: a bounded queue, nothing lost, the other topics go on."""

import asyncio
import threading
from typing import Any

from nautilus_client import AsyncClient, Message
from nautilus_client.tests.conftest import QUICK
from nautilus_client.tests.reading import gap, seqs, take
from nautilus_client.tests.scripted import Peer

TASK = {"status": "succeeded"}


def test_topic_is_left_while_its_queue_is_full_and_joined_again_where_it_was_left(serve: Any, open_client: Any):
    left = threading.Event()

    def script(peer: Peer) -> None:
        peer.accept()
        peer.publish(*range(1, 11))
        assert peer.hear()["type"] == "unsubscribe"
        left.set()
        peer.accept()
        peer.publish(1, topic="sports")
        assert peer.accept(10)["since"] == 4
        peer.publish(*range(5, 9))
        peer.stay()

    client = open_client(serve(script).url, queue_size=4)
    news = client.subscribe("news")
    assert left.wait(10)
    assert seqs(take(client.subscribe("sports"), 1)) == [1]
    assert seqs(take(news, 8)) == list(range(1, 9))


def test_pattern_that_was_left_for_a_while_says_so(serve: Any, open_client: Any):
    left = threading.Event()

    def script(peer: Peer) -> None:
        peer.accept()
        peer.publish(*range(1, 11), topic="news:a")
        peer.hear_of("unsubscribe")
        left.set()
        peer.accept()
        peer.publish(20, topic="news:a")
        peer.stay()

    client = open_client(serve(script).url, queue_size=4)
    news = client.subscribe("news:*")
    assert left.wait(10)
    *before, lost, after = take(news, 6)
    assert (seqs(before), gap(lost), after.seq) == ([1, 2, 3, 4], (None, None, "pattern_not_resumed"), 20)


def test_reader_with_a_full_queue_can_wait_for_another_topic(serve: Any):
    def script(peer: Peer) -> None:
        peer.accept()
        peer.publish(*range(1, 11))
        peer.accept()
        peer.publish(1, topic="tasks:t1", data=TASK)
        asked = peer.accept(10)
        peer.publish(*range(asked["since"] + 1, 11))
        peer.stay()

    async def story() -> list[Any]:
        client = AsyncClient(serve(script).url, queue_size=4, **QUICK)
        async with asyncio.timeout(10), client, client.subscribe("news") as news:
            first = await anext(news)
            task = await client.wait_for_task("t1")
            return [first, task, *[await anext(news) for _ in range(9)]]

    first, task, *rest = asyncio.run(story())
    assert isinstance(first, Message)
    assert (task, [first.seq, *seqs(rest)]) == (TASK, list(range(1, 11)))


def test_reader_that_keeps_up_is_never_left_however_small_its_queue(serve: Any):
    def script(peer: Peer) -> None:
        peer.accept()
        peer.publish(*range(1, 2_001))
        assert peer.hear()["topic"] == "the end"
        peer.stay()

    async def story() -> list[Any]:
        async with asyncio.timeout(20), AsyncClient(serve(script).url, queue_size=10, **QUICK) as client:
            async with client.subscribe("news") as news:
                read = [await anext(news) for _ in range(2_000)]
                ending = asyncio.create_task(client.subscribe("the end").start())
                await asyncio.sleep(0)
                ending.cancel()
            return read

    assert seqs(asyncio.run(story())) == list(range(1, 2_001))
