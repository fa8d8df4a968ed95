"""Deployments on a running platform whose worker dies, freezes or loses its stores: done again, or ended clearly.

Nobody sleeps and hopes: a step is stopped where a row that it needs is held, or where its strategy is seen to compute,
and what PostgreSQL says afterwards shows that it was.
"""

import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.deploying import (
    END_SECONDS,
    STRATEGY,
    WORKER,
    Desk,
    freeze_pool,
    held,
    held_deployment,
    is_waited_for,
    is_waiting,
    kill_worker,
    next_weekday,
    patient,
    sandboxes,
    wait_for_end_of,
    wait_for_step,
    wake,
    weekdays,
)
from tests.running import running_platform, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(600)]

BOOK, SYMBOLS = "FAULTS", ["AAPL", "JPM"]
RUN_BOOK, RUN_SYMBOLS = "FAULTY_RUNS", ["ROSE", "TULIP"]
STUCK_SECONDS = 100.0  # beat clears each 60 s

SETTINGS = {
    # A dead worker's task is free after seconds.
    "NAUTILUS_TASK_LEASE_SECONDS": "3",
    "NAUTILUS_TASK_RESEND_AFTER_SECONDS": "1",
    "NAUTILUS_TASK_SWEEP_INTERVAL_SECONDS": "1",
    "NAUTILUS_STRATEGY_RUN_INTERVAL_SECONDS": "1",
    # What is held here is held for longer than usual, and a frozen transaction ends sooner.
    "NAUTILUS_LOCK_TIMEOUT_SECONDS": "30",
    "NAUTILUS_IDLE_IN_TRANSACTION_SECONDS": "12",
    # Backtests of some seconds, and gates that a fixed mix passes: they are not what is tried here.
    "NAUTILUS_STRATEGY_BACKTEST_DAYS": "20",
    "NAUTILUS_STRATEGY_HISTORY_DAYS": "60",
    "NAUTILUS_SANDBOX_CALL_SECONDS": "60",
    "NAUTILUS_GATE_MIN_SHARPE": "-10",
    "NAUTILUS_GATE_MAX_DRAWDOWN": "1",
    "NAUTILUS_GATE_MAX_TURNOVER": "1000",
    "NAUTILUS_LIVE_MAX_DRAWDOWN": "1",
}


@pytest.fixture(scope="module")
def platform_desk() -> Iterator[Desk]:
    """A platform of its own with an active deployment on BOOK."""
    home = Path(tempfile.mkdtemp(prefix="nautilus-deployments-"))
    with running_platform(home, **SETTINGS) as platform:
        desk = Desk(platform)
        desk.open_book(BOOK)
        desk.make_version("FAULTY", dict.fromkeys(SYMBOLS, 0.4))
        desk.ended_task(desk.deploy("FAULTY", BOOK, SYMBOLS)["task_id"])
        yield desk
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def desk(platform_desk: Desk) -> Iterator[Desk]:
    """Nothing is on its way and nothing runs, before a test and after it."""
    platform_desk.wait_for_rest(BOOK)
    yield platform_desk
    for deployment_id in platform_desk.under_way(BOOK):
        patient(partial(platform_desk.post, f"{STRATEGY}/rollback", {"deployment_id": deployment_id}))


@pytest.fixture
def before(desk: Desk) -> str:
    (active,) = desk.active(BOOK)
    return active


def deploy(desk: Desk) -> tuple[str, str]:
    accepted = desk.deploy("FAULTY", BOOK, SYMBOLS)
    return accepted["deployment_id"], accepted["task_id"]


def check_it_came_through(desk: Desk, deployment_id: str, before: str) -> dict[str, int]:
    """It alone is active, what was before it has ended once, nothing runs; how often each step was begun."""
    shown, ended = desk.shown(deployment_id), desk.shown(before)
    assert (shown["status"], shown["previous"], shown["reason"]) == ("active", before, ""), shown["reason"]
    assert desk.active(BOOK) == [deployment_id]
    assert (ended["status"], ended["reason"]) == ("superseded", f"{deployment_id} took its place")
    assert {step["status"] for step in shown["steps"]} == {"succeeded"}
    assert desk.pushed(deployment_id)["deployment.activated"] == 1
    assert desk.pushed(before)["deployment.superseded"] == 1
    return {step["name"]: step["attempts"] for step in shown["steps"]}


def check_it_failed(desk: Desk, deployment_id: str, before: str, reason: str) -> None:
    """It says why, nothing of it runs, and what was active is active."""
    shown = desk.shown(deployment_id)
    assert (shown["status"], shown["reason"].startswith(reason)) == ("failed", True), shown["reason"]
    assert not {step["status"] for step in shown["steps"]} & {"running", "pending"}
    assert desk.active(BOOK) == [before]
    assert desk.shown(before)["ended_at"] is None
    assert desk.pushed(deployment_id)["deployment.failed"] == 1


ONCE = {"validate": 1, "backtest": 1, "risk": 1, "activate": 1}


# --- kill -9 in each step -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["validate", "backtest", "risk"])
def test_step_whose_worker_is_killed_is_done_again(desk: Desk, before: str, step: str):
    deployment_id, task_id = deploy(desk)
    wait_for_step(desk, deployment_id, step)
    orphans = kill_worker(desk.platform)
    assert (desk.step(deployment_id, step), len(orphans)) == (("running", 1), 1)
    wait_for_end_of(orphans)
    task = desk.ended_task(task_id)
    assert (task["status"], task["attempts"]) == ("succeeded", 2), task["error"]
    assert check_it_came_through(desk, deployment_id, before) == {**ONCE, step: 2}


def test_worker_killed_while_it_activates_activates_once(desk: Desk, before: str):
    with held_deployment(desk, before) as holder:
        deployment_id, task_id = deploy(desk)
        wait_until(lambda: is_waited_for(desk, holder, "deployments"), END_SECONDS, "the activation to wait")
        assert desk.step(deployment_id, "activate") == ("running", 1)
        kill_worker(desk.platform)
    task = desk.ended_task(task_id)
    assert (task["status"], task["attempts"]) == ("succeeded", 2), task["error"]
    assert check_it_came_through(desk, deployment_id, before) == {**ONCE, "activate": 2}


def test_worker_killed_as_it_ends_its_task_has_activated_nothing(desk: Desk, before: str):
    deployment_id, task_id = deploy(desk)
    wait_for_step(desk, deployment_id, "risk")
    with held(desk, "SELECT 1 FROM tasks_task WHERE id = %s FOR UPDATE", task_id):
        ends = partial(is_waiting, desk, 'UPDATE "tasks_task" SET "status" = \'succeeded\'')
        wait_until(ends, END_SECONDS, "the end of the task to wait")
        assert desk.step(deployment_id, "activate") == ("running", 1)
        kill_worker(desk.platform)
    assert desk.active(BOOK) == [before]
    task = desk.ended_task(task_id)
    assert (task["status"], task["attempts"]) == ("succeeded", 2), task["error"]
    assert task["result"] == {"deployment_id": deployment_id, "status": "active"}
    assert check_it_came_through(desk, deployment_id, before) == {**ONCE, "activate": 2}


def test_step_that_kills_its_worker_three_times_fails_the_deployment_and_the_next_may_come(desk: Desk, before: str):
    deployment_id, task_id = deploy(desk)
    for attempt in (1, 2, 3):
        wait_for_step(desk, deployment_id, "validate", attempt)
        kill_worker(desk.platform)
    task = desk.ended_task(task_id)
    assert (task["status"], task["error"]["code"], task["attempts"]) == ("failed", "worker_lost", 3)
    wait_until(lambda: desk.status(deployment_id) == "failed", STUCK_SECONDS, "beat to end the deployment")
    check_it_failed(desk, deployment_id, before, "its task is failed: The worker died 3 times")
    assert desk.step(deployment_id, "validate") == ("failed", 3)
    next_id, next_task = deploy(desk)
    assert desk.ended_task(next_task)["status"] == "succeeded"
    assert check_it_came_through(desk, next_id, before) == ONCE


@pytest.mark.endurance
@pytest.mark.parametrize("turn", range(20))
def test_worker_killed_at_any_moment_activates_once(desk: Desk, before: str, turn: int):
    deployment_id, task_id = deploy(desk)
    time.sleep(random.Random(turn).uniform(0, 5))
    orphans = kill_worker(desk.platform)
    wait_for_end_of(orphans)
    task = desk.ended_task(task_id)
    assert (task["status"], task["attempts"] <= 2) == ("succeeded", True), task["error"]
    assert set(check_it_came_through(desk, deployment_id, before).values()) <= {1, 2}


# --- Stores that go away ------------------------------------------------------------------------------------------


def test_redis_that_stops_for_five_seconds_in_the_middle_loses_nothing(desk: Desk, before: str):
    worker = desk.platform.pid(WORKER)
    deployment_id, task_id = deploy(desk)
    wait_for_step(desk, deployment_id, "validate")
    desk.platform.stop("redis")
    time.sleep(5)
    desk.platform.start("redis")
    assert desk.ended_task(task_id)["status"] == "succeeded"
    is_pushed = partial(patient, lambda: desk.pushed(deployment_id)["deployment.activated"])
    wait_until(is_pushed, 30, "what waited for Redis to be pushed")
    check_it_came_through(desk, deployment_id, before)
    assert desk.platform.pid(WORKER) == worker, "the worker had to be started again"


def test_postgresql_that_restarts_in_the_middle_loses_nothing(desk: Desk, before: str):
    deployment_id, task_id = deploy(desk)
    wait_for_step(desk, deployment_id, "backtest")
    desk.platform.stop("postgres")
    desk.platform.start("postgres")
    assert desk.ended_task(task_id)["status"] == "succeeded"
    begun = check_it_came_through(desk, deployment_id, before)
    assert begun.pop("backtest") in (1, 2)  # 1 where it computed all the while
    assert set(begun.values()) == {1}


# --- Workers that freeze ------------------------------------------------------------------------------------------


def rows_of(desk: Desk, deployment_id: str) -> list[tuple[Any, ...]]:
    """All that the pipeline writes."""
    deployment = desk.platform.query("SELECT * FROM deployments WHERE id = %s", deployment_id)
    return deployment + desk.platform.query("SELECT * FROM deployment_steps WHERE deployment_id = %s", deployment_id)


def make_late(desk: Desk, deployment_id: str) -> None:
    sql = "UPDATE deployments SET created_at = now() - interval '31 minutes' WHERE id = %s RETURNING id"
    desk.platform.query(sql, deployment_id)


def test_frozen_worker_that_wakes_up_after_the_timeout_writes_nothing(desk: Desk, before: str):
    deployment_id, task_id = deploy(desk)
    wait_for_step(desk, deployment_id, "validate")
    frozen = freeze_pool(desk.platform)
    try:
        make_late(desk, deployment_id)
        desk.post(f"{STRATEGY}/deployments/clear-stuck", {}, 200)
        check_it_failed(desk, deployment_id, before, "Timeout")
        written = rows_of(desk, deployment_id)
        next_id, next_task = deploy(desk)
    finally:
        wake(frozen)
    # The same process takes the next one when it is done with what it dreamt of.
    assert desk.ended_task(next_task)["status"] == "succeeded"
    assert check_it_came_through(desk, next_id, before) == ONCE
    assert all(process.is_running() for process in frozen)
    assert rows_of(desk, deployment_id) == written
    assert desk.ended_task(task_id)["status"] == "cancelled"


def test_worker_frozen_in_the_transaction_that_activates_leaves_nothing_half_done(desk: Desk, before: str):
    with held_deployment(desk, before) as holder:
        deployment_id, task_id = deploy(desk)
        wait_until(lambda: is_waited_for(desk, holder, "deployments"), END_SECONDS, "the activation to wait")
        frozen = freeze_pool(desk.platform)
    try:
        make_late(desk, deployment_id)  # waits for the row: PostgreSQL ends the frozen transaction after 12 s
        wait_until(lambda: clear_stuck(desk, deployment_id), 30, "the deployment to be cleared")
        check_it_failed(desk, deployment_id, before, "Timeout")
        written = rows_of(desk, deployment_id)
    finally:
        wake(frozen)
    desk.wait_for_rest(BOOK)
    next_id, next_task = deploy(desk)
    assert desk.ended_task(next_task)["status"] == "succeeded"
    assert check_it_came_through(desk, next_id, before) == ONCE
    assert rows_of(desk, deployment_id) == written
    assert desk.ended_task(task_id)["status"] in ("cancelled", "failed")


def clear_stuck(desk: Desk, deployment_id: str) -> bool:
    desk.post(f"{STRATEGY}/deployments/clear-stuck", {}, 200)
    return desk.status(deployment_id) == "failed"


# --- kill -9 while an active deployment runs ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def running(platform_desk: Desk) -> str:
    """Active on a book of its own that holds the second symbol already, with what it decided on the newest day open."""
    desk = platform_desk
    days = enumerate(weekdays(date(2022, 12, 28), 90))
    desk.import_closes([f"{day},{symbol},{100 + row}" for row, day in days for symbol in RUN_SYMBOLS])
    desk.open_book(RUN_BOOK)
    trade = {"symbol": RUN_SYMBOLS[1], "quantity": 10, "price": 150, "traded_at": "2022-12-20T21:00:00Z"}
    desk.post(f"/api/v1/portfolios/{RUN_BOOK}/trades", trade, 201)
    desk.make_version("FAULTY_RUNNER", dict.fromkeys(RUN_SYMBOLS, 0.4))
    accepted = desk.deploy("FAULTY_RUNNER", RUN_BOOK, RUN_SYMBOLS)
    assert desk.ended_task(accepted["task_id"])["status"] == "succeeded"
    desk.wait_for_rest(RUN_BOOK)
    return str(accepted["deployment_id"])


def import_next_day(desk: Desk) -> str:
    """The next day's closes, far from the last, so that there is something to trade; the day."""
    newest = desk.value("SELECT max(date) FROM portfolios_dailyprice WHERE symbol = %s", RUN_SYMBOLS[0])
    day = next_weekday(newest)
    close = 50 + 70 * (day.day % 2)
    desk.import_closes([f"{day},{RUN_SYMBOLS[0]},{close}", f"{day},{RUN_SYMBOLS[1]},{200 - close}"])
    return str(day)


def open_orders(desk: Desk, deployment_id: str) -> list[int]:
    sql = "SELECT id FROM deployment_orders WHERE deployment_id = %s AND status = 'open' ORDER BY id"
    return [row[0] for row in desk.platform.query(sql, deployment_id)]


def task_of_run(desk: Desk, deployment_id: str) -> str:
    sql = (
        "SELECT id FROM tasks_task WHERE kind = 'strategy.run' AND inputs->>'deployment_id' = %s"
        " AND coalesced_with_id IS NULL ORDER BY created_at DESC LIMIT 1"
    )
    return str(desk.value(sql, deployment_id))


def check_the_book(desk: Desk, deployment_id: str, day: str) -> None:
    """Each order that is filled has a trade of its own, and positions and cash are what the trades come to."""
    orders = (
        "SELECT count(*), count(DISTINCT trade_id) FROM deployment_orders"
        " WHERE deployment_id = %s AND status = 'filled'"
    )
    trades = "SELECT count(*), count(DISTINCT external_id) FROM portfolios_trade WHERE external_id LIKE %s"
    assert desk.platform.query(orders, deployment_id) == desk.platform.query(trades, f"{deployment_id}/%")
    positions = "SELECT symbol, quantity FROM portfolios_position WHERE portfolio_id = %s ORDER BY 1"
    summed = "SELECT symbol, sum(quantity) FROM portfolios_trade WHERE portfolio_id = %s GROUP BY 1 ORDER BY 1"
    assert desk.platform.query(positions, RUN_BOOK) == desk.platform.query(summed, RUN_BOOK)
    spent = desk.value("SELECT sum(quantity * price) FROM portfolios_trade WHERE portfolio_id = %s", RUN_BOOK)
    cash = desk.value("SELECT cash FROM portfolios_portfolio WHERE id = %s", RUN_BOOK)
    assert float(cash) == pytest.approx(1_000_000 - float(spent), abs=0.01)
    runs = "SELECT status, attempts FROM deployment_runs WHERE deployment_id = %s AND day = %s"
    assert desk.platform.query(runs, deployment_id, day) == [("succeeded", 1)]
    assert desk.shown(deployment_id)["last_day"] == day
    desk.pushed(deployment_id)


def test_worker_killed_between_two_fills_books_each_order_once(desk: Desk, running: str):
    orders = open_orders(desk, running)
    assert len(orders) == 2
    symbol = desk.value("SELECT symbol FROM deployment_orders WHERE id = %s", orders[1])
    with held_deployment(desk, running) as holder:
        day = import_next_day(desk)
        wait_until(lambda: is_waited_for(desk, holder, "deployments"), END_SECONDS, "the run to wait")
        hold = "SELECT 1 FROM portfolios_position WHERE portfolio_id = %s AND symbol = %s FOR UPDATE"
        with held(desk, hold, RUN_BOOK, symbol) as holder_of_position:
            holder.rollback()
            wait_until(lambda: is_waited_for(desk, holder_of_position, "position"), 30, "the second fill to wait")
            assert open_orders(desk, running) == orders
            task_id = task_of_run(desk, running)
            kill_worker(desk.platform)
    task = desk.ended_task(task_id)
    assert (task["status"], task["attempts"]) == ("succeeded", 2), task["error"]
    assert task["result"]["orders"]["filled"] == 2
    check_the_book(desk, running, day)


def test_worker_killed_while_it_asks_the_strategy_decides_once(desk: Desk, running: str):
    day = import_next_day(desk)
    wait_until(lambda: sandboxes(desk.platform), END_SECONDS, "the strategy to be asked", pause_seconds=0.01)
    task_id = task_of_run(desk, running)
    orphans = kill_worker(desk.platform)
    count = "SELECT count(*) FROM deployment_runs WHERE deployment_id = %s AND day = %s"
    assert (desk.value(count, running, day), len(orphans)) == (0, 1)
    wait_for_end_of(orphans)
    task = desk.ended_task(task_id)
    assert (task["status"], task["attempts"], task["result"]["decisions"]) == ("succeeded", 2, 1), task["error"]
    check_the_book(desk, running, day)
