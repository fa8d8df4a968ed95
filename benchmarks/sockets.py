"""Sockets of one server process: ours beside stock Channels and beside a bare loop, on servers of their own."""

import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from nautilus.local.home import ROOT
from nautilus.local.servers import running_servers

GOAL_TO_STOCK, GOAL_TO_BARE, GOAL_STALLED = 12, 0.75, 1.2
PACKAGES = ("channels-redis", "daphne", "twisted", "autobahn", "websockets", "uvloop", "httptools")
TITLE = "Sockets: 500 on one topic, one server process"


def run(rounds: int, calls: int) -> dict[str, Any]:
    """Interleaved rounds of each contender, whatever `calls` is."""
    load_before = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="nautilus-bench-") as home, running_servers(Path(home)) as servers:
        Path(home).chmod(0o755)  # PostgreSQL's user reaches its data through it
        found = _run(rounds, _environment(home, servers.database_url, servers.redis_url))
    return {
        "title": TITLE,
        "goal": f"ours at least {GOAL_TO_STOCK} times stock Channels under daphne and {GOAL_TO_BARE} of the bare loop; "
        f"p99 of the others beside readers that stopped at most {GOAL_STALLED} times what it is without",
        **found,
        "load": {"before": load_before, "after": os.getloadavg()},
        "versions": {name: version(name) for name in PACKAGES},
    }


def _run(rounds: int, environment: dict[str, str]) -> dict[str, Any]:
    migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(migrate, cwd=ROOT, env=environment, check=True)
    command = [sys.executable, "-m", "benchmarks.sockets_run", str(rounds)]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _environment(home: str, database_url: str, redis_url: str) -> dict[str, str]:
    """As `make run` sets it, for the local operator."""
    return {
        **os.environ,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "NAUTILUS_HOME": home,
        "NAUTILUS_SECRET_KEY": "only-for-benchmarks-only-for-benchmarks",
        "NAUTILUS_LOG_LEVEL": "WARNING",
        "NAUTILUS_LOCAL_OPERATOR": "1",
        "NAUTILUS_HTTPS_ONLY": "0",
        "NAUTILUS_ALLOWED_HOSTS": "127.0.0.1",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
        "PYTHONWARNINGS": "ignore",
    }


def show(console: Console, answer: dict[str, Any]) -> None:
    for table in (_deliveries(answer), _latencies(answer), _memory(answer), _stalled(answer)):
        console.print(table)
    ended = answer["stalled"]["to_the_end"]
    rss = ", ".join(f"{name} {size / 2**20:.0f} MB" for name, size in ended["rss_bytes"].items())
    codes = ", ".join(str(one["close_code"] or one["end"]) for one in ended["ends"])
    console.print(f"Stalled readers were closed with: {codes}. The server held: {rss}.", highlight=False)
    console.print(f"Goal: {answer['goal']}.", highlight=False)


def _deliveries(answer: dict[str, Any]) -> Table:
    head = ("deliveries/s", "spread", "per cpu s", "ours/it", "per cpu")
    table = Table("", *head, title=answer["title"])
    for name, one in answer["deliveries"].items():
        spread = f"{min(one['rounds']):,.0f} to {max(one['rounds']):,.0f}"
        ratios = (f"{one['ours_to_it']:.2f}", f"{one['ours_to_it_per_cpu']:.2f}")
        table.add_row(name, f"{one['per_second']:,.0f}", spread, f"{one['per_cpu_second']:,.0f}", *ratios)
    return table


def _latencies(answer: dict[str, Any]) -> Table:
    table = Table(
        "", "p50 ms", "p99 ms", "max ms", "late by 5 s", title="Publish to receipt, 500 sockets x 20 messages/s"
    )
    for name, one in answer["latency_ms"].items():
        table.add_row(name, *(f"{one[part]:.2f}" for part in ("p50", "p99", "max")), f"{one['missing']:,}")
    return table


def _memory(answer: dict[str, Any]) -> Table:
    table = Table("", "process MB", "KB a socket, 500", "KB a socket, 2,000", title="Memory of idle sockets")
    for name, one in answer["memory"].items():
        sizes = (f"{size / 1024:.1f}" for size in one["bytes_a_socket"].values())
        table.add_row(name, f"{one['process_bytes'] / 2**20:.0f}", *sizes)
    return table


def _stalled(answer: dict[str, Any]) -> Table:
    table = Table("stalled", "p50 ms", "p99 ms", "max ms", "p99 ratio", title="The 500 others, messages of 1 KB")
    for count, one in answer["stalled"]["p99_ms"].items():
        times = (f"{one[part]:.2f}" for part in ("p50", "p99", "max"))
        moved = answer["stalled"]["p99_ratio"].get(count)
        table.add_row(count, *times, "" if moved is None else f"{moved:.2f}")
    return table
