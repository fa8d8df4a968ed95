"""One run of benchmarks/sockets.py: all contenders in turn, on servers that the environment names."""

import contextlib
import json
import os
import statistics
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks.measuring import Series, ratio
from benchmarks.sockets_client import Client
from benchmarks.sockets_messages import frame_bytes
from benchmarks.sockets_publisher import CAPACITY, LAYER_CONNECTIONS, Publisher
from benchmarks.sockets_servers import (
    BARE,
    BARE_OVER_REDIS,
    OTHERS_CORE,
    OURS,
    SERVER_CORE,
    STOCK,
    STOCK_PUBSUB,
    STOCK_PUBSUB_DAPHNE,
    STOCK_UVICORN,
    Contender,
    Server,
    beside_the_server,
    serving,
)
from benchmarks.sockets_workers import WINDOW, Worker, new_credits, refill

SOCKETS = 500
DATA_BYTES, LARGE_DATA_BYTES = 150, 1_000
ROUND_SECONDS = float(os.environ.get("BENCH_ROUND_SECONDS", 3))
WARM_UP_MESSAGES, FEWEST_MESSAGES, MOST_MESSAGES = 60, 30, 8_000
PER_SECOND, MOST_PACED_ROUNDS = 20, 5
PACED_SECONDS = int(os.environ.get("BENCH_PACED_SECONDS", 10))
IDLE_COUNTS = (500, 2_000)
STALLED_COUNTS = (0, 1, 10)
# More than wait for a stalled reader before it is given up; in seconds, so that it still finds its close frame.
TO_THE_END_MESSAGES = 1_400
MARGIN_SECONDS = 5.0


class Bench:
    def __init__(self) -> None:
        self.credits = new_credits()
        self.client = Worker(Client, self.credits)
        self.publisher = Worker(Publisher, self.credits)

    def end(self) -> None:
        self.client.end()
        self.publisher.end()

    @contextlib.contextmanager
    def connected(self, server: Server, count: int = SOCKETS) -> Iterator[None]:
        """So many sockets on the server, which has nothing to do by then; and has not, when they are gone."""
        self.open(server, count)
        try:
            yield
        finally:
            self.client.call("close")
            server.settle()

    def open(self, server: Server, count: int) -> None:
        self.client.call("open", server.port, count, server.contender.hello)
        server.settle()

    def flood(self, server: Server, messages: int, data_bytes: int = DATA_BYTES) -> dict[str, float]:
        """Deliveries a second of the clock, and a second of the server's processor; the most memory meanwhile."""
        refill(self.credits)
        used = server.cpu_seconds()
        self._start_flood(server.contender.way, messages, data_bytes)
        peak_bytes = self._watch(server)
        begun, ended = self.client.answer()
        if server.contender.way:
            begun = self.publisher.answer()
        used = server.cpu_seconds() - used
        deliveries = SOCKETS * messages
        rates = {"per_second": deliveries / (ended - begun) * 1e9, "per_cpu_second": deliveries / max(used, 0.01)}
        return {**rates, "peak_bytes": peak_bytes}

    def _start_flood(self, way: str | None, messages: int, data_bytes: int) -> None:
        size = frame_bytes(data_bytes)
        if way is None:
            order = json.dumps({"messages": messages, "data_bytes": data_bytes})
            self.client.start("count", messages, size, order)
        else:
            self.client.start("count", messages, size)
            self.publisher.start("flood", way, messages, data_bytes)

    def _watch(self, server: Server) -> int:
        """The most memory that the server holds until the client has what it waits for."""
        peak_bytes = server.rss_bytes()
        while not self.client.is_done(within_seconds=0.2):
            peak_bytes = max(peak_bytes, server.rss_bytes())
        return peak_bytes

    def paced(self, server: Server, data_bytes: int) -> dict[str, Any]:
        """The latencies of an evenly published topic."""
        self.client.start("listen", PER_SECOND * PACED_SECONDS, PACED_SECONDS + MARGIN_SECONDS)
        self.publisher.call("pace", server.contender.way, PER_SECOND, PACED_SECONDS, data_bytes)
        answer: dict[str, Any] = self.client.answer()
        return answer


# --- Deliveries a second ------------------------------------------------------------------------------
CONTENDERS = (OURS, BARE, BARE_OVER_REDIS, STOCK, STOCK_UVICORN, STOCK_PUBSUB_DAPHNE, STOCK_PUBSUB)


def deliveries(bench: Bench, rounds: int) -> dict[str, Any]:
    """Interleaved rounds; each contender gets as many messages as it delivers in about ROUND_SECONDS."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(serving(contender)) for contender in CONTENDERS]
        messages = {server.contender.name: _messages_a_round(bench, server) for server in servers}
        rates = {name: Series(name) for name in messages}
        costs = {name: Series(name) for name in messages}
        for _ in range(rounds):
            for server in servers:
                _round(bench, server, messages, rates, costs)
    return {name: _delivered(rates, costs, name, messages[name]) for name in messages}


def _messages_a_round(bench: Bench, server: Server) -> int:
    if server.contender.way:
        bench.publisher.call("prepare", server.contender.way)
    with bench.connected(server):
        rate = bench.flood(server, WARM_UP_MESSAGES)["per_second"]
    return int(min(MOST_MESSAGES, max(FEWEST_MESSAGES, rate / SOCKETS * ROUND_SECONDS)))


def _round(
    bench: Bench, server: Server, messages: dict[str, int], rates: dict[str, Series], costs: dict[str, Series]
) -> None:
    name = server.contender.name
    with bench.connected(server):
        found = bench.flood(server, messages[name])
    rates[name].add_round([found["per_second"]])
    costs[name].add_round([found["per_cpu_second"]])


def _delivered(rates: dict[str, Series], costs: dict[str, Series], name: str, messages: int) -> dict[str, Any]:
    return {
        "per_second": rates[name].p50,
        "rounds": rates[name].medians,
        "per_cpu_second": costs[name].p50,
        "messages_a_round": messages,
        "ours_to_it": ratio(rates[OURS.name], rates[name]),
        "ours_to_it_per_cpu": ratio(costs[OURS.name], costs[name]),
    }


# --- Latencies ----------------------------------------------------------------------------------------
def latencies(bench: Bench, rounds: int) -> dict[str, Any]:
    """Publish to receipt, milliseconds: medians over rounds of each round's quantiles."""
    contenders = (OURS, BARE_OVER_REDIS, STOCK)
    found: dict[str, list[dict[str, Any]]] = {contender.name: [] for contender in contenders}
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(serving(contender)) for contender in contenders]
        for _ in range(min(rounds, MOST_PACED_ROUNDS)):
            for server in servers:
                found[server.contender.name].append(_latency(bench, server))
    return {name: _medians(some) for name, some in found.items()}


def _latency(bench: Bench, server: Server) -> dict[str, Any]:
    bench.publisher.call("prepare", server.contender.way)
    with bench.connected(server):
        return bench.paced(server, DATA_BYTES)


def _medians(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    quantiles = {name: statistics.median(one[name] for one in rounds) for name in ("p50", "p99", "max")}
    return {**quantiles, "missing": sum(one["missing"] for one in rounds), "p99_rounds": [one["p99"] for one in rounds]}


# --- Memory -------------------------------------------------------------------------------------------
def memory(bench: Bench) -> dict[str, Any]:
    """What an idle socket takes, of a server that has had some before; each contender has listened to one topic."""
    return {contender.name: _memory(bench, contender) for contender in (OURS, BARE_OVER_REDIS, STOCK)}


def _memory(bench: Bench, contender: Contender) -> dict[str, Any]:
    with serving(contender) as server:
        with bench.connected(server, count=20):
            pass
        before = server.rss_bytes()
        grown, there = {}, 0
        for count in IDLE_COUNTS:
            bench.open(server, count - there)
            there = count
            grown[str(count)] = (server.rss_bytes() - before) / count
        bench.client.call("close")
    return {"process_bytes": before, "bytes_a_socket": grown}


# --- Who stops reading --------------------------------------------------------------------------------
def stalled(bench: Bench, rounds: int) -> dict[str, Any]:
    """What the other 500 notice of readers that stopped, and what becomes of those and of the server's memory."""
    bench.publisher.call("prepare", OURS.way)
    with serving(OURS) as server:
        found: dict[int, list[dict[str, Any]]] = {count: [] for count in STALLED_COUNTS}
        for _ in range(min(rounds, MOST_PACED_ROUNDS)):
            for count in STALLED_COUNTS:
                found[count].append(_beside_stalled(bench, server, count))
        ended = _to_the_end(bench, server)
    without = [one["p99"] for one in found[0]]
    return {
        "p99_ms": {str(count): _medians(some) for count, some in found.items()},
        "p99_ratio": {str(count): _ratio(some, without) for count, some in found.items() if count},
        "to_the_end": ended,
    }


def _ratio(some: list[dict[str, Any]], without: list[float]) -> float:
    return statistics.median(one["p99"] / alone for one, alone in zip(some, without, strict=True))


def _beside_stalled(bench: Bench, server: Server, count: int) -> dict[str, Any]:
    with bench.connected(server):
        bench.client.call("stall", server.port, count, server.contender.hello)
        return bench.paced(server, LARGE_DATA_BYTES)


def _to_the_end(bench: Bench, server: Server) -> dict[str, Any]:
    """Publishes until the stalled are given up, then lets them read on: what they find says how they were closed."""
    with bench.connected(server):
        bench.client.call("stall", server.port, STALLED_COUNTS[-1], server.contender.hello)
        before = server.rss_bytes()
        peak = bench.flood(server, TO_THE_END_MESSAGES, LARGE_DATA_BYTES)["peak_bytes"]
        ends = bench.client.call("read_on")
        server.settle()
        after = server.rss_bytes()
    return {
        "published": TO_THE_END_MESSAGES,
        "rss_bytes": {"before": before, "peak": peak, "after": after},
        "ends": ends,
    }


def conditions() -> dict[str, Any]:
    return {
        "sockets": SOCKETS,
        "frame_bytes": frame_bytes(DATA_BYTES),
        "large_frame_bytes": frame_bytes(LARGE_DATA_BYTES),
        "messages_ahead": WINDOW,
        "channel_layer": {"capacity": CAPACITY, "max_connections": LAYER_CONNECTIONS},
        "cores": {"server": SERVER_CORE, "clients, publisher": OTHERS_CORE},
        "commands": {contender.name: " ".join(["python", *contender.command[1:]]) for contender in CONTENDERS},
    }


def main(rounds: int) -> None:
    """Prints the figures as JSON."""
    beside_the_server()
    bench = Bench()
    try:
        found = {
            "conditions": conditions(),
            "deliveries": deliveries(bench, rounds),
            "latency_ms": latencies(bench, rounds),
            "memory": memory(bench),
            "stalled": stalled(bench, rounds),
        }
    finally:
        bench.end()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]))
