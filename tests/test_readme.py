"""The README's commands and examples, run as they stand there, print what the README says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nautilus.local.environment import local_secrets
from tests.running import Platform

pytestmark = [pytest.mark.slow, pytest.mark.platform]

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


HOW_TO = (ROOT / "docs" / "how-to.md").read_text()
FENCE = re.compile(r"```(\w*)\n(.*?)```", flags=re.DOTALL)


def blocks(language: str, text: str = README) -> list[str]:
    return [block for name, block in FENCE.findall(text) if name == language]


def shown() -> list[str]:
    """What the README says that its examples print."""
    return [text.strip() for text in blocks("")]


def here(text: str, platform: Platform) -> str:
    return text.replace("localhost:8001", f"localhost:{platform.port}")


def test_shell_examples_print_what_the_readme_shows(platform: Platform):
    examples = [text for text in blocks("sh") if "curl" in text]
    environment = {
        **os.environ,
        "ADMIN_PASSWORD": local_secrets(platform.home)["admin_password"],
        "no_proxy": "localhost",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", here("\n".join(examples), platform)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.replace("}", "}\n").splitlines() if line] == [shown()[0], shown()[2]]


def test_websocket_example_prints_what_the_readme_shows(platform: Platform, tmp_path: Path):
    script = tmp_path / "follow.py"
    script.write_text(here(blocks("python")[0], platform))
    environment = {**os.environ, "no_proxy": "localhost"}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout.strip(), done.stderr) == (shown()[1], "")


def test_how_to_examples_are_answered_without_an_error(platform: Platform):
    # One test for all: they tell one story, from prices to a book to a task.
    script = here("\n".join(blocks("sh", HOW_TO)).replace("curl -s", "curl -sS --fail-with-body"), platform)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"status":"succeeded"' in done.stdout
    assert '"symbol":"MSFT"' in done.stdout


def test_every_link_leads_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_make_target_of_the_readme_exists():
    targets = set(re.findall(r"\bmake ([a-z-]+)", README))
    made = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert {"run", "test", "help"} <= targets
    assert targets <= made
