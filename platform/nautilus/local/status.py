"""`make status`: what runs, and where."""

import json
import time
from typing import Any

from rich.console import Console
from rich.table import Table

from nautilus.local.control import platform_environment
from nautilus.local.home import Home
from nautilus.local.supervision import answers, states

NOT_RUNNING = 3  # as of `systemctl status`


def show_status(home: Home, *, as_json: bool = False) -> int:
    runs = home.supervisor_socket.exists() and answers(home)
    if as_json:
        print(json.dumps(_facts(home, runs=runs), indent=1))
    elif runs:
        _show(home)
    else:
        Console().print(f"Nothing runs in {home.path}. `make run` starts it.")
    return 0 if runs else NOT_RUNNING


def _facts(home: Home, *, runs: bool) -> dict[str, Any]:
    """For programs: `pid` and `up_seconds` are null where a process does not run."""
    return {
        "home": str(home.path),
        "running": runs,
        "address": f"http://127.0.0.1:{platform_environment(home)['NAUTILUS_PORT']}",
        "processes": [_facts_of(state) for state in states(home).values()] if runs else [],
    }


def _facts_of(state: dict[str, Any]) -> dict[str, Any]:
    pid = state["pid"] or None
    facts = {"name": state["name"], "group": state["group"], "state": state["statename"].lower(), "pid": pid}
    return {**facts, "up_seconds": int(time.time() - state["start"]) if pid else None}


def _show(home: Home) -> None:
    console = Console()
    console.print(_table(home))
    console.print(f"Dashboard http://localhost:{platform_environment(home)['NAUTILUS_PORT']}/   logs {home.logs}")


def _table(home: Home) -> Table:
    table = Table("process", "state", "pid", "up")
    for state in states(home).values():
        facts = _facts_of(state)
        up = "-" if facts["pid"] is None else _duration(facts["up_seconds"])
        table.add_row(facts["name"], facts["state"], str(facts["pid"] or "-"), up)
    return table


def _duration(seconds: float) -> str:
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}"
