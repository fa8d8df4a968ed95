"""Killed workers and lost Redis, on the running platform: every task that was submitted ends, with no hand in it."""

import time
from collections import Counter
from typing import Any

import httpx
import psutil
import pytest

from tests.running import ANALYZE, Platform, turns, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(600)]

IMPORT = "/api/v1/market-data/import"


def submit_many(client: httpx.Client, count: int, start: int = 0) -> list[str]:
    """Jobs that differ, so that none shares another's computation."""
    answers = [
        client.post(ANALYZE, json={"portfolio_id": "PORTFOLIO_001", "confidence": 0.9, "window_days": 300 + start + n})
        for n in range(count)
    ]
    assert {answer.status_code for answer in answers} == {202}, [a.text for a in answers if a.status_code != 202][:1]
    return [answer.json()["task_id"] for answer in answers]


def all_end(platform: Platform, task_ids: list[str], seconds: float) -> Counter[str]:
    def statuses() -> Counter[str]:
        rows = platform.query("SELECT status FROM tasks_task WHERE id = ANY(%s::uuid[])", task_ids)
        return Counter(status for (status,) in rows)

    wait_until(lambda: "processing" not in statuses(), seconds, f"{len(task_ids)} tasks to end")
    return statuses()


def stored_once(platform: Platform, task_ids: list[str]) -> bool:
    rows = platform.query(
        "SELECT count(*), count(DISTINCT task_id) FROM risk_metrics WHERE task_id = ANY(%s::uuid[])", task_ids
    )
    return rows == [(len(task_ids), len(task_ids))]


def big_price_file() -> bytes:
    """A file that takes seconds to import: 200 symbols over 2,500 days."""
    symbols = [f"Z{number:03}" for number in range(200)]
    days = [str(day) for day in _weekdays(2500)]
    lines = [
        f"{day}," + ",".join(f"{10 + (row * 7 + number) % 90}" for number in range(200)) for row, day in enumerate(days)
    ]
    return "\n".join([",".join(["date", *symbols]), *lines]).encode()


def _weekdays(count: int) -> list[Any]:
    import numpy as np

    return list(np.busday_offset("2010-01-04", np.arange(count), roll="forward"))


def test_worker_killed_in_the_middle_of_a_job_loses_nothing(platform: Platform):
    with platform.client() as client:
        accepted = client.post(IMPORT, content=big_price_file(), headers={"Content-Type": "text/csv"})
        assert accepted.status_code == 202, accepted.text
        url = accepted.json()["status_url"]
        wait_until(lambda: client.get(url).json()["started_at"], 20, "the job to start")
        platform.kill("analytics-worker")
        task = wait_until(lambda: (t := client.get(url).json())["status"] != "processing" and t, 90, "the job to end")
    assert (task["status"], task["attempts"]) == ("succeeded", 2)
    assert task["result"]["inserted"] == 500_000
    assert platform.query("SELECT count(*) FROM portfolios_dailyprice WHERE symbol ~ '^Z[0-9]{3}$'") == [(500_000,)]


def test_running_job_that_is_cancelled_stops_and_imports_nothing(platform: Platform):
    content = big_price_file().replace(b"Z", b"Y")
    with platform.client() as client:
        accepted = client.post(IMPORT, content=content, headers={"Content-Type": "text/csv"}).json()
        url, started = accepted["status_url"], "SELECT 1 FROM tasks_task WHERE id = %s AND started_at IS NOT NULL"
        # Without a pause: the file is read in a second, and what is being written is no longer cancelled.
        wait_until(lambda: platform.query(started, accepted["task_id"]), 20, "the job to start", pause_seconds=0)
        assert client.delete(url).status_code == 202
        time.sleep(8)
        task = client.get(url).json()
        assert (task["status"], task["result"], task["attempts"]) == ("cancelled", None, 1)
        assert platform.query("SELECT count(*) FROM portfolios_instrument WHERE symbol ~ '^Y[0-9]{3}$'") == [(0,)]
        again = client.post(f"{url}/retry").json()
        answer = wait_until(lambda: _ended(client, again["status_url"]), 90, "the job that was asked for again to end")
    assert (answer["status"], answer["retry_of"]) == ("succeeded", task["task_id"])


def _ended(client: httpx.Client, url: str) -> dict[str, Any] | None:
    task = client.get(url, params={"wait": 20}).json()
    return task if task["status"] != "processing" else None


def test_pool_process_killed_in_the_middle_of_many_jobs_loses_nothing(platform: Platform):
    with platform.client() as client:
        task_ids = submit_many(client, 40)
        for _ in range(3):
            children = psutil.Process(platform.pid("risk-worker")).children()
            if children:
                children[0].kill()
            time.sleep(0.3)
        assert all_end(platform, task_ids, 90) == {"succeeded": 40}
    assert stored_once(platform, task_ids)


@pytest.mark.parametrize("turn", turns(5))
def test_redis_stopped_for_ten_seconds_loses_no_task(platform: Platform, turn: int):
    workers = {name: platform.pid(name) for name in ("risk-worker", "analytics-worker", "strategy-deployer")}
    with platform.client() as client:
        task_ids = submit_many(client, 20, 100 * turn)
        platform.stop("redis")
        task_ids += submit_many(client, 5, 100 * turn + 20)  # what is submitted without Redis waits for it
        time.sleep(10)
        platform.start("redis")
        task_ids += submit_many(client, 5, 100 * turn + 40)
        assert all_end(platform, task_ids, 90) == {"succeeded": 30}
    assert stored_once(platform, task_ids)
    assert workers == {name: platform.pid(name) for name in workers}, "a worker had to be started again"


@pytest.mark.parametrize("turn", turns(5))
def test_wiped_redis_loses_no_task(platform: Platform, turn: int):
    workers = {name: platform.pid(name) for name in ("risk-worker", "analytics-worker", "strategy-deployer")}
    with platform.client() as client:
        platform.stop("risk-worker")  # so that the messages are in Redis when it is wiped
        task_ids = submit_many(client, 20, 100 * turn)
        platform.wipe_redis()
        platform.start("risk-worker")
        task_ids += submit_many(client, 5, 100 * turn + 20)
        assert all_end(platform, task_ids, 90) == {"succeeded": 25}
    assert stored_once(platform, task_ids)
    del workers["risk-worker"]
    assert workers == {name: platform.pid(name) for name in workers}, "a worker had to be started again"


def test_web_process_that_was_killed_is_back_and_answers(platform: Platform):
    platform.kill("web")
    with platform.client() as client:
        wait_until(lambda: _answers(client), 30, "the web process to be back")
        assert client.get("/api/v1/portfolios").json()["count"] >= 3


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.HTTPError:
        return False
