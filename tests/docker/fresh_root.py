"""docker/Dockerfile carried out in an empty Debian: debootstrap for the base image, chroot for the containers.

Every command has mounts of its own, which end with it: nothing of this machine is left mounted in a folder that a test
deletes, however the test ends.
"""

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nautilus.local.home import ROOT
from tests.docker.dockerfile import DOCKERFILE, Stage, copied_files, stages

RELEASE = "trixie"  # of python:3.13-slim-trixie
MIRROR = os.environ.get("NAUTILUS_DEBIAN_MIRROR", "http://deb.debian.org/debian")
PACKAGES = "python3,python3-venv,ca-certificates"  # what python:3.13-slim has, under /usr/local
CONTAINER_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# This machine's own sources of packages, where it has some: pip's settings name them.
SOURCES = [path for path in map(Path, ("/opt/wheels", "/opt/pypi", "/opt/pypi-more")) if path.exists()]
SETTINGS = [Path(file) for file in ("/etc/resolv.conf", "/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt")]

# By its path: the environment is the container's.
CHROOT = shutil.which("chroot", path=CONTAINER_PATH) or "/usr/sbin/chroot"
ENTER = 'cd "$1" && shift && exec "$@"'


@dataclass(slots=True)
class FreshRoot:
    """One container's file system, and what its Dockerfile said of processes in it.

    `mounts` are arguments of mount(8), target last, in the order in which they are made for each command.
    """

    path: Path
    environment: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "0:0"
    mounts: list[list[str]] = field(default_factory=list)

    def command(self, command: list[str]) -> list[str]:
        """The words that run a command in it as the image's user, `env` left to the caller."""
        inside = [CHROOT, f"--userspec={self.user}", str(self.path), "sh", "-c", ENTER, "sh", self.folder, *command]
        steps = [shlex.join(["mount", *arguments]) for arguments in self.mounts]
        script = " && ".join([*steps, f"exec {shlex.join(inside)}"])
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]

    def run(self, command: list[str], **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.command(command), env=self.variables(environment), capture_output=True, text=True, check=False
        )

    def variables(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return {"PATH": CONTAINER_PATH, "HOME": "/tmp", "LC_ALL": "C.UTF-8", **self.environment, **(more or {})}

    def inside(self, path: str | Path) -> Path:
        """Where a path of the container is on this machine."""
        return self.path / str(path).lstrip("/")

    def bind(self, source: Path, target: str) -> None:
        self.inside(target).mkdir(parents=True, exist_ok=True)
        self.mounts.append(["--bind", str(source), str(self.inside(target))])


def debian(path: Path) -> None:
    """An empty Debian with the Python that the base image has."""
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", RELEASE, str(path), MIRROR]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def fresh(base: Path, path: Path) -> FreshRoot:
    """A copy of the base, with /proc, /dev and the names of hosts as a container has them."""
    subprocess.run(["cp", "--archive", str(base), str(path)], check=True)
    root = FreshRoot(path)
    for source in (Path("/proc"), Path("/dev"), *SOURCES):
        root.bind(source, str(source))
    root.mounts.append(["-t", "tmpfs", "-o", "mode=1777,size=64m", "tmpfs", str(root.inside("/dev/shm"))])  # Docker's
    for file in filter(Path.exists, SETTINGS):
        shutil.copy(file, root.inside(file))
    return root


def built(base: Path, folder: Path) -> dict[str, FreshRoot]:
    """Every stage of the Dockerfile, by name, each in a copy of `base` below `folder`."""
    roots: dict[str, FreshRoot] = {}
    for stage in stages(DOCKERFILE.read_text()):
        roots[stage.name] = fresh(base, folder / stage.name)
        _carry_out(stage, roots[stage.name], roots)
    return roots


def _carry_out(stage: Stage, root: FreshRoot, roots: Mapping[str, FreshRoot]) -> None:
    for instruction, argument in stage.steps:
        if instruction == "RUN":
            _run_step(root, argument)
        elif instruction == "COPY":
            _copy(root, argument, roots)
        elif instruction == "ENV":
            root.environment.update(pair.split("=", 1) for pair in shlex.split(argument))
        elif instruction == "WORKDIR":
            root.inside(argument).mkdir(parents=True, exist_ok=True)
            root.folder = argument
        elif instruction == "USER":
            root.user = argument


def _run_step(root: FreshRoot, script: str) -> None:
    done = root.run(["sh", "-c", script], DEBIAN_FRONTEND="noninteractive")
    if done.returncode != 0:
        raise AssertionError(f"RUN {script}\nended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _copy(root: FreshRoot, argument: str, roots: Mapping[str, FreshRoot]) -> None:
    words = argument.split()
    if not words[0].startswith("--from="):
        _copy_sent(words[0], root.inside(words[1] if words[1].startswith("/") else f"{root.folder}/{words[1]}"))
        return
    target = root.inside(words[2])
    target.parent.mkdir(parents=True, exist_ok=True)
    source = roots[words[0].removeprefix("--from=")].inside(words[1])
    subprocess.run(["cp", "--archive", str(source), str(target)], check=True)


def _copy_sent(name: str, target: Path) -> None:
    """A file or a folder of the repository, as far as .dockerignore lets it through."""
    source = ROOT / name
    for file in copied_files(name):
        into = target / file.relative_to(source) if source.is_dir() else target
        into = into / file.name if into.is_dir() else into
        into.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, into)
