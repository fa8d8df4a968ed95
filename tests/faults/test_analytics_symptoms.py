"""Computations over their time, queues that grow, live figures that stand still."""

import os
import signal
from collections import Counter
from typing import Any

import pytest

from tests.faults.desk import SETTINGS, Desk
from tests.running import ANALYZE, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(300)]

BACKTEST = "/api/v1/sprint3/analytics/risk/backtest"
STREAMING = "/api/v1/sprint3/analytics/streaming/status"
BOOK = "PORTFOLIO_001"


def submit(desk: Desk, path: str, **body: Any) -> dict[str, Any]:
    return desk.ask("POST", path, 202, json={"portfolio_id": BOOK, **body})


def test_computation_over_its_time_ends_with_the_reason_and_the_next_one_is_computed(desk, fault_line):
    line = fault_line(f"analytics: a computation over its {SETTINGS['NAUTILUS_TASK_TIME_LIMIT_SECONDS']} s")
    # 900 days of a million draws of Student's t: many times the limit.
    endless = submit(
        desk, BACKTEST, method="monte_carlo", distribution="student_t", paths=1_000_000, test_days=900, window_days=500
    )
    task = desk.ended_task(endless)
    assert (task["status"], task["error"]["code"]) == ("failed", "time_limit_exceeded")
    assert task["error"]["remedy"]
    said = desk.wait_for_symptom("queues", "analytics-over-time", 20)
    assert endless["task_id"] in said["cause"]
    line.seen(said["symptom"])
    after = desk.ended_task(submit(desk, ANALYZE, confidence=0.97))
    assert after["status"] == "succeeded", after
    line.mended(lost=0)


def test_queue_that_has_grown_long_is_told_and_every_task_ends(desk, fault_line):
    line = fault_line("analytics: a queue grown long")
    desk.platform.stop("risk-worker")
    try:
        accepted = [submit(desk, ANALYZE, confidence=0.9, window_days=300 + n) for n in range(60)]
        line.injected()
        said = desk.wait_for_symptom("queues", "queue-grown-long", 60)
        assert "risk_queue" in said["cause"]
        line.seen(said["symptom"])
    finally:
        desk.platform.start("risk-worker")
        line.cured()
    ended = Counter(desk.ended_task(each)["status"] for each in accepted)
    line.mended(lost=60 - ended["succeeded"])
    assert ended == {"succeeded": 60}


def test_engine_that_stands_still_is_told_and_its_successor_goes_on(desk, fault_line):
    line = fault_line("analytics: the live figures stand still (engine)")
    wait_until(lambda: desk.ask("GET", STREAMING)["status"] == "streaming", 60, "live figures")
    frozen = desk.platform.pid("analytics-engine")
    os.kill(frozen, signal.SIGSTOP)
    line.injected()
    try:
        said = desk.wait_for_symptom("analytics_streaming", "analytics-dashboard-static", 30)
        assert "analytics-engine" in said["remedy"]
        line.seen(said["symptom"])
    finally:
        line.cured()
        os.kill(frozen, signal.SIGKILL)  # as scripts/restart-service.sh does with one that does not hear
    desk.wait_until_healthy("analytics_streaming", 60)
    assert desk.ask("GET", STREAMING)["status"] == "streaming"
    line.mended(lost=0)


def test_feed_that_stops_makes_figures_stale_and_says_so(desk, fault_line):
    line = fault_line("analytics: the price feed stopped")
    desk.wait_until_healthy("market_data", 60)
    desk.platform.stop("market-feed")
    line.injected()
    try:
        said = desk.wait_for_symptom("market_data", "market-data-stopped", 30)
        assert desk.ask("GET", "/api/v1/market-data/status")["status"] == "stale"
        line.seen(said["symptom"])
    finally:
        desk.platform.start("market-feed")
        line.cured()
    desk.wait_until_healthy("market_data", 60)
    desk.wait_until_healthy("analytics_streaming", 60)
    line.mended(lost=0)
