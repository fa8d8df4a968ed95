"""Runs the operators' scripts as an operator does: in a shell of his own, with nothing but the home folder's name."""

import json
import os
import shlex
import subprocess
from typing import Any

from nautilus.local.home import ROOT
from tests.running import Platform

OTHERS = ("NAUTILUS_", "DATABASE_", "REDIS_", "PG", "DJANGO_")
TIMEOUT_SECONDS = 400.0


def run_script(name: str, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """A script of scripts/, with its output; the variables are all that it has of ours."""
    return _run([str(ROOT / "scripts" / name), *arguments], variables)


def run_on(platform: Platform, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return run_script(name, *arguments, NAUTILUS_HOME=str(platform.home.path))


def run_line(platform: Platform, line: str) -> str:
    """A line of bash in the project's folder, which must succeed; what it prints."""
    done = _run(["bash", "-c", line], {"NAUTILUS_HOME": str(platform.home.path)})
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


def run_function(call: str, **variables: str) -> str:
    """A line of bash that knows the scripts' functions, without a platform; what it prints."""
    line = f"source scripts/lib/nautilus.sh; source scripts/lib/checks.sh; {call}"
    done = _run(["bash", "-c", line], variables)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


def run_remedy(platform: Platform, remedy: str) -> None:
    """A remedy word by word, but for the port, which an operator's platform has as it stands there."""
    run_line(platform, remedy.replace("localhost:8001", f"127.0.0.1:{platform.port}"))


def checked(platform: Platform, *arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit code of the health check script, and what it says."""
    done = run_on(platform, "sprint3-health-check.sh", "--json", *arguments)
    assert done.stdout.startswith("{"), f"{shlex.join(done.args)}\n{done.stdout}{done.stderr}"
    return done.returncode, json.loads(done.stdout)


def _run(command: list[str], variables: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(OTHERS)}
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**inherited, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
