"""One run of the monitor over many wide books, on servers of its own, in one process as a worker has it."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measuring import Series, spread
from nautilus.local.home import ROOT
from nautilus.local.servers import running_servers

PORTFOLIOS = int(os.environ.get("BENCH_PORTFOLIOS", 1_000))
SYMBOLS = 500
TITLE = f"Monitor: {PORTFOLIOS:,} portfolios x {SYMBOLS} symbols, 10 limits each, one process"


def run(rounds: int, calls: int) -> dict[str, Any]:
    """Seconds of whole runs; the rounds are measured in a process of their own, whose settings are those of servers."""
    with tempfile.TemporaryDirectory(prefix="nautilus-bench-") as home, running_servers(Path(home)) as servers:
        Path(home).chmod(0o755)  # PostgreSQL's user reaches its data through it
        environment = {
            **os.environ,
            "DATABASE_URL": servers.database_url,
            "REDIS_URL": servers.redis_url,
            "NAUTILUS_HOME": home,
            "NAUTILUS_SECRET_KEY": "only-for-benchmarks-only-for-benchmarks",
            "NAUTILUS_MAX_PRICE_AGE_SECONDS": "0",
            "NAUTILUS_LOG_LEVEL": "WARNING",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
        }
        command = [sys.executable, "-m", "benchmarks.monitor_rounds", str(PORTFOLIOS), str(SYMBOLS), str(rounds)]
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True)
    measured: dict[str, list[list[float]]] = json.loads(done.stdout)
    series = {name: Series(name, times).figures() for name, times in measured.items()}
    return {"title": TITLE, "unit": "s", "goal": "less than the interval of 5 s", "series": series}


def show(console: Console, answer: dict[str, Any]) -> None:
    table = Table("", "p50 s", "p95 s", "spread of p50", title=answer["title"])
    for name, one in answer["series"].items():
        table.add_row(name, f"{one['p50']:.2f}", f"{one['p95']:.2f}", spread(one))
    console.print(table)
    console.print(f"Goal: {answer['goal']}.", highlight=False)
