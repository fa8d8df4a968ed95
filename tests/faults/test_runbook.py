"""Every command of docs/runbook.md, run on the running desk as an operator would run it.

A command in a block ```sh runs here, once however often it stands there; those of `compose` and `elsewhere`
apps/operations/tests/test_runbook.py holds against the names that there are.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest

from nautilus.local.environment import embedded_database_url
from nautilus.local.home import ROOT
from tests.faults.desk import Desk
from tests.faults.runbook import Command, commands_of_the_runbook
from tests.faults.test_strategy_symptoms import STRATEGY, deploy, new_book, new_strategy, post_version
from tests.running import ANALYZE

pytestmark = [pytest.mark.slow, pytest.mark.operations, pytest.mark.timeout(600)]

HERE = [command for command in commands_of_the_runbook() if command.kind == ""]
RISK = "/api/v1/sprint3/risk"
SECONDS_A_COMMAND = 180
# They looked, and found something on the desk: that is no fault of the command. curl ends with 22 at a 503.
CODES = {
    "scripts/manage.sh doctor": {0, 1, 2},
    "scripts/sprint3-health-check.sh": {0, 1},
    "scripts/check-ports.sh": {0, 1},
    "curl http://localhost:8001/api/v1/sprint3/system/health": {0, 22},
}


@pytest.fixture(scope="module")
def names(desk: Desk) -> Iterator[dict[str, str]]:
    """What the names in capitals stand for on this desk."""
    new_book(desk, "RUNBOOK_BOOK")
    new_strategy(desk, "RUNBOOK")
    post_version(desk, "RUNBOOK", 1, 0.2)
    post_version(desk, "RUNBOOK", 1, 0.3, 409)  # in conflict
    with psycopg.connect(embedded_database_url(desk.platform.home), application_name="a person") as session:
        yield {
            "ENDED_TASK_ID": str(desk.ended_task(_analysis(desk))["task_id"]),
            "PID": str(session.info.backend_pid),
            "NOW": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "STRATEGY_001": "RUNBOOK",
            "http://localhost:8001": desk.platform.address,
        }
        session.close()
    _take_back(desk)


def _take_back(desk: Desk) -> None:
    """The limit and the channel that commands have made: no other test reckons with them."""
    limits = desk.ask("GET", RISK + "/limits", params={"portfolio_id": "PORTFOLIO_001", "kind": "leverage"})["results"]
    for limit in limits:
        desk.ask("DELETE", f"{RISK}/limits/{limit['id']}", 204)
    alerts = f"{RISK}/alerts/PORTFOLIO_001"
    for channel in desk.ask("GET", alerts)["channels"]:
        desk.ask("DELETE", f"{alerts}/channels/{channel['id']}", 204)


def _analysis(desk: Desk, **more: object) -> dict[str, str]:
    return desk.ask("POST", ANALYZE, 202, json={"portfolio_id": "PORTFOLIO_001", **more})


@pytest.mark.parametrize("command", HERE, ids=[f"{command.section}: {command.text[:70]}" for command in HERE])
def test_command_of_the_runbook_works_as_it_stands_there(desk: Desk, names: dict[str, str], command: Command):
    try:
        done = _run(desk, _filled(command.text, {**_made_for(desk, command.text), **names}))
    finally:
        _resume(desk, command.text)
    said = f"{command.text}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert done.returncode in _codes(command.text), said
    assert "Traceback" not in done.stderr, said
    assert done.stdout.strip() or done.stderr.strip() or _may_say_nothing(command.text), f"nothing is said by {said}"


def _may_say_nothing(text: str) -> bool:
    """A list that is empty, and an answer without a body."""
    return text.endswith("--list") or text.startswith("curl -X DELETE")


def _made_for(desk: Desk, text: str) -> dict[str, str]:
    """What a command ends is made anew for each; a task to cancel has no worker that would end it first."""
    made = {}
    if "DEPLOY_001" in text:
        made["DEPLOY_001"] = deploy(desk, "RUNBOOK", "RUNBOOK_BOOK") if "rollback" in text else _some_deployment(desk)
    if "/TASK_ID" in text:
        os.kill(desk.platform.pid("risk-worker"), signal.SIGSTOP)
        made["TASK_ID"] = str(_analysis(desk, window_days=321)["task_id"])
    return made


def _some_deployment(desk: Desk) -> str:
    found = desk.ask("GET", f"{STRATEGY}/deployments")["results"]
    return str(found[0]["deployment_id"]) if found else deploy(desk, "RUNBOOK", "RUNBOOK_BOOK")


def _resume(desk: Desk, text: str) -> None:
    if "/TASK_ID" in text:
        os.kill(desk.platform.pid("risk-worker"), signal.SIGCONT)


def _filled(text: str, names: dict[str, str]) -> str:
    """Longer names first: ENDED_TASK_ID has TASK_ID in it."""
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, names[name])
    # A status of 400 and above is a failure; the runbook's own curl shows the answer.
    return text.replace("curl ", "curl --silent --show-error --fail-with-body ", 1)


def _run(desk: Desk, text: str) -> "subprocess.CompletedProcess[str]":
    platform = desk.platform
    ours = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    ours = {name: value for name, value in ours.items() if not name.startswith("NAUTILUS_")}
    theirs = {"NAUTILUS_HOME": platform.home.path, "NAUTILUS_PORT": platform.port}
    theirs |= {"NAUTILUS_FLOWER_PORT": platform.flower_port, "NAUTILUS_MODE": "local"}
    return subprocess.run(
        ["bash", "-c", text],
        cwd=ROOT,
        env=ours | {name: str(value) for name, value in theirs.items()},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_A_COMMAND,
        stdin=subprocess.DEVNULL,
    )


def _codes(text: str) -> set[int]:
    return next((codes for start, codes in CODES.items() if text.startswith(start)), {0})
