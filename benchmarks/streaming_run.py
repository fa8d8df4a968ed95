"""One run of benchmarks/streaming.py: makes the books in an empty database, then starts engine, feeder and listener."""
# ruff: noqa: E402 - settings are read first

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nautilus.settings")
django.setup()

import numpy as np
import psutil
from django.core.management import call_command

from apps.analytics.real_time_engine import RealTimeAnalyticsEngine
from apps.analytics.streaming.groups import Group
from apps.analytics.streaming.messages import messages_of
from apps.analytics.streaming.step import Figures, compute
from apps.analytics.tests.streamed import us_of
from apps.portfolios.quotes import accept_quotes, feed_counters, latest_quotes
from apps.realtime.topics import stream_key
from apps.risk.kernels.batch import batch_tail
from benchmarks.measuring import measured
from benchmarks.monitor_rounds import OTHER_SYMBOLS, make_books, make_prices
from nautilus.connections import redis_client

WARM_UP_SECONDS = 5
_MESSAGE = re.compile(rb"\r\n(analytics:updates:\w+)\r\n\$\d+\r\n(\{[^\r]*\})\r\n")
BATCH = 500  # quotes a call of the feeder, as a feed handler would send what came in 25 ms


def main(portfolios: int, symbols: int, rate: int, seconds: int) -> None:
    """Prints the figures of the run as JSON."""
    call_command("migrate", verbosity=0)
    names = make_prices(symbols + OTHER_SYMBOLS)
    make_books(portfolios, symbols, names)
    phases = _phases(names)
    engine = _start("manage.py", "run_analytics_engine")
    feeder = _start("-m", "benchmarks.streaming_run", "feed", str(len(names)), str(rate))
    _wait_until_streaming(portfolios)
    used = _cpu_seconds(engine.pid)
    listener = _start("-m", "benchmarks.streaming_run", "listen", str(portfolios), str(seconds))
    heard = json.loads(listener.communicate()[0])
    cpu = (_cpu_seconds(engine.pid) - used) / seconds
    status = RealTimeAnalyticsEngine().status()
    feeder.send_signal(signal.SIGTERM)
    fed = json.loads(feeder.communicate()[0])
    engine.send_signal(signal.SIGTERM)
    engine.wait(10)
    kept: Any = {
        name: redis_client().memory_usage(stream_key(f"{name}:updates:B00000"), samples=0)
        for name in ("analytics", "portfolio")
    }
    lengths = {name: redis_client().xlen(stream_key(f"{name}:updates:B00000")) for name in kept}
    json.dump(
        {
            **heard,
            "quotes_per_second": fed["quotes_per_second"],
            "engine_cores": round(cpu, 2),
            "engine_says": {name: status[name] for name in ("lag_ms", "updates_per_second")},
            "engine_step_ms": status["engines"][0]["step_ms"],
            "step_ms": phases,
            "bytes_a_message": {name: round(kept[name] / lengths[name]) for name in kept},
        },
        sys.stdout,
    )


def _start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)


def _wait_until_streaming(portfolios: int) -> None:
    for _ in range(600):
        status = RealTimeAnalyticsEngine().status()
        if status["status"] == "streaming" and status["portfolios"] == portfolios:
            time.sleep(WARM_UP_SECONDS)
            return
        time.sleep(0.2)
    raise RuntimeError(f"The engine does not come to stream: {status['reason']}")


def _cpu_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def _phases(names: list[str]) -> dict[str, float]:
    """p50 milliseconds of the phases of a step in which every symbol changed, in this process."""
    client = redis_client()
    engine = RealTimeAnalyticsEngine()
    engine.reader.read()
    _send(names, np.full(len(names), 100.0))
    engine.step()
    (part,) = engine.standing.parts
    group, prices = part.books, part.prices(engine.known)
    assert isinstance(group, Group)
    returns = group.returns
    assert returns is not None
    rows = np.arange(len(group.ids))
    around = engine._circumstances(feed_counters(client))
    (figures,) = compute(group, rows, prices)
    assert isinstance(figures, Figures)
    values = group.quantities * prices.prices

    def step() -> None:
        _send(names, np.random.default_rng().uniform(90, 110, len(names)))
        engine.step()

    calls = {
        "read quotes": lambda: engine.known.take(latest_quotes(client)),
        "VaR and ES": lambda: batch_tail(returns, values, (0.95, 0.975, 0.99)),
        "all figures": lambda: list(compute(group, rows, prices)),
        "messages": lambda: list(messages_of(figures, prices, around, {})),
        "whole step": step,
    }
    found = {name: round(1e3 * float(np.median(measured(call, 9))), 2) for name, call in calls.items()}
    engine.leave()
    client.delete("streaming:statistics")
    return found


def _send(names: list[str], prices: np.ndarray) -> None:
    accept_quotes(names, prices, [time.time_ns() // 1_000] * len(names), "benchmark")


def feed(symbols: int, rate: int) -> None:
    """Random walks of all symbols, each quote stamped when it is sent, until SIGTERM."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    names = [f"X{number:04d}" for number in range(symbols)]
    random = np.random.default_rng(3)
    prices = np.full(symbols, 100.0)
    begun, sent, place = time.perf_counter(), 0, 0
    while not ended.is_set():
        elapsed = time.perf_counter() - begun
        if sent > rate * elapsed:
            time.sleep((sent - rate * elapsed) / rate)
        chosen = np.arange(place, place + BATCH) % symbols
        place = (place + BATCH) % symbols
        prices[chosen] *= np.exp(random.normal(0, 1e-4, BATCH))
        accept_quotes([names[one] for one in chosen], prices[chosen], [time.time_ns() // 1_000] * BATCH, "benchmark")
        sent += BATCH
    json.dump({"quotes_per_second": sent / (time.perf_counter() - begun)}, sys.stdout)


def listen(portfolios: int, seconds: int) -> None:
    """Of every update: how long ago the newest quote in it was sent, and the oldest that no update had told before.

    A quote is told by the first update with a `quoted_at` that is not before it. Quotes come without a pause, so that
    the one sent just after the update before waits the longest: from that one's `quoted_at` to this update's arrival.
    """
    connection = redis_client().connection_pool.get_connection()
    connection.send_command("PSUBSCRIBE", "analytics:updates:*")
    # Looked at afterwards: who decodes thousands of messages a second meanwhile measures how long that takes.
    chunks, sock = [], connection._sock
    end = time.time() + seconds
    while time.time() < end:
        chunk = sock.recv(2**20)
        chunks.append((time.time() * 1e6, chunk))
    json.dump(_lags(*_told(chunks), portfolios, seconds), sys.stdout)


def _told(chunks: list[tuple[float, bytes]]) -> tuple[list[tuple[str, float]], list[str]]:
    """Of each whole message its topic, the arrival of its last byte, and its text."""
    ends = np.cumsum([len(chunk) for _, chunk in chunks])
    arrivals, texts = [], []
    for found in _MESSAGE.finditer(b"".join(chunk for _, chunk in chunks)):
        arrived_us = chunks[int(np.searchsorted(ends, found.end()))][0]
        arrivals.append((found[1].decode(), arrived_us))
        texts.append(found[2].decode())
    return arrivals, texts


def _lags(arrivals: list[tuple[str, float]], texts: list[str], portfolios: int, seconds: int) -> dict[str, Any]:
    newest: dict[str, int] = {}
    lags: list[np.ndarray] = []
    back = 0
    for (topic, arrived_us), text in zip(arrivals, texts, strict=True):
        quoted_us = us_of(json.loads(text)["data"]["quoted_at"])
        before = newest.get(topic)
        back += before is not None and quoted_us < before
        if before is not None and quoted_us > before:
            # Quotes sent evenly from the one told before to the one told now.
            lags.append((arrived_us - np.linspace(before, quoted_us, 21)[1:]) / 1e3)
        newest[topic] = max(quoted_us, before or 0)
    all_lags = np.concatenate(lags)
    return {
        "updates_per_second": len(texts) / seconds,
        "portfolios_heard": len(newest),
        "portfolios": portfolios,
        "went_back": int(back),
        "quote_to_update_ms": {
            "p50": float(np.percentile(all_lags, 50)),
            "p99": float(np.percentile(all_lags, 99)),
            "max": float(all_lags.max()),
        },
    }


if __name__ == "__main__":
    mode, *numbers = sys.argv[1:]
    if mode == "feed":
        feed(*map(int, numbers))
    elif mode == "listen":
        listen(*map(int, numbers))
    else:
        main(int(mode), *map(int, numbers))
