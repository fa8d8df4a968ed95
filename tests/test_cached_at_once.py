"""Ten thousand equal requests compute once, over threads, processes and HTTP."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from nautilus.cache import store
from nautilus.local.home import ROOT
from tests.running import ANALYZE, Platform, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(300)]

PROCESSES, THREADS, CALLS = 4, 50, 50
COMPUTED = "tests:computed"  # counts over all processes


@pytest.fixture(autouse=True)
def redis():
    client = store.redis_of_answers()
    client.flushdb()
    yield client
    client.flushdb()


@contextmanager
def asking_processes(count: int, *arguments: Any) -> Iterator[list["subprocess.Popen[str]"]]:
    command = [sys.executable, "-m", "tests.asking_at_once", *map(str, arguments), COMPUTED]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            )
            for _ in range(count)
        ]
        stack.callback(lambda: [process.kill() for process in processes])
        assert [process.stdout.readline() for process in processes] == ["ready\n"] * count
        yield processes


def begin(process: "subprocess.Popen[str]") -> None:
    process.stdin.write("go\n")
    process.stdin.flush()


def told(process: "subprocess.Popen[str]") -> dict[str, Any]:
    *_, last = process.stdout.read().splitlines()
    return json.loads(last)


def test_ten_thousand_equal_calls_of_four_processes_compute_once(redis):
    with asking_processes(PROCESSES, THREADS, CALLS, "plain") as processes:
        for process in processes:
            begin(process)
        asked = [told(process) for process in processes]
    assert sum(one["calls"] for one in asked) == 10_000
    assert len({answer for one in asked for answer in one["answers"]}) == 1
    assert redis.get(COMPUTED) == b"1"
    counted = redis.hgetall("cache:statistics")
    assert (counted[b"misses"], counted[b"hits"]) == (b"1", b"9999")


def test_when_one_process_fails_another_computes_and_the_error_stays_with_those_that_waited_there(redis):
    with asking_processes(2, 5, 1, "fail_first") as (first, second):
        begin(first)
        assert first.stdout.readline() == "computing\n"
        begin(second)
        failed, computed = told(first), told(second)
    assert failed["answers"] == ["The first one fails."]
    assert [json.loads(answer)["turn"] for answer in computed["answers"]] == [2]


def test_three_hundred_equal_requests_for_risk_at_once_compute_once(platform: Platform):
    body = {"portfolio_id": "PORTFOLIO_001", "method": "monte_carlo", "paths": 200_000, "seed": 5}
    with platform.client() as client:
        client.post("/api/v1/cache/clear")
        before = client.get("/api/v1/cache/status").json()
        with ThreadPoolExecutor(50) as threads:
            answers = list(threads.map(lambda _: client.post(ANALYZE, json=body), range(300)))
        assert {answer.status_code for answer in answers} == {202}
        ids = [answer.json()["task_id"] for answer in answers]
        tasks = "SELECT status, count(*), count(DISTINCT result) FROM tasks_task WHERE id = ANY(%s::uuid[]) GROUP BY 1"
        wait_until(lambda: platform.query(tasks, ids) == [("succeeded", 300, 1)], 120, "all tasks to have one result")
        # And again, when nothing is left to be coalesced with.
        repeated = client.post(ANALYZE, json=body).json()["task_id"]
        wait_until(lambda: platform.query(tasks, [repeated]) == [("succeeded", 1, 1)], 60, "the repeated one")
        after = client.get("/api/v1/cache/status").json()
    assert after["misses"] - before["misses"] == 1
    assert after["hits"] - before["hits"] >= 1
