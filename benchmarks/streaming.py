"""Live figures of many wide books in a storm of quotes, on servers of its own: an engine, a feeder, a listener."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from nautilus.local.home import ROOT
from nautilus.local.servers import running_servers

COUNTS = [int(count) for count in os.environ.get("BENCH_PORTFOLIOS", "100,1000").split(",")]
SYMBOLS = 500
QUOTES_PER_SECOND = int(os.environ.get("BENCH_QUOTES", 20_000))
SECONDS = int(os.environ.get("BENCH_SECONDS", 30))
GOAL_MS = 500
TITLE = f"Streaming: {COUNTS[-1]:,} portfolios x {SYMBOLS} symbols at {QUOTES_PER_SECOND:,} quotes/s, one engine"


def run(rounds: int, calls: int) -> dict[str, Any]:
    """One run of SECONDS for each number of portfolios, whatever `rounds` and `calls` are."""
    return {
        "title": TITLE,
        "goal": f"quote to published update p99 under {GOAL_MS} ms, no update that goes back in time",
        "seconds": SECONDS,
        "runs": {str(count): _run(count) for count in COUNTS},
    }


def _run(portfolios: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="nautilus-bench-") as home, running_servers(Path(home)) as servers:
        Path(home).chmod(0o755)  # PostgreSQL's user reaches its data through it
        environment = {
            **os.environ,
            "DATABASE_URL": servers.database_url,
            "REDIS_URL": servers.redis_url,
            "NAUTILUS_HOME": home,
            "NAUTILUS_SECRET_KEY": "only-for-benchmarks-only-for-benchmarks",
            "NAUTILUS_LOG_LEVEL": "WARNING",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
        }
        command = [sys.executable, "-m", "benchmarks.streaming_run", str(portfolios), str(SYMBOLS)]
        command += [str(QUOTES_PER_SECOND), str(SECONDS)]
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def show(console: Console, answer: dict[str, Any]) -> None:
    table = Table(
        "portfolios", "updates/s", "quotes/s", "p50 ms", "p99 ms", "max ms", "went back", title=answer["title"]
    )
    for count, one in answer["runs"].items():
        lag = one["quote_to_update_ms"]
        figures = (one["updates_per_second"], one["quotes_per_second"], lag["p50"], lag["p99"], lag["max"])
        table.add_row(count, *(f"{figure:,.0f}" for figure in figures), str(one["went_back"]))
    console.print(table)
    costs = Table("portfolios", *next(iter(answer["runs"].values()))["step_ms"], title="One step, p50 ms by phase")
    for count, one in answer["runs"].items():
        costs.add_row(count, *(f"{cost:.1f}" for cost in one["step_ms"].values()))
    console.print(costs)
    console.print(f"Goal: {answer['goal']}.", highlight=False)
