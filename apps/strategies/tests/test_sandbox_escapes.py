"""Each known way out of the sandbox fails, is reported, and touches nothing outside.

Three times each: the rules refuse it (where code can show it); the sandbox stops it with the rules left out; and the
kernel's layer stops it alone, as root, with Python's watch and guarded builtins taken away as well.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.strategies.sandbox import Limits, Sandbox, SandboxError, code_faults, process
from apps.strategies.tests.sandbox_escapes import ESCAPES, NOT_IN_THE_CODE, Escape

pytestmark = pytest.mark.slow

LIMITS = Limits(cpu_seconds=20, wall_seconds=30.0)
SECRET = "canary-of-the-environment"

BARE_CHILD = """
import builtins, importlib, sys
sys.path.insert(0, {folder!r})
life = importlib.import_module("inside.life")
strategy = importlib.import_module("inside.strategy")
life.install = lambda report: None
strategy.builtins_for_strategy = lambda report: vars(builtins)
del sys.path[0]
life.main()
"""


@dataclass(frozen=True)
class Canary:
    """What a strategy must not reach: a file that everybody may write, and a process."""

    file: Path
    process: subprocess.Popen[bytes]

    def is_untouched(self) -> bool:
        mode = self.file.stat().st_mode & 0o777
        return self.file.read_text() == "alive" and mode == 0o666 and self.process.poll() is None


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Canary]:
    monkeypatch.setenv("NAUTILUS_CANARY", SECRET)
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        file = Path(folder) / "canary"
        file.write_text("alive")
        file.chmod(0o666)
        running = subprocess.Popen(["sleep", "600"])
        try:
            yield Canary(file, running)
        finally:
            running.kill()
            running.wait()


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The kernel's layer alone."""
    child = tmp_path / "bare_child.py"
    child.write_text(BARE_CHILD.format(folder=str(process.CHILD.parent)))
    monkeypatch.setattr(process, "CHILD", child)


def children() -> set[int]:
    """The processes that this one has started and that still are, zombies too."""
    listed = Path("/proc/self/task").glob("*/children")
    return {int(pid) for each in listed for pid in each.read_text().split()}


def run(code: str, limits: Limits = LIMITS) -> Any:
    with Sandbox(code, {}, ["AAA", "BBB"], limits) as sandbox:
        sandbox.feed(np.arange("2024-01-01", "2024-01-06", dtype="datetime64[D]"), np.full((5, 2), 100.0))
        return sandbox.target_weights()


def fails_and_touches_nothing(escape: Escape, canary: Canary, limits: Limits) -> SandboxError:
    before = children()
    with pytest.raises(SandboxError) as caught:
        run(escape.code(str(canary.file), canary.process.pid), replace(limits, **escape.limits))
    assert children() == before
    assert canary.is_untouched()
    return caught.value


by_name = pytest.mark.parametrize("escape", ESCAPES, ids=lambda escape: escape.name)


@pytest.mark.parametrize(
    "escape", [each for each in ESCAPES if each.name not in NOT_IN_THE_CODE], ids=lambda escape: escape.name
)
def test_rules_refuse(escape: Escape) -> None:
    assert code_faults(escape.code("/tmp/canary", 1))


@by_name
def test_sandbox_stops(escape: Escape, canary: Canary) -> None:
    error = fails_and_touches_nothing(escape, canary, LIMITS)
    assert type(error) is escape.error, error
    assert escape.says.replace("{file}", str(canary.file)).replace("{pid}", str(canary.process.pid)) in str(error)


@by_name
@pytest.mark.usefixtures("bare")
def test_kernel_alone_stops(escape: Escape, canary: Canary) -> None:
    error = fails_and_touches_nothing(escape, canary, replace(LIMITS, user=""))
    assert type(error) is escape.bare, error
    assert escape.bare_says in str(error)
