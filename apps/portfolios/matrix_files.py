"""A price matrix on disk: written once, whole or not at all, checked and mapped read-only by who comes after."""

import fcntl
import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from django.conf import settings

KEPT_ON_DISK = 3
_ARRAYS = ("dates", "prices", "returns")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Arrays:
    dates: npt.NDArray[np.datetime64]
    symbols: tuple[str, ...]
    prices: npt.NDArray[np.float64]
    returns: npt.NDArray[np.float64]


def map_or_build(version: int, origin: str, build: Callable[[], Arrays]) -> Arrays:
    """The files of a version, mapped; built first where there are none, half of them, or those of another origin."""
    folder = Path(str(settings.MATRIX_DIR)) / f"v{version}"
    arrays = _map(folder, origin)
    if arrays is not None:
        return arrays
    with _only_builder(folder.parent):
        return _map(folder, origin) or _build(folder, origin, build)


def _build(folder: Path, origin: str, build: Callable[[], Arrays]) -> Arrays:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="building-") as workplace:
        new = Path(workplace) / "new"
        _write(new, origin, build())
        if folder.exists():
            folder.rename(Path(workplace) / "old")
        new.rename(folder)
    _prune(folder)
    arrays = _map(folder, origin)
    if arrays is None:
        raise OSError(f"The price matrix in {folder} does not read as it was written; is the disk sound?")
    return arrays


@contextmanager
def _only_builder(parent: Path) -> Iterator[None]:
    """One process of the machine at a time; the kernel frees the lock of one that dies."""
    parent.mkdir(parents=True, exist_ok=True)
    with (parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(folder: Path, origin: str, arrays: Arrays) -> None:
    folder.mkdir()
    for name in _ARRAYS:
        np.save(folder / f"{name}.npy", getattr(arrays, name))
    manifest = {
        "origin": origin,
        "symbols": arrays.symbols,
        "sha256": {name: _digest(folder, name) for name in _ARRAYS},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _digest(folder: Path, name: str) -> str:
    with (folder / f"{name}.npy").open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _map(folder: Path, origin: str) -> Arrays | None:
    """The arrays, or None where they are not there, not whole, or of another database."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        if manifest["origin"] != origin or manifest["sha256"] != {name: _digest(folder, name) for name in _ARRAYS}:
            return None
        loaded: dict[str, Any] = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
        return Arrays(symbols=tuple(manifest["symbols"]), **loaded)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("The price matrix in %s cannot be read and is built again: %s", folder, error)
        return None


def _prune(newest: Path) -> None:
    """Leaves the folder just written and those of the highest versions; who has one mapped keeps its pages."""
    numbered = [path for path in newest.parent.glob("v*") if path.name[1:].isdecimal() and path != newest]
    for path in sorted(numbered, key=lambda path: int(path.name[1:]))[: -(KEPT_ON_DISK - 1)]:
        shutil.rmtree(path, ignore_errors=True)
