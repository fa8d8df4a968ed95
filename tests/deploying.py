"""Deployments on a running platform as its clients see them, and how to stop one exactly where a test wants it."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import httpx
import psutil
import psycopg
from websockets.sync.client import connect

from nautilus.local.environment import embedded_database_url
from tests.running import Platform, wait_until

STRATEGY = "/api/v1/sprint3/strategy"
WORKER = "strategy-deployer"
UNDER_WAY = ("pending", "validating", "backtesting", "awaiting_approval")
END_SECONDS = 90.0

# Each answer takes some work, on days after `busy_after` much more: seconds in which it can be stopped.
CODE = """\
import pandas as pd

def target_weights(prices, params):
    busy = prices.index[-1] > pd.Timestamp(params["busy_after"])
    total = 0
    for number in range(params["rounds"] * (20 if busy else 1)):
        total += number % 7
    return dict(params["weights"])
"""
ROUNDS = 1_000_000


@dataclass(slots=True)
class Desk:
    platform: Platform

    def ask(self, method: str, path: str, status: int = 200, **how: Any) -> dict[str, Any]:
        with self.platform.client() as client:
            answer = client.request(method, path, **how)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def post(self, path: str, body: dict[str, Any], status: int = 202) -> dict[str, Any]:
        return self.ask("POST", path, status, json=body)

    def value(self, sql: str, *parameters: Any) -> Any:
        ((value,),) = self.platform.query(sql, *parameters)
        return value

    # --- What is there before anything goes wrong -----------------------------------------------------------------

    def open_book(self, name: str) -> None:
        terms = {"base_currency": "USD", "initial_cash": 1_000_000, "inception_date": "2022-01-03"}
        self.post("/api/v1/portfolios", {"id": name, "name": name, **terms}, 201)

    def make_version(self, strategy_id: str, weights: dict[str, float]) -> None:
        self.post(f"{STRATEGY}/strategies", {"id": strategy_id, "name": strategy_id}, 201)
        parameters = {"weights": weights, "rounds": ROUNDS, "busy_after": "2022-12-28"}
        body = {"parent_version": None, "code": CODE, "parameters": parameters, "message": "as a test wants it"}
        self.post(f"{STRATEGY}/versions/{strategy_id}", body, 201)

    def import_closes(self, rows: list[str]) -> None:
        content = "\n".join(["date,symbol,close", *rows])
        accepted = self.ask(
            "POST", "/api/v1/market-data/import", 202, content=content, headers={"Content-Type": "text/csv"}
        )
        task = self.ask("GET", accepted["status_url"], params={"wait": 30})
        assert task["status"] == "succeeded", task

    # --- Deployments ------------------------------------------------------------------------------------------------

    def deploy(self, strategy_id: str, book: str, symbols: list[str]) -> dict[str, Any]:
        """The answer, with `deployment_id` and `task_id`."""
        where = {"strategy_id": strategy_id, "version": 1, "portfolio_id": book, "environment": "paper"}
        return self.post(f"{STRATEGY}/deploy", {**where, "symbols": symbols, "schedule": "daily"})

    def shown(self, deployment_id: str) -> dict[str, Any]:
        return self.ask("GET", f"{STRATEGY}/deployments/{deployment_id}")

    def active(self, book: str) -> list[str]:
        path = f"{STRATEGY}/deployments?status=active&portfolio_id={book}"
        return [row["deployment_id"] for row in self.ask("GET", path)["results"]]

    def under_way(self, book: str) -> list[str]:
        sql = "SELECT id FROM deployments WHERE portfolio_id = %s AND status = ANY(%s)"
        return [row[0] for row in self.platform.query(sql, book, list(UNDER_WAY))]

    def step(self, deployment_id: str, name: str) -> tuple[str, int]:
        """Its status and how often it was begun, as PostgreSQL has it."""
        sql = "SELECT status, attempts FROM deployment_steps WHERE deployment_id = %s AND name = %s"
        ((status, attempts),) = self.platform.query(sql, deployment_id, name)
        return status, attempts

    def status(self, deployment_id: str) -> str:
        return str(self.value("SELECT status FROM deployments WHERE id = %s", deployment_id))

    def ended_task(self, task_id: str) -> dict[str, Any]:
        def answer() -> dict[str, Any] | None:
            task = self.ask("GET", f"/api/v1/tasks/{task_id}", params={"wait": 20})
            return task if task["status"] != "processing" else None

        return wait_until(lambda: patient(answer), END_SECONDS, f"task {task_id} to end")

    def wait_for_rest(self, book: str) -> None:
        """What is active has dealt with the newest day, and the worker has nothing to do."""
        sql = (
            "SELECT NOT EXISTS (SELECT FROM tasks_task WHERE kind LIKE 'strategy.%%' AND status = 'processing')"
            " AND NOT EXISTS (SELECT FROM deployments"
            " WHERE portfolio_id = %s AND status = 'active' AND last_day IS NULL)"
        )
        wait_until(lambda: self.value(sql, book), END_SECONDS, f"{book} to have nothing to do")

    def pushed(self, deployment_id: str) -> Counter[str]:
        """How often each event was said on `deployments:{id}`, all that ever was; a gap in its seq is an error."""
        topic, events, head = f"deployments:{deployment_id}", [], None
        with connect(f"{self.platform.socket_address}/ws") as socket:
            socket.send(json.dumps({"type": "subscribe", "topic": topic, "since": 0}))
            while head is None or len(events) < head:
                frame = json.loads(socket.recv(timeout=20))
                assert frame["type"] != "error", frame
                if frame["type"] == "subscribed":
                    assert frame["recovered"], f"{topic} has a gap: {frame}"
                    head = frame["seq"]
                elif frame["type"] == "message":
                    events.append(frame["data"]["event"])
                    assert frame["seq"] == len(events), f"{topic}: message {frame['seq']} came as number {len(events)}"
        return Counter(events)


def patient(ask: Any) -> Any:
    """None where nobody answers now: a store or the web process is on its way back."""
    with suppress(httpx.HTTPError, psycopg.OperationalError, AssertionError):
        return ask()


# --- Stopping it where it is -----------------------------------------------------------------------------------------


@contextmanager
def held(desk: Desk, sql: str, *parameters: Any) -> Iterator[psycopg.Connection]:
    """A transaction that keeps what its statement locks, until the block ends or it is rolled back."""
    with psycopg.connect(embedded_database_url(desk.platform.home)) as connection:
        connection.execute(sql, parameters)
        yield connection
        connection.rollback()


def held_deployment(desk: Desk, deployment_id: str) -> Any:
    return held(desk, "SELECT 1 FROM deployments WHERE id = %s FOR NO KEY UPDATE", deployment_id)


def is_waited_for(desk: Desk, connection: psycopg.Connection, query: str) -> bool:
    """Whether a statement with these words waits for what this transaction holds."""
    sql = "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid)) AND query ILIKE %s"
    return bool(desk.value(sql, connection.info.backend_pid, f"%{query}%"))


def is_waiting(desk: Desk, query: str) -> bool:
    """Whether a statement with these words waits for a lock: also behind others, such as a lease's renewal."""
    sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ILIKE %s"
    return bool(desk.value(sql, f"%{query}%"))


def sandboxes(platform: Platform) -> list[psutil.Process]:
    """Processes that strategies run in now."""
    with suppress(psutil.NoSuchProcess):
        children = psutil.Process(platform.pid(WORKER)).children(recursive=True)
        return [child for child in children if _is_sandbox(child)]
    return []


def _is_sandbox(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return any(part.endswith("sandbox/child.py") for part in process.cmdline())
    return False


def freeze_pool(platform: Platform) -> list[psutil.Process]:
    """All that the worker computes with, but its sandboxes; its own process only hands out."""
    pool = [child for child in psutil.Process(platform.pid(WORKER)).children() if not has_ended(child)]
    for process in pool:
        process.suspend()
    return pool


def wake(pool: list[psutil.Process]) -> None:
    for process in pool:
        process.resume()


def kill_worker(platform: Platform) -> list[psutil.Process]:
    """kill -9 of the worker and its pool; their sandboxes, which nobody kills, are the answer."""
    worker = psutil.Process(platform.pid(WORKER))
    family = [worker, *worker.children(recursive=True)]
    orphans = [process for process in family if _is_sandbox(process)]
    for process in family:
        if process not in orphans:
            with suppress(psutil.NoSuchProcess):  # a child may end by itself once its parent is gone
                process.kill()
    return orphans


def wait_for_end_of(processes: list[psutil.Process]) -> None:
    wait_until(lambda: all(map(has_ended, processes)), 15, f"{processes} to end with the worker that started them")


def has_ended(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True


def wait_for_step(desk: Desk, deployment_id: str, name: str, attempt: int = 1) -> None:
    """The step runs, and the strategy's process as well: it is being asked, or about to be."""

    def is_at_work() -> bool:
        return desk.step(deployment_id, name) == ("running", attempt) and bool(sandboxes(desk.platform))

    wait_until(is_at_work, END_SECONDS, f"{name} of {deployment_id} to run, try {attempt}", pause_seconds=0.01)


def weekdays(last: date, count: int) -> list[date]:
    """So many, ascending, `last` being the last of them."""
    days = (last - timedelta(days=number) for number in range(2 * count + 7))
    return sorted([day for day in days if day.weekday() < 5][:count])


def next_weekday(day: date) -> date:
    return next(later for number in (1, 2, 3) if (later := day + timedelta(days=number)).weekday() < 5)
