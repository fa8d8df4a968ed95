"""A home as `make run` makes it on its first start, made once and copied for each platform that the tests start.

That first start takes a third of the time until a platform serves. It is tried itself, without this, by
platform/nautilus/local/tests/test_run.py and by the sample jobs of .ci/run.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nautilus.local.home import ROOT

PREFIX = "nautilus-prepared-"
SOURCES = ("apps", "platform", "workers", "sample_data", "requirements.txt")
# Of the run that made it, and not of a home that was stopped.
NOT_KEPT = ("lock", "ports.json", "valkey.conf", "run", "logs")


def copy_prepared_home(home: Path) -> None:
    """Fills an empty home; PostgreSQL's files keep their owner."""
    subprocess.run(["cp", "-a", f"{_prepared_home()}/.", str(home)], check=True)


def _prepared_home() -> Path:
    folder = Path(tempfile.gettempdir()) / f"{PREFIX}{_version()}"
    with _one_at_a_time():
        if not folder.exists():
            for old in folder.parent.glob(f"{PREFIX}*"):
                shutil.rmtree(old, ignore_errors=True)
            _make(folder)
    return folder


def _version() -> str:
    """Of all that has a say in what the first start writes."""
    files = sorted(path for name in SOURCES for path in [ROOT / name, *(ROOT / name).rglob("*")] if path.is_file())
    found = ((str(path), path.stat()) for path in files if path.suffix != ".pyc")
    told = "\n".join(f"{path} {stat.st_size} {stat.st_mtime_ns}" for path, stat in found)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    with (Path(tempfile.gettempdir()) / "nautilus-prepared.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(folder: Path) -> None:
    making = Path(tempfile.mkdtemp(prefix=f"{PREFIX}making-"))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("NAUTILUS_", "DATABASE_"))}
    inherited.pop("REDIS_URL", None)
    command = [
        sys.executable,
        "-m",
        "nautilus.local",
        "with-stores",
        "--",
        sys.executable,
        "manage.py",
        "prepare_local",
    ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**inherited, "NAUTILUS_HOME": str(making), "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in NOT_KEPT:
        path = making / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    making.rename(folder)
