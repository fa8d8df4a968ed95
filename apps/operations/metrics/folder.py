"""The files of all processes, added up; those of processes that have ended are folded together, so that counters never
go back and the folder does not grow.

One reader at a time, by a lock on the folder: who reads while another folds would count twice, or not at all, and
Prometheus takes a counter that goes back for one that began anew.
"""

import fcntl
import json
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict

from nautilus.counting.processes import ENDED, LIVE, identity, is_live

Values = dict[str, float]  # prometheus_client's key, a JSON text -> value

LOCK_SECONDS = 1.0
LOCK_FILE = "reading.lock"
COUNTED = ("counter", "histogram")
GAUGE = "gauge_livesum"


class FolderBusyError(Exception):
    """Another reader has held the folder for too long."""


@dataclass(slots=True)
class Counted:
    """The sums over all processes by type: those that go up, over the ended ones too; gauges over the live ones."""

    by_type: dict[str, Values] = field(default_factory=lambda: defaultdict(lambda: defaultdict(float)))
    processes: int = 0

    def add(self, type_name: str, values: Iterable[tuple[str, float]]) -> None:
        sums = self.by_type[type_name]
        for key, value in values:
            sums[key] += value


@dataclass(slots=True)
class Ended:
    """What processes that have ended counted, and whose files are in it: those may lie there still."""

    names: list[str]
    counted: Counted


def read_folder(folder: Path) -> Counted:
    """Raises FolderBusyError, OSError."""
    with _held(folder):
        ended = _read_ended(folder)
        _remove(folder, ended.names)  # what a reader that was killed had folded, and not yet removed
        dead = _dead(folder)
        if dead:
            ended = _fold(folder, ended, dead)
        return _with_live(folder, ended)


def _with_live(folder: Path, ended: Ended) -> Counted:
    counted = ended.counted
    for name in _names(folder):
        counted.processes += 1
        for type_name in (*COUNTED, GAUGE):
            counted.add(type_name, _values(folder / f"{type_name}_{name}.db"))
    return counted


def _names(folder: Path) -> list[str]:
    return sorted(file.stem for file in folder.glob(f"*{LIVE}"))


def _dead(folder: Path) -> list[str]:
    own = identity()
    return [name for name in _names(folder) if name != own and not is_live(folder / f"{name}{LIVE}")]


def _fold(folder: Path, ended: Ended, dead: list[str]) -> Ended:
    for name in dead:
        for type_name in COUNTED:
            ended.counted.add(type_name, _values(folder / f"{type_name}_{name}.db"))
    ended.names = dead
    _write_ended(folder, ended)
    _remove(folder, dead)
    return ended


def _remove(folder: Path, names: list[str]) -> None:
    for name in names:
        for type_name in (*COUNTED, GAUGE):
            (folder / f"{type_name}_{name}.db").unlink(missing_ok=True)
        (folder / f"{name}{LIVE}").unlink(missing_ok=True)


def _values(file: Path) -> Iterator[tuple[str, float]]:
    try:
        if file.stat().st_size:
            for key, value, _, _ in MmapedDict.read_all_values_from_file(str(file)):
                yield key, value
    except FileNotFoundError:
        return  # a process that has counted nothing of this type


def _read_ended(folder: Path) -> Ended:
    counted = Counted()
    try:
        kept = json.loads((folder / ENDED).read_text())
    except FileNotFoundError:
        return Ended([], counted)
    for type_name, values in kept["values"].items():
        counted.add(type_name, values.items())
    return Ended(kept["names"], counted)


def _write_ended(folder: Path, ended: Ended) -> None:
    """Whole or not at all: the names tell a reader after a crash which files are in it already."""
    written = folder / f"{ENDED}.new"
    with written.open("w") as file:
        json.dump({"names": ended.names, "values": ended.counted.by_type}, file)
        file.flush()
        os.fsync(file.fileno())
    written.replace(folder / ENDED)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_FILE).open("w") as file:
        _lock(file.fileno())
        yield


def _lock(descriptor: int) -> None:
    """flock, which two threads of one process do not share."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise FolderBusyError(f"Another scrape reads the counters since {LOCK_SECONDS:g} s.") from None
            time.sleep(0.01)
