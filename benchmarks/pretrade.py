"""A pre-trade check over HTTP beside views that return a constant, its kernel alone, and what two processes take."""

import http.client
import json
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count, product
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.measuring import interleaved, measured, ratio, spread
from nautilus.local.environment import local_secrets
from tests.running import Platform, another_web_process, running_platform

SERVER = "benchmarks.pretrade_server:application"
TITLE = "Pre-trade check of a book of 500 symbols against 10 limits"
SYMBOLS, DAYS = 500, 520
CHECK = "/api/v1/sprint3/risk/pre-trade-check"
OURS, RESERVING = "pre-trade check", "pre-trade check that reserves"
BARE, TRADERS = "constant DRF view, open to all", "constant DRF view, for traders by token"
LIMITS = {
    "var_95": 1e9,
    "var_99": 1e9,
    "expected_shortfall_975": 1e9,
    "gross_exposure": 1e12,
    "net_exposure": 1e12,
    "leverage": 100,
    "position_notional": 1e12,
    "concentration": 0.9,
    "order_notional": 1e12,
    "price_collar": 0.5,
}
# Reservations pile up in a book of their own.
BOOKS = ("BENCH", "BENCH_RESERVED")
THROUGHPUT_SECONDS = 3.0
CALLERS = 4


def run(rounds: int, calls: int) -> dict[str, Any]:
    """Interleaved rounds; milliseconds. One web process for the latencies, two for the throughput."""
    home = Path(tempfile.mkdtemp(prefix="nautilus-bench-"))
    with running_platform(home) as platform, ExitStack() as servers:
        make_book(platform)
        ports = [servers.enter_context(another_web_process(platform, SERVER))[0] for _ in range(2)]
        token, order_ids = trader_token(platform), map(str, count())
        callers = {
            BARE: caller(ports[0], "/bench/constant", token, body),
            TRADERS: caller(ports[0], "/bench/constant-for-traders", token, body),
            OURS: caller(ports[0], CHECK, token, body),
            RESERVING: caller(ports[0], CHECK, token, lambda: body(next(order_ids))),
        }
        series = interleaved(callers, rounds, calls, unit=1e-3)
        rates = [throughput(ports, token) for _ in range(max(1, rounds // 5))]
    figures = {
        name: {**one.figures(), "p99": _percentile(one, 0.99), "ratio": ratio(one, series[BARE]),
               "ratio_to_traders": ratio(one, series[TRADERS])}
        for name, one in series.items()
    }  # fmt: skip
    return {
        "title": TITLE,
        "unit": "ms",
        "goal": f"p50 of {OURS!r} at most 2 times a constant DRF view's; the kernel alone at most 50 us",
        "series": figures,
        "kernel_us": kernel_us(rounds),
        "checks_per_second_two_processes": {"median": float(np.median(rates)), "rounds": rates},
    }


def _percentile(series: Any, part: float) -> float:
    everything = sorted(time for times in series.rounds for time in times)
    return everything[int(part * (len(everything) - 1))]


def make_book(platform: Platform) -> None:
    """500 symbols with 520 closes each, a position in all of them, 10 limits that it keeps."""
    random = np.random.default_rng(7)
    closes = np.round(100 * np.exp(np.cumsum(random.normal(0, 0.01, (DAYS, SYMBOLS)), axis=0)), 4)
    names = [f"X{number:03d}" for number in range(SYMBOLS)]
    days = np.busday_offset("2024-01-01", np.arange(DAYS), roll="forward")
    rows = [f"{day}," + ",".join(map(str, row)) for day, row in zip(days, closes.tolist(), strict=True)]
    prices = "\n".join([",".join(["date", *names]), *rows])
    trades = "\n".join(
        [
            "symbol,quantity,price,traded_at",
            *(f"{name},{100 + n},100,2024-01-02T21:00:00Z" for n, name in enumerate(names)),
        ]
    )
    csv = {"Content-Type": "text/csv"}
    with platform.client() as client:
        task = client.post("/api/v1/market-data/import", content=prices, headers=csv).json()
        ended = client.get(task["status_url"], params={"wait": 30}).json()
        assert ended["status"] == "succeeded", ended
        for name in BOOKS:
            book = {"id": name, "name": name, "initial_cash": 1e8, "inception_date": "2024-01-01"}
            assert client.post("/api/v1/portfolios", json={**book, "base_currency": "USD"}).status_code == 201
            answer = client.post(f"/api/v1/portfolios/{name}/trades/import", content=trades, headers=csv)
            assert answer.status_code == 201, answer.text
        for name, kind in product(BOOKS, LIMITS):
            limit = {"portfolio_id": name, "kind": kind, "threshold_value": LIMITS[kind]}
            answer = client.post("/api/v1/sprint3/risk/limits", json=limit)
            assert answer.status_code == 201, answer.text


def trader_token(platform: Platform) -> str:
    credentials = {"username": "admin", "password": local_secrets(platform.home)["admin_password"]}
    with platform.client() as client:
        return str(client.post("/api/v1/auth/token", json=credentials).json()["token"])


def body(order_id: str | None = None) -> bytes:
    """A check, or with an order_id a reservation: every order has its own, or it would be taken for the one before."""
    trade = {"symbol": "X017", "quantity": 1, "order_id": order_id}
    portfolio_id = BOOKS[order_id is not None]
    return json.dumps({"portfolio_id": portfolio_id, "trade": trade, "reserve": order_id is not None}).encode()


def caller(port: int, path: str, token: str, content: Callable[[], bytes]) -> Callable[[], dict[str, Any]]:
    """http.client and not a comfortable one: what the client takes would flatter the ratio."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}

    def call() -> dict[str, Any]:
        connection.request("POST", path, content(), headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200 or b'"approved":true' not in text:
            raise RuntimeError(f"{path}: {answer.status} {text[:300]!r}")
        return json.loads(text)

    return call


def throughput(ports: list[int], token: str) -> float:
    """Checks a second, from callers that each ask again as soon as they are answered."""
    counts = [0] * CALLERS
    end = time.monotonic() + THROUGHPUT_SECONDS

    def ask(number: int) -> None:
        call = caller(ports[number % len(ports)], CHECK, token, body)
        while time.monotonic() < end:
            call()
            counts[number] += 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / THROUGHPUT_SECONDS


def kernel_us(rounds: int) -> dict[str, Any]:
    """One column added and the three tail figures of 500 days, microseconds."""
    from apps.risk.kernels.incremental import projected_pnl, tail_figures

    random = np.random.default_rng(1)
    pnl, column = random.normal(0, 1e5, 500), random.normal(0, 0.01, 500)
    times = [np.median(measured(lambda: tail_figures(projected_pnl(pnl, column, 12345.0)), 500)) for _ in range(rounds)]
    return {"p50": float(np.median(times)) * 1e6, "medians": [float(each) * 1e6 for each in times]}


def show(console: Console, answer: dict[str, Any]) -> None:
    table = Table("", "p50 ms", "p99 ms", "spread of p50", "to open view", "to traders' view", title=answer["title"])
    for name, one in answer["series"].items():
        ratios = (f"{one['ratio']:.2f}", f"{one['ratio_to_traders']:.2f}")
        table.add_row(name, f"{one['p50']:.2f}", f"{one['p99']:.2f}", spread(one), *ratios)
    console.print(table)
    rate = answer["checks_per_second_two_processes"]["median"]
    console.print(f"kernel alone {answer['kernel_us']['p50']:.1f} us; two processes answer {rate:.0f} checks a second")
