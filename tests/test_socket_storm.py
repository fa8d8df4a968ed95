"""Servers and Redis fall one after the other under many sockets: each has every message of its topics once, in order.

What counts is the stream in Redis: a client's seqs grow by one, and the checksum over the very texts it has heard is
that of the stream's. That nothing is missing in the stream itself, the publishers' own numbers say.
"""

import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from apps.realtime.control import ask_hubs
from apps.realtime.topics import stream_key
from tests.running import wait_until
from tests.storm.processes import Teller, Valkey, telling
from tests.storm.web import WebProcess, web_process

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]

TOPICS = [f"storm-{number:02}" for number in range(30)]
TOPICS_A_SOCKET = 3
PUBLISHERS = ["A", "B"]
MESSAGES_PER_SECOND = 20  # of each publisher
ALL_PER_SECOND = len(PUBLISHERS) * MESSAGES_PER_SECOND
OUTAGE_MESSAGES = 3 * ALL_PER_SECOND  # come while Redis is away
PATIENCE_SECONDS = 120


class Storm:
    """Two servers, their Redis, the clients and the publishers, and what befalls them."""

    def __init__(self, folder: Path, sockets: int, calm_messages: int) -> None:
        self._folder = folder
        self._sockets = sockets
        self._calm_messages = calm_messages
        self.valkey = Valkey(folder)

    def begin(self, stack: ExitStack) -> None:
        self.valkey.start()
        stack.callback(self.valkey.kill)
        self.servers = [self._server(stack, name) for name in ("first", "second")]
        topics = [
            [TOPICS[(number + step * 7) % len(TOPICS)] for step in range(TOPICS_A_SOCKET)]
            for number in range(self._sockets)
        ]
        ports = [server.port for server in self.servers]
        self.clients = stack.enter_context(telling("clients", {"ports": ports, "topics": topics}))
        self.publishers = [self._publisher(stack, name) for name in PUBLISHERS]

    def _server(self, stack: ExitStack, name: str) -> WebProcess:
        return stack.enter_context(web_process(self._folder / f"{name}.log", REDIS_URL=self.valkey.url))

    def _publisher(self, stack: ExitStack, name: str) -> Teller:
        given = {"name": name, "topics": TOPICS, "messages_per_second": MESSAGES_PER_SECOND}
        return stack.enter_context(
            telling("publisher", given, REDIS_URL=self.valkey.url, DJANGO_SETTINGS_MODULE="nautilus.settings")
        )

    # --- What befalls them ----------------------------------------------------------------------------
    def calm(self) -> None:
        """All sockets are subscribed, and messages come for a while."""
        everything = self._sockets * TOPICS_A_SOCKET
        wait_until(
            lambda: self.clients.said.get("subscribed") == everything,
            PATIENCE_SECONDS,
            f"{everything} subscriptions; {self}",
        )
        self.wait_for_messages(self._calm_messages)

    def wait_for_messages(self, count: int) -> None:
        wanted = self.published() + count
        wait_until(lambda: self.published() >= wanted, 60 + 2 * count / ALL_PER_SECOND, f"{count} messages; {self}")

    def published(self) -> int:
        return sum(publisher.said.get("published", 0) for publisher in self.publishers)

    def redis_is_restarted(self) -> None:
        self.valkey.stop()
        self.wait_for_messages(OUTAGE_MESSAGES)
        self.valkey.start()

    def redis_is_killed(self) -> None:
        self.valkey.kill()
        self.wait_for_messages(OUTAGE_MESSAGES)
        self.valkey.start()

    def hubs_are_restarted(self) -> None:
        answers = ask_hubs("restart", timeout_seconds=10, client=self.valkey.client)
        assert sum(answer["connections_closed"] for answer in answers) == self._sockets
        assert len(answers) == len(self.servers)

    def server_is_killed(self) -> None:
        self.servers[0].kill()

    def clients_go_back_to_the_first_server(self) -> None:
        self.servers[0].start()
        self.servers[1].stop()

    # --- The end --------------------------------------------------------------------------------------
    def settle(self) -> list[list[Any]]:
        """Everything is published, in the streams and heard: where each client stands in each of its topics."""
        for publisher in self.publishers:
            publisher.tell()
        wait_until(lambda: all(each.said["stopped"] for each in self.publishers), 30, "the publishers to stop")
        wait_until(lambda: self._in_streams() >= self.published(), 60, f"{self.published()} in the streams; {self}")
        self.clients.tell(wanted={topic: self.valkey.client.xlen(stream_key(topic)) for topic in TOPICS})
        wait_until(
            lambda: self.clients.said["wanted"] and not self.clients.said["behind"], 60, f"the last messages; {self}"
        )
        self.clients.tell(report=str(self._folder / "report.json"))
        self.clients.wait(30)
        return json.loads((self._folder / "report.json").read_text())

    def _in_streams(self) -> int:
        return sum(self.valkey.client.xlen(stream_key(topic)) for topic in TOPICS)

    def __str__(self) -> str:
        return f"clients {self.clients.said}, publishers {[each.said for each in self.publishers]}"


class Truth:
    """What the streams hold."""

    def __init__(self, redis: Redis) -> None:
        self._texts = {topic: self._read(redis, stream_key(topic)) for topic in TOPICS}
        self.checksum = cache(self._checksum)

    @staticmethod
    def _read(redis: Redis, stream: str) -> list[str]:
        entries: Any = redis.xrange(stream)
        return [fields["text"] for _, fields in entries]

    def _checksum(self, topic: str, start: int, seq: int) -> int:
        checksum = 0
        for text in self._texts[topic][start:seq]:
            checksum = zlib.crc32(text.encode(), checksum)
        return checksum

    def numbers(self) -> Counter[tuple[str, int]]:
        """How often each publisher's message is there."""
        messages = [json.loads(text)["data"] for texts in self._texts.values() for text in texts]
        return Counter((message["publisher"], message["number"]) for message in messages)

    def is_in_order(self) -> bool:
        return all(self._grows(texts, name) for texts in self._texts.values() for name in PUBLISHERS)

    @staticmethod
    def _grows(texts: list[str], name: str) -> bool:
        messages = [json.loads(text)["data"] for text in texts]
        numbers = [message["number"] for message in messages if message["publisher"] == name]
        return numbers == sorted(set(numbers))

    def seqs(self) -> dict[str, list[int]]:
        return {topic: [json.loads(text)["seq"] for text in texts] for topic, texts in self._texts.items()}


@pytest.fixture
def begin_storm(tmp_path: Path) -> Iterator[Callable[[int, int], Storm]]:
    with ExitStack() as stack:

        def begin(sockets: int, calm_messages: int) -> Storm:
            storm = Storm(tmp_path, sockets, calm_messages)
            storm.begin(stack)
            return storm

        yield begin


def weather(storm: Storm) -> None:
    storm.calm()
    storm.redis_is_restarted()
    storm.calm()
    storm.redis_is_killed()
    storm.calm()
    storm.hubs_are_restarted()
    storm.calm()
    storm.server_is_killed()
    storm.calm()
    storm.clients_go_back_to_the_first_server()
    storm.calm()


def check_that_nothing_is_lost(storm: Storm) -> None:
    ends, truth = storm.settle(), Truth(storm.valkey.client)
    said = storm.clients.said
    print(f"Heard {said['heard']} messages; not recovered: {said['unrecovered']}; closed: {said['closes']}")  # noqa: T201
    published = {
        (name, n)
        for name, each in zip(PUBLISHERS, storm.publishers, strict=True)
        for n in range(1, each.said["published"] + 1)
    }
    assert truth.numbers() == dict.fromkeys(published, 1)
    assert truth.is_in_order()
    assert all(seqs == list(range(1, len(seqs) + 1)) for seqs in truth.seqs().values())
    assert said["faults"] == []
    assert said["unrecovered"] == 0  # the append-only file brings every history back
    wrong = [end for end in ends if truth.checksum(end[0], end[2], end[3]) != end[4]]
    assert wrong == []
    assert [server.faults() for server in storm.servers] == [[], []]


def test_sockets_of_a_short_storm_have_every_message_once_and_in_order(
    begin_storm: Callable[[int, int], Storm],
) -> None:
    storm = begin_storm(200, 2 * ALL_PER_SECOND)
    weather(storm)
    check_that_nothing_is_lost(storm)


@pytest.mark.endurance
def test_2000_sockets_of_a_storm_of_five_minutes_have_every_message_once_and_in_order(
    begin_storm: Callable[[int, int], Storm],
) -> None:
    storm = begin_storm(2_000, 45 * ALL_PER_SECOND)
    weather(storm)
    check_that_nothing_is_lost(storm)
