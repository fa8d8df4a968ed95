"""The clients of the storm find the faults that they are there for."""

import asyncio
import json
from collections.abc import Iterator

import pytest

from nautilus_client.tests.scripted import Peer, ScriptedServer, message
from tests.storm.clients import Client, Tally

PATIENCE_SECONDS = 10.0


def say_as_the_server(peer: Peer, seq: int, topic: str) -> None:
    peer.send(json.dumps(message(seq, topic), separators=(",", ":")))


def send_what_nobody_asked_for(peer: Peer) -> None:
    asked = peer.hear_of("subscribe")  # without an id
    peer.say(type="subscribed", topic=asked["topic"], seq=0, epoch="e1", recovered=True)
    say_as_the_server(peer, 1, "news")
    say_as_the_server(peer, 1, "sports")
    peer.close(1000)


@pytest.fixture
def port() -> Iterator[int]:
    server = ScriptedServer(send_what_nobody_asked_for)
    yield int(server.url.rpartition(":")[2])
    server.stop()


def test_message_of_a_topic_that_nobody_asked_for_is_a_fault(port: int):
    async def first_connection() -> Tally:
        tally = Tally()
        living = asyncio.create_task(Client([port], ["news"], tally, asyncio.Semaphore()).live())
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not tally.closes:
                await asyncio.sleep(0.01)
        living.cancel()
        return tally

    tally = asyncio.run(first_connection())
    assert tally.heard == 1
    assert [fault.partition(" came")[2] for fault in tally.faults] == [", and nobody had asked for 'sports'"]
