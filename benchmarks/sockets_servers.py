"""The contenders of benchmarks/sockets.py, each one server process on a core of its own."""

import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil

from benchmarks.sockets_messages import TOPIC
from benchmarks.sockets_publisher import CAPACITY

SERVER_CORE, OTHERS_CORE = 0, 1
START_TIMEOUT_SECONDS = 60.0
OPEN_FILES = 10_000
# The server uses less than this part of its core: what went before is done with.
IDLE_PART, IDLE_SECONDS, SETTLE_TIMEOUT_SECONDS = 0.04, 0.25, 20.0
# Those of nautilus/serve.py, for every contender under uvicorn.
FLAGS = [
    *("--lifespan", "off", "--no-proxy-headers", "--no-access-log", "--log-level", "warning", "--backlog", "4096"),
    *("--ws", "websockets-sansio", "--ws-max-size", str(4 * 2**20), "--ws-per-message-deflate", "false"),
    *("--ws-ping-interval", "20", "--ws-ping-timeout", "20", "--timeout-graceful-shutdown", "5"),
]
_UVICORN = [sys.executable, "-m", "uvicorn"]
_DAPHNE = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-v", "0"]
_STOCK, _BARE = "benchmarks.sockets_stock:application", "benchmarks.sockets_bare:application"
_CORE = {
    "BENCH_LAYER": "channels_redis.core.RedisChannelLayer",
    "BENCH_LAYER_CONFIG": json.dumps({"capacity": CAPACITY}),
}
_PUBSUB = {"BENCH_LAYER": "channels_redis.pubsub.RedisPubSubChannelLayer", "BENCH_LAYER_CONFIG": "{}"}


@dataclass(frozen=True, slots=True)
class Contender:
    """`way` is how its messages are published; None: the server is told to make them itself."""

    name: str
    command: list[str]
    way: str | None
    hello: str | None = None
    environment: dict[str, str] = field(default_factory=dict)


OURS = Contender(
    "ours",
    [sys.executable, "-m", "nautilus.serve", "--host", "127.0.0.1"],
    "ours",
    hello=json.dumps({"type": "subscribe", "topic": TOPIC}),
)
BARE = Contender("bare loop, fed from within", [*_UVICORN, _BARE, *FLAGS], None)
BARE_OVER_REDIS = Contender("bare loop, fed over Redis", [*_UVICORN, _BARE, *FLAGS], "bare")
STOCK = Contender("stock, core layer, daphne", [*_DAPHNE, _STOCK], "core", environment=_CORE)
STOCK_UVICORN = Contender("stock, core layer, uvicorn", [*_UVICORN, _STOCK, *FLAGS], "core", environment=_CORE)
STOCK_PUBSUB = Contender("stock, pub/sub layer, uvicorn", [*_UVICORN, _STOCK, *FLAGS], "pubsub", environment=_PUBSUB)
STOCK_PUBSUB_DAPHNE = Contender("stock, pub/sub layer, daphne", [*_DAPHNE, _STOCK], "pubsub", environment=_PUBSUB)


@dataclass(slots=True)
class Server:
    contender: Contender
    port: int
    process: psutil.Process

    def rss_bytes(self) -> int:
        return int(self.process.memory_info().rss)

    def cpu_seconds(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def settle(self) -> None:
        """Returns when the server has nothing to do."""
        deadline = time.monotonic() + SETTLE_TIMEOUT_SECONDS
        used = IDLE_SECONDS
        while used > IDLE_PART * IDLE_SECONDS and time.monotonic() < deadline:
            before = self.cpu_seconds()
            time.sleep(IDLE_SECONDS)
            used = self.cpu_seconds() - before


@contextlib.contextmanager
def serving(contender: Contender) -> Iterator[Server]:
    port = _free_port()
    process = subprocess.Popen(
        [*contender.command, "--port", str(port)],
        env={**os.environ, **contender.environment},
        stdout=subprocess.DEVNULL,
        preexec_fn=_alone_on_its_core,
    )
    try:
        _wait_until_open(port, process)
        yield Server(contender, port, psutil.Process(process.pid))
    finally:
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _alone_on_its_core() -> None:
    os.sched_setaffinity(0, {SERVER_CORE})


def beside_the_server() -> None:
    """Puts this process, and what it starts, on the other core; and lets it hold thousands of sockets."""
    os.sched_setaffinity(0, {OTHERS_CORE})
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_until_open(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"{process.args!r} does not serve: it ended with {process.poll()} or took over a minute")
