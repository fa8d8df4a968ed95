"""A container of compose as far as a kernel alone can be one: root read-only, with its volumes and secrets."""

import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from nautilus.local.home import ROOT
from tests.docker.fresh_root import FreshRoot

SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
USER = 10001


def sealed(root: FreshRoot, folder: Path, secrets: Path, postgres_socket: Path) -> FreshRoot:
    """The root as compose runs `backend`: nothing can be written but its volumes, below `folder`, and its tmpfs."""
    service = SERVICES["backend"]
    sealed_root = replace(root, mounts=[["--bind", str(root.path), str(root.path)], *root.mounts])
    for source, target in ((secrets, "/run/secrets"), (postgres_socket, "/run/postgresql")):
        sealed_root.bind(source, target)
    for name, target in (volume.split(":")[:2] for volume in service["volumes"]):
        sealed_root.bind(_volume(folder / name), target)
    for target, options in (tmpfs.split(":") for tmpfs in service["tmpfs"]):
        sealed_root.mounts.append(["-t", "tmpfs", "-o", options, "tmpfs", str(root.inside(target))])
    sealed_root.mounts.append(["-o", "remount,bind,ro", str(root.path)])
    return sealed_root


def _volume(folder: Path) -> Path:
    folder.mkdir()
    os.chown(folder, USER, USER)
    return folder


def command_of(service: str) -> list[str]:
    command = SERVICES[service]["command"]
    return shlex.split(command) if isinstance(command, str) else list(command)


@contextmanager
def running(root: FreshRoot, command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[None]:
    """A process of the image as its user, until the block ends."""
    with log.open("w") as output:
        process = subprocess.Popen(
            root.command(command), env=root.variables(environment), stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)
