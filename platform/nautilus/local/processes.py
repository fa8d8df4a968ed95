"""Finding the embedded servers' processes without asking anybody."""

import contextlib
from pathlib import Path

import psutil

SERVER_NAMES = ("postgres", "valkey-server")


def servers_in(folder: Path) -> list[psutil.Process]:
    """The processes of the server whose data folder this is: both kinds work inside it.

    Neither can be known by its environment: both write their titles over what the kernel shows of it.
    """
    return [process for process in psutil.process_iter() if _serves(process, folder.resolve())]


def _serves(process: psutil.Process, folder: Path) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        # By name too: a shell that somebody opened in the folder is none of ours.
        return process.name() in SERVER_NAMES and _runs_in(process, folder)
    return False


def _runs_in(process: psutil.Process, folder: Path) -> bool:
    return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == folder
