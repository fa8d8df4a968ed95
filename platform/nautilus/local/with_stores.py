"""PostgreSQL and Valkey for the time of one command: a backup or a restore where the platform does not run."""

import os
import subprocess

from nautilus.local.control import platform_environment
from nautilus.local.home import Home
from nautilus.local.run import exclusive
from nautilus.local.servers import running_servers
from nautilus.local.supervision import answers, end_leftovers


def run_with_stores(home: Home, command: list[str]) -> int:
    """Runs the command, with the servers that run already where they do; its exit code."""
    home.make_folders()
    if (home.supervisor_socket.exists() and answers(home)) or os.environ.get("DATABASE_URL"):
        return _run(home, command)
    with exclusive(home):
        end_leftovers(home)
        with running_servers(home.path):
            return _run(home, command)


def _run(home: Home, command: list[str]) -> int:
    return subprocess.run(command, check=False, env={**os.environ, **platform_environment(home)}).returncode
