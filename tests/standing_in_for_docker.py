"""A program of the name `docker` for tests of scripts: no Docker engine is at hand.

It stands first on the PATH, writes down how it is called, and answers as `docker compose` does. That shows what would
be asked of Docker, and not that Docker does it.
"""

import json
import os
import subprocess
from pathlib import Path

import yaml

from nautilus.local.home import ROOT
from tests.scripting import run_script

DOCKER = """\
#!/usr/bin/env bash
printf '%s\\n' "${*//$'\\n'/ }" >>"$DOCKER_CALLS"
[[ -z ${DOCKER_FAILS:-} || $* != *"$DOCKER_FAILS"* ]] || exit 1
case "$*" in
    *" ps --all --format json") cat "$DOCKER_STATES" ;;
    *" ps --format json") grep '"running"' "$DOCKER_STATES" ;;
    *" ps --services --status running") printf 'backend\\npostgres\\n' ;;
    *" ps --quiet") grep '"running"' "$DOCKER_STATES" || true ;;
    *" ps --all --quiet "*) grep "\\"${!#}\\"" "$DOCKER_STATES" || true ;;
    *" df -Pk "*) printf 'Filesystem 1K-blocks Used Available\\n/dev/sda 9 9 %s\\n' "${DOCKER_FREE_KB:-9999}" ;;
    *"redis-cli ping"*) echo PONG ;;
    *"-d nautilus_restore_"*) ;;
    *pg_dump*) echo "the dump" ;;
    *"exec -T postgres"* | *PGUSER*) echo 1 ;;
esac
"""
COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
SERVICES = [name for name in COMPOSE["services"] if name != "migrate"]  # which ends when it has done its work


class Docker:
    """What was asked of Docker, and what it answers for the state of each service."""

    def __init__(self, folder: Path) -> None:
        self.calls_file, self.states_file = folder / "calls", folder / "states"
        self.calls_file.touch()
        self.states_are({})
        program = folder / "bin" / "docker"
        program.parent.mkdir()
        program.write_text(DOCKER)
        program.chmod(0o755)
        self.variables = {
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "DOCKER_CALLS": str(self.calls_file),
            "DOCKER_STATES": str(self.states_file),
            "NAUTILUS_MODE": "compose",
            "NAUTILUS_HOME": str(folder / "home"),
            "NAUTILUS_TOKEN": "an operator's",
        }

    def states_are(self, other: dict[str, str], *more: str, usual: str = "running") -> None:
        """Of each service a container, and one for each further name."""
        lines = [
            {"Service": name, "State": other.get(name, usual), "Health": "", "Name": f"nautilus-{name}-{number}"}
            for number, name in enumerate([*SERVICES, *more])
        ]
        self.states_file.write_text("".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in lines))

    def run(self, name: str, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return run_script(name, *arguments, **{**self.variables, **variables})

    @property
    def asked(self) -> list[str]:
        """What was asked after `docker compose --file FILE`, but for how things are."""
        calls = [line for line in self.calls_file.read_text().splitlines() if line != "compose version"]
        assert all(call.startswith(f"compose --file {ROOT / 'docker/compose.yaml'} ") for call in calls)
        return [words for call in calls if not (words := call.split(" ", 3)[3]).startswith("ps ")]
