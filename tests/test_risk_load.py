"""Risk under load, on a platform of its own: many callers with large requests, all books with a worker killed."""

import json
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from websockets.sync.client import connect

from tests.running import ANALYZE, Platform, running_platform, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(600)]

RISK = "/api/v1/sprint3/analytics/risk"
PERFORMANCE = "/api/v1/sprint3/analytics/performance"
MIB = 2**20

# Books with their trades, positions and cash as the ledger would have them, each of five of the sample's symbols.
MANY_BOOKS = """
WITH book AS (
    INSERT INTO portfolios_portfolio (id, name, base_currency, initial_cash, inception_date, benchmark, trading_state,
        cash, ledger_version, history_ledger_version, history_price_version, created_at)
    SELECT 'MANY_' || lpad(n::text, 3, '0'), 'One of many', 'USD', 1e6, '2022-12-01', 'SP500', 'active',
        1e6 - 5 * 10 * (n + 1), 1, -1, -1, now()
    FROM generate_series(1, %s) AS n
    RETURNING id, substr(id, 6)::int AS n
), bought AS (
    INSERT INTO portfolios_trade (portfolio_id, symbol, quantity, price, traded_at, ledger_version, booked_at)
    SELECT book.id, symbol, book.n + 1, 10, '2022-12-01 21:00Z', 1, now()
    FROM book CROSS JOIN (VALUES ('AAPL'), ('MSFT'), ('XOM'), ('JNJ'), ('KO')) AS held (symbol)
    RETURNING portfolio_id, symbol, quantity, price
)
INSERT INTO portfolios_position (portfolio_id, symbol, quantity, average_cost, updated_at)
SELECT portfolio_id, symbol, quantity, price, now() FROM bought RETURNING 1
"""

# The strategies' paper portfolios, which have nothing to compute before a strategy runs.
CLOSE_THE_EMPTY = """
UPDATE portfolios_portfolio SET closed_at = now()
WHERE NOT EXISTS (SELECT FROM portfolios_position WHERE portfolio_id = portfolios_portfolio.id)
"""


@pytest.fixture(scope="module")
def own_platform() -> Iterator[Platform]:
    home = Path(tempfile.mkdtemp(prefix="nautilus-load-"))
    with running_platform(home, NAUTILUS_RISK_CHUNK_PORTFOLIOS="25") as platform:
        platform.run(CLOSE_THE_EMPTY)
        yield platform
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def wide_book(own_platform: Platform) -> str:
    """A portfolio of 100 symbols with 600 days of prices."""
    random = np.random.default_rng(7)
    days = np.busday_offset("2021-01-04", np.arange(600), roll="forward").astype(str)
    closes = 50 * np.cumprod(1 + random.normal(0, 0.01, (600, 100)), axis=0)
    symbols = [f"W{number:02}" for number in range(100)]
    lines = [f"{day}," + ",".join(f"{close:.4f}" for close in row) for day, row in zip(days, closes, strict=True)]
    trades = [f"{symbol},100,50,{days[0]}T21:00:00Z" for symbol in symbols]
    with own_platform.client() as client:
        imported = client.post(
            "/api/v1/market-data/import",
            content="\n".join([",".join(["date", *symbols]), *lines]),
            headers={"Content-Type": "text/csv"},
        )
        assert _ended(client, imported.json())["status"] == "succeeded"
        portfolio = {"id": "WIDE", "name": "Wide", "base_currency": "USD", "initial_cash": 1_000_000}
        opened = client.post("/api/v1/portfolios", json={**portfolio, "inception_date": days[0]})
        assert opened.status_code == 201, opened.text
        booked = client.post(
            "/api/v1/portfolios/WIDE/trades/import",
            content="\n".join(["symbol,quantity,price,traded_at", *trades]),
            headers={"Content-Type": "text/csv"},
        )
        assert booked.is_success, booked.text
    return "WIDE"


def _ended(client: httpx.Client, accepted: dict[str, Any]) -> dict[str, Any]:
    url = accepted["status_url"]
    ended: dict[str, Any] = wait_until(
        lambda: (task := client.get(url, params={"wait": 20}).json())["status"] != "processing" and task, 120, url
    )
    return ended


class MostMemory:
    """The most that any one process of a worker holds while the block runs, in bytes."""

    def __init__(self, pid: int) -> None:
        self._parent = psutil.Process(pid)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.before = self.most = self._now()

    def _now(self) -> int:
        sizes = [0]
        for process in [self._parent, *self._parent.children()]:
            try:
                sizes.append(process.memory_info().rss)
            except psutil.NoSuchProcess:
                continue
        return max(sizes)

    def _look(self) -> None:
        while not self._done.wait(0.02):
            self.most = max(self.most, self._now())

    def __enter__(self) -> "MostMemory":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()


def test_ten_callers_with_a_million_paths_neither_fill_the_memory_nor_hold_up_other_queues(
    own_platform: Platform, wide_book: str
):
    asked = {"portfolio_id": wide_book, "method": "monte_carlo", "paths": 1_000_000, "horizon_days": 250}

    def ask(seed: int) -> dict[str, Any]:
        with own_platform.client() as client:
            answer = client.post(ANALYZE, json={**asked, "seed": seed, "distribution": "student_t"})
            assert answer.status_code == 202, answer.text
            accepted: dict[str, Any] = answer.json()
            return accepted

    period = {"portfolio_id": "PORTFOLIO_001", "start_date": "2015-01-02", "end_date": "2022-12-28"}
    with MostMemory(own_platform.pid("risk-worker")) as memory, own_platform.client() as client:
        with ThreadPoolExecutor(10) as callers:
            simulations = list(callers.map(ask, range(10)))
        performance = _ended(client, client.post(PERFORMANCE, json=period).json())
        simulated = [_ended(client, accepted) for accepted in simulations]
    assert performance["status"] == "succeeded"
    assert {task["status"] for task in simulated} == {"succeeded"}
    assert performance["finished_at"] < max(task["finished_at"] for task in simulated)
    assert len({task["result"]["var"] for task in simulated}) == 10  # a seed each
    # The result is 8 MB of moves; the draws, all at once, would be 800 MB.
    assert memory.most - memory.before < 200 * MIB


def test_request_above_the_limits_is_refused_with_what_would_be_right(own_platform: Platform, wide_book: str):
    before = own_platform.query("SELECT count(*) FROM tasks_task")
    backtest = {"portfolio_id": wide_book, "method": "monte_carlo", "distribution": "student_t", "paths": 1_000_000}
    with own_platform.client() as client:
        answer = client.post(f"{RISK}/backtest", json={**backtest, "test_days": 2_500})
    error = answer.json()["errors"][0]
    assert (answer.status_code, error["code"], error["attr"]) == (400, "too_expensive", "test_days")
    assert "the limit is 1,000,000,000" in error["detail"]
    assert own_platform.query("SELECT count(*) FROM tasks_task") == before


def test_all_portfolios_with_the_worker_killed_in_between_are_each_stored_once(own_platform: Platform):
    own_platform.query(MANY_BOOKS, 300)
    done = "SELECT count(*) FROM tasks_task WHERE part_of_id = %s AND status = 'succeeded'"
    with own_platform.client() as client:
        accepted = client.post(f"{RISK}/analyze-all", json={}).json()
        wait_until(lambda: own_platform.query(done, accepted["task_id"]) > [(0,)], 60, "a first part", pause_seconds=0)
        own_platform.kill("risk-worker")
        task = _ended(client, accepted)
    assert (task["status"], task["error"]) == ("succeeded", None)
    result = task["result"]
    open_portfolios = own_platform.query("SELECT count(*) FROM portfolios_portfolio WHERE closed_at IS NULL")[0][0]
    assert (result["portfolios"], result["computed"], result["refused"]) == (open_portfolios, open_portfolios, [])
    stored = "SELECT count(*), count(DISTINCT (portfolio_id, confidence)) FROM risk_metrics WHERE task_id = %s"
    assert own_platform.query(stored, task["task_id"]) == [(3 * open_portfolios, 3 * open_portfolios)]


def test_progress_of_all_portfolios_is_pushed_part_by_part(own_platform: Platform):
    with own_platform.client() as client, connect(f"{own_platform.socket_address}/ws") as socket:
        accepted = client.post(f"{RISK}/analyze-all", json={"window_days": 250}).json()
        socket.send(json.dumps({"type": "subscribe", "topic": accepted["topic"], "since": 0}))
        heard: list[dict[str, Any]] = []
        deadline = time.monotonic() + 60
        while (not heard or heard[-1]["status"] == "processing") and time.monotonic() < deadline:
            frame = json.loads(socket.recv(timeout=60))
            if frame["type"] == "message":
                heard.append(frame["data"])
    done = [task["progress"]["done"] for task in heard]
    assert heard[-1]["status"] == "succeeded"
    assert done == sorted(done)
    assert len(set(done)) > 3
