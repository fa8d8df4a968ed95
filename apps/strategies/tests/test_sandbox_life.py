"""How a sandbox begins and how it ends, whatever happens to either side."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from apps.strategies.sandbox import (
    Limits,
    Sandbox,
    SandboxUnavailableError,
    StrategyRaisedError,
    filter,
    limits_from_settings,
    process,
)
from apps.strategies.tests.sandbox_markets import (
    LAST_CLOSES,
    LIMITS,
    SYMBOLS,
    answer,
    children,
    open_files,
    wait_until,
)


def test_code_that_is_no_python_is_said_with_its_line() -> None:
    with pytest.raises(StrategyRaisedError) as caught:
        answer("x = 1\nif:\n")
    assert (caught.value.type, caught.value.line) == ("SyntaxError", 2)


def test_error_while_the_code_is_loaded_has_its_line() -> None:
    with pytest.raises(StrategyRaisedError) as caught:
        answer("x = 1\ny = 1 / 0\n")
    assert (caught.value.type, caught.value.line) == ("ZeroDivisionError", 2)


def test_code_without_the_function_is_said() -> None:
    with pytest.raises(StrategyRaisedError, match="no function target_weights"):
        answer("x = 1\n")


def test_without_libseccomp_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyseccomp", None)
    filter.filter_program.cache_clear()
    with pytest.raises(SandboxUnavailableError, match="libseccomp cannot be loaded") as caught:
        answer(LAST_CLOSES)
    assert "SANDBOX_WITHOUT_SECCOMP" in caught.value.remedy


def test_without_libseccomp_a_setting_lets_it_run_and_still_no_file_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyseccomp", None)
    filter.filter_program.cache_clear()
    limits = Limits(allow_without_seccomp=True, wall_seconds=60.0)
    assert answer(LAST_CLOSES, limits=limits).weights.keys() == set(SYMBOLS)
    code = 'import collections\ndef target_weights(prices, params):\n    collections._sys.modules["os"].pipe()\n'
    with pytest.raises(StrategyRaisedError, match="Too many open files"):
        answer(code, limits=limits)


def test_filter_that_the_kernel_does_not_take_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.strategies.sandbox.sandbox.filter_program", lambda: b"\xff" * 8)
    before = children()
    with pytest.raises(SandboxUnavailableError, match="prctl 22 answers Invalid argument"):
        answer(LAST_CLOSES)
    assert children() == before


def test_filter_that_holds_nothing_back_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    allow_all = (6).to_bytes(2, "little") + bytes(2) + (0x7FFF0000).to_bytes(4, "little")
    monkeypatch.setattr("apps.strategies.sandbox.sandbox.filter_program", lambda: allow_all)
    with pytest.raises(SandboxUnavailableError, match="a file can still be opened"):
        answer(LAST_CLOSES)


def test_process_that_fails_at_its_start_says_its_last_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    child = tmp_path / "child.py"
    child.write_text("raise ImportError('no numpy here')\n")
    monkeypatch.setattr(process, "CHILD", child)
    with pytest.raises(SandboxUnavailableError, match="ImportError: no numpy here"):
        answer(LAST_CLOSES)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root takes on another user")
def test_user_that_is_not_there_is_named() -> None:
    with pytest.raises(SandboxUnavailableError, match="'nobody-at-all'"):
        answer(LAST_CLOSES, limits=Limits(user="nobody-at-all"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root takes on another user")
def test_root_becomes_nobody_without_groups_and_capabilities() -> None:
    with Sandbox(LAST_CLOSES, {}, SYMBOLS, LIMITS) as sandbox:
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{sandbox.pid}/status").read_text().splitlines())
    assert status["Uid"].split() == ["65534"] * 4
    assert status["Groups"].strip() == ""
    assert {int(status[name], 16) for name in ("CapPrm", "CapEff", "CapAmb", "CapInh")} == {0}
    assert (status["NoNewPrivs"], status["Seccomp"], status["Threads"]) == ("1", "2", "1")


def test_process_has_its_limits_and_three_files() -> None:
    with Sandbox(LAST_CLOSES, {}, SYMBOLS, LIMITS) as sandbox:
        limits = Path(f"/proc/{sandbox.pid}/limits").read_text()
        files = {os.readlink(f"/proc/{sandbox.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{sandbox.pid}/fd")}
        assert os.readlink(f"/proc/{sandbox.pid}/cwd") == "/"
    for none in ("Max file size", "Max core file size", "Max processes"):
        assert [line.split()[-3:-1] for line in limits.splitlines() if line.startswith(none)] in ([["0", "0"]],)
    assert len(files) == 3
    assert "/dev/null" in files


def test_limits_come_from_the_settings(settings: Any) -> None:
    settings.SANDBOX_CPU_SECONDS, settings.SANDBOX_MEMORY_BYTES, settings.SANDBOX_CALL_SECONDS = 5, 1 << 20, 2.5
    settings.SANDBOX_OUTPUT_BYTES, settings.STRATEGY_HISTORY_DAYS = 1000, 30
    settings.SANDBOX_USER, settings.SANDBOX_WITHOUT_SECCOMP = "daemon", True
    assert limits_from_settings() == Limits(5, 1 << 20, 2.5, 1000, 30, "daemon", True)


def test_sandbox_that_has_ended_says_so() -> None:
    with Sandbox(LAST_CLOSES, {}, SYMBOLS, LIMITS) as sandbox:
        pass
    with pytest.raises(SandboxUnavailableError, match="has ended"):
        sandbox.target_weights()


@pytest.mark.slow
@pytest.mark.thorough
def test_fifty_sandboxes_leave_no_process_and_no_open_file() -> None:
    answer(LAST_CLOSES)
    gc.collect()
    before = children(), open_files()
    for _ in range(50):
        answer(LAST_CLOSES, days=3)
    assert (children(), open_files()) == before


class Interrupted(BaseException):
    """As Celery's SoftTimeLimitExceeded: raised by a signal's handler, anywhere."""


@pytest.mark.parametrize("milliseconds", [5, 40, 150, 300, 600, 900])
def test_parent_that_is_interrupted_leaves_no_running_process_and_no_open_file(milliseconds: int) -> None:
    def interrupt(*_: Any) -> None:
        raise Interrupted

    gc.collect()
    before = _left_behind()
    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(Interrupted):
            _loop_until_interrupted(milliseconds / 1000)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    gc.collect()
    wait_until(lambda: _left_behind() == before)


def _left_behind() -> tuple[set[int], set[str]]:
    subprocess._cleanup()  # type: ignore[attr-defined]  # what every start of a process does
    return {pid for pid in children() if _is_alive(pid)}, open_files()


def _loop_until_interrupted(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, seconds)
    while True:
        answer("def target_weights(prices, params):\n    while True:\n        pass\n")


PARENT = """
import os, sys, time
sys.path[:0] = {path!r}
import django
from django.conf import settings
settings.configure()
django.setup()
import numpy as np
from apps.strategies.sandbox import Limits, Sandbox
code = "def target_weights(prices, params):\\n    while {busy}: pass\\n    return {{}}\\n"
with Sandbox(code, {{}}, ["A"], Limits(wall_seconds=600.0, cpu_seconds=600)) as sandbox:
    print(sandbox.pid, flush=True)
    sandbox.feed(np.array(["2024-01-01"], dtype="datetime64[D]"), np.ones((1, 1)))
    sandbox.target_weights()
    time.sleep(600)
"""


@pytest.mark.parametrize("busy", [True, False], ids=["in a call", "between calls"])
def test_parent_killed_by_force_takes_the_sandbox_with_it(busy: bool) -> None:
    code = textwrap.dedent(PARENT).format(path=sys.path, busy=busy)
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert Path(f"/proc/{pid}").exists()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not _is_alive(pid))


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
