"""`make status`: what runs, and where."""

import time

from rich.console import Console
from rich.table import Table

from nautilus.local.environment import local_environment
from nautilus.local.home import Home
from nautilus.local.supervision import answers, states

NOT_RUNNING = 3  # as of `systemctl status`


def show_status(home: Home) -> int:
    console = Console()
    if not home.supervisor_socket.exists() or not answers(home):
        console.print(f"Nothing runs in {home.path}. `make run` starts it.")
        return NOT_RUNNING
    console.print(_table(home))
    console.print(f"Dashboard http://localhost:{local_environment(home.path)['NAUTILUS_PORT']}/   logs {home.logs}")
    return 0


def _table(home: Home) -> Table:
    table = Table("process", "state", "pid", "up")
    for name, state in states(home).items():
        up = _duration(time.time() - state["start"]) if state["pid"] else "-"
        table.add_row(name, state["statename"].lower(), str(state["pid"] or "-"), up)
    return table


def _duration(seconds: float) -> str:
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}"
