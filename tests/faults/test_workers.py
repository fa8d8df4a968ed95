"""Workers that are killed, run out of memory, meet a poison task, are all gone, or no longer take tasks."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from nautilus.local.home import ROOT
from nautilus.tests.ill_worker import DEAF
from nautilus.watchdog import EXIT_CODE
from tests.faults.beside import beside, environment_of, pulse_of, wait_for_worker, worker_arguments
from tests.faults.desk import Desk
from tests.running import ANALYZE, wait_until
from tests.test_faults import all_end, stored_once, submit_many

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(600)]

BACKTEST = "/api/v1/sprint3/analytics/risk/backtest"
BOOK = "PORTFOLIO_001"
# Takes about a second of a core, of the ten that the desk allows: there is time to kill its process.
A_SECOND_OF_WORK = {"method": "monte_carlo", "distribution": "student_t", "paths": 100_000, "test_days": 60}


def submit_long(desk: Desk, window_days: int) -> dict[str, Any]:
    body = {"portfolio_id": BOOK, "window_days": window_days, **A_SECOND_OF_WORK}
    return desk.ask("POST", BACKTEST, 202, json=body)


def attempts(desk: Desk, task_id: str) -> int:
    return desk.platform.query("SELECT attempts FROM tasks_task WHERE id = %s", task_id)[0][0]


def is_processing(desk: Desk, task_id: str) -> bool:
    return desk.platform.query("SELECT status FROM tasks_task WHERE id = %s", task_id)[0][0] == "processing"


def restart(desk: Desk, service: str) -> None:
    """As the remedy says."""
    script = [str(ROOT / "scripts" / "restart-service.sh"), service]
    done = subprocess.run(script, env=environment_of(desk), capture_output=True, text=True, timeout=180, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def kill_pool(desk: Desk, service: str) -> None:
    """Its processes that compute, and not the worker that leads them."""
    for child in psutil.Process(desk.platform.pid(service)).children():
        child.kill()


def wait_for_attempt(desk: Desk, task_id: str, attempt: int) -> None:
    wait_until(lambda: attempts(desk, task_id) == attempt, 90, f"attempt {attempt}", pause_seconds=0)


def test_worker_that_was_killed_is_told_and_its_task_is_done_by_its_successor(desk: Desk, fault_line: Callable):
    line = fault_line("workers: a worker killed with -9 while it works")
    wait_for_worker(desk, "risk-worker")
    task = submit_long(desk, 301)
    wait_for_attempt(desk, task["task_id"], 1)
    desk.platform.kill("risk-worker")
    line.injected()
    said = desk.wait_for_symptom("workers", "worker-killed", 120, "risk-worker")
    assert "ended without a word" in said["cause"]
    line.seen(said["symptom"])
    ended = desk.ended_task(task)
    line.mended(lost=int(ended["status"] != "succeeded"))
    assert (ended["status"], ended["attempts"]) == ("succeeded", 2)
    restart(desk, "risk-worker")  # it has a clean record again
    desk.wait_until_healthy("workers", 120)


def test_process_killed_for_memory_is_told_and_its_task_is_done_again(desk: Desk, fault_line: Callable):
    line = fault_line("workers: a pool process killed as by the kernel when memory runs out")
    worker = wait_for_worker(desk, "risk-worker")
    task = submit_long(desk, 302)
    wait_for_attempt(desk, task["task_id"], 1)
    kill_pool(desk, "risk-worker")
    line.injected()
    said = desk.wait_for_symptom("workers", "worker-out-of-memory", 30, "risk-worker")
    assert task["task_id"] in said["cause"]
    line.seen(said["symptom"])
    ended = desk.ended_task(task)
    line.mended(lost=int(ended["status"] != "succeeded"))
    assert (ended["status"], ended["attempts"]) == ("succeeded", 2)
    assert pulse_of(desk, "risk-worker").pid == worker.pid, "the worker itself went on"
    restart(desk, "risk-worker")
    desk.wait_until_healthy("workers", 120)


def own_memory_mb(process: psutil.Process) -> int:
    """What RLIMIT_DATA counts of a process."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (kib,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmData:"))
    return int(kib) // 1024


def test_task_that_asks_for_too_much_memory_fails_alone_and_says_so(desk: Desk, fault_line: Callable):
    line = fault_line("workers: a task that asks for more memory than its worker may use")
    desk.ended_task(desk.ask("POST", ANALYZE, 202, json={"portfolio_id": BOOK, "confidence": 0.905}))
    needed_mb = max(own_memory_mb(one) for one in psutil.Process(desk.platform.pid("risk-worker")).children())
    desk.platform.stop("risk-worker")
    arguments = worker_arguments("nautilus", "risk-worker", "risk_queue")
    with beside(desk, "small-worker", *arguments, NAUTILUS_WORKER_MEMORY_LIMIT_MB=str(needed_mb + 10)) as small:
        # A million paths are 8 MB, and there are some copies of them.
        line.injected()
        greedy = {"portfolio_id": BOOK, "method": "monte_carlo", "paths": 1_000_000}
        ended = desk.ended_task(desk.ask("POST", ANALYZE, 202, json=greedy))
        assert (ended["status"], ended["error"]["code"]) == ("failed", "out_of_memory"), ended
        line.seen(ended["error"]["detail"])
        after = desk.ended_task(desk.ask("POST", ANALYZE, 202, json={"portfolio_id": BOOK, "confidence": 0.91}))
        assert after["status"] == "succeeded", after
        line.mended(lost=0)
        assert small.poll() is None
        assert wait_for_worker(desk, "risk-worker", small.pid).lost == 0
    desk.platform.start("risk-worker")
    desk.wait_until_healthy("workers", 120)


def test_poison_task_ends_as_failed_and_the_others_go_on(desk: Desk, fault_line: Callable):
    line = fault_line("workers: a task that kills its process each time")
    poison = submit_long(desk, 303)["task_id"]
    line.injected()
    for attempt in (1, 2, 3):
        wait_for_attempt(desk, poison, attempt)
        kill_pool(desk, "risk-worker")
    wait_until(lambda: not is_processing(desk, poison), 60, "the task to be given up")
    said = desk.wait_for_symptom("queues", "worker-poison-task", 30)
    assert poison in said["symptom"]
    line.seen(said["symptom"])
    task = desk.ask("GET", f"/api/v1/tasks/{poison}")
    assert (task["status"], task["error"]["code"], task["attempts"]) == ("failed", "worker_lost", 3)
    with desk.platform.client() as client:
        others = submit_many(client, 10)
    assert all_end(desk.platform, others, 120) == {"succeeded": 10}
    line.mended(lost=0)
    restart(desk, "risk-worker")
    desk.wait_until_healthy("workers", 120)


def test_queue_without_a_worker_is_told_and_all_its_tasks_end_once_one_is_there(desk: Desk, fault_line: Callable):
    line = fault_line("workers: all workers of a queue gone")
    desk.platform.stop("risk-worker")
    line.injected()
    with desk.platform.client() as client:
        waiting = submit_many(client, 10)
    said = desk.wait_for_symptom("workers", "workers-all-gone", 30)
    assert said["remedy"] == "scripts/restart-service.sh risk-worker"
    line.seen(said["symptom"])
    restart(desk, "risk-worker")
    ended = all_end(desk.platform, waiting, 120)
    desk.wait_until_healthy("workers", 120)
    line.mended(lost=10 - ended["succeeded"])
    assert ended == {"succeeded": 10}
    assert stored_once(desk.platform, waiting)


def test_worker_that_is_connected_and_takes_nothing_is_told_and_ends_itself(desk: Desk, fault_line: Callable):
    line = fault_line("workers: a worker that is connected and takes no task")
    desk.platform.stop("risk-worker")
    arguments = worker_arguments("nautilus.tests.ill_worker", "risk-worker", "risk_queue")
    with beside(desk, "deaf-worker", *arguments) as deaf:
        wait_for_worker(desk, "risk-worker", deaf.pid)
        os.kill(deaf.pid, DEAF)
        with desk.platform.client() as client:
            waiting = submit_many(client, 10)
        line.injected()
        said = desk.wait_for_symptom("workers", "worker-not-consuming", 30, "risk-worker")
        line.seen(said["symptom"])
        assert deaf.wait(30) == EXIT_CODE
    desk.platform.start("risk-worker")  # as supervisor and compose do with one that ended itself
    ended = all_end(desk.platform, waiting, 120)
    line.mended(lost=10 - ended["succeeded"])
    assert ended == {"succeeded": 10}
    assert "it took no task" in wait_for_worker(desk, "risk-worker", desk.platform.pid("risk-worker")).last_lost
    restart(desk, "risk-worker")
    desk.wait_until_healthy("workers", 120)
