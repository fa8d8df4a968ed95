"""supervisord on a disk that is full: /dev/full refuses every byte, as such a disk does."""

import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil
import pytest

from nautilus.local.home import ROOT
from nautilus.local.supervisord import WrittenOrNot
from tests.running import wait_until


@pytest.fixture
def full() -> Iterator[IO[str]]:
    stream = Path("/dev/full").open("w")  # noqa: SIM115 - what is left in it cannot be written at its end either
    yield stream
    with suppress(OSError):
        stream.close()


def test_stream_of_a_full_disk_drops_what_it_cannot_write(full: IO[str]):
    with pytest.raises(OSError, match="No space left"):
        print("a line", file=full, flush=True)
    stream = WrittenOrNot(full)
    assert stream.write("a line\n") == len("a line\n")
    traceback.print_exception(ValueError("told on it"), file=stream)
    stream.flush()


def test_stream_with_room_writes_all_that_it_is_given(tmp_path: Path):
    with (tmp_path / "log").open("w") as file:
        WrittenOrNot(file).write("a line\n")
        assert (tmp_path / "log").read_text() == "a line\n"


def test_supervisord_goes_on_where_no_log_can_be_written(tmp_path: Path, full: IO[str]):
    """Its own log and that of its program are both on the full disk; it starts the program, and stops when told to."""
    configuration, mark = tmp_path / "supervisor.conf", tmp_path / "mark"
    program = f"echo $$ > {mark}; echo said; exec sleep 600"
    configuration.write_text(
        f"[supervisord]\nnodaemon=true\nsilent=true\nlogfile=/dev/full\nlogfile_maxbytes=0\npidfile={tmp_path}/pid\n"
        f"[program:one]\ncommand=/bin/sh -c '{program}'\nstdout_logfile=/dev/full\nstdout_logfile_maxbytes=0\n"
    )
    command = [sys.executable, "-m", "nautilus.local.supervisord", "-c", str(configuration)]
    process = subprocess.Popen(command, cwd=ROOT / "platform", stdout=full, stderr=full)
    try:
        wait_until(lambda: mark.exists() and mark.read_text(), 30, "the program to run")
        time.sleep(1)  # what it said comes after that
        assert process.poll() is None
    finally:
        process.terminate()
    process.wait(30)
    assert not psutil.pid_exists(int(mark.read_text()))
