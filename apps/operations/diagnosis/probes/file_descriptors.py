"""Open files and sockets of our processes on this machine against what each may have."""

import os
import resource
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import psutil

from apps.operations.diagnosis.registry import Diagnosis, register_probe
from apps.operations.findings import Finding, Status
from nautilus.postgresql.naming import application_name

DEGRADED_SHARE = 0.80
UNHEALTHY_SHARE = 0.95
SECTION = "file-descriptors"
MORE = "ulimit -n 65536  # in the shell that starts it; then start it again"
# By a word of its command line, which services these are of the Procfile's.
SERVICES = {
    "nautilus.serve": "web",
    "nautilus.serve_wsgi": "web",
    "feed_quotes": "market-feed",
    "run_analytics_engine": "analytics-engine",
    "beat": "scheduler",
    "flower": "flower",
}
# By the name of its program: theirs are all of one service.
SERVERS = {"postgres": "postgres", "valkey-server": "redis", "redis-server": "redis"}
SYSTEM_FILE = Path("/proc/sys/fs/file-nr")  # in use, unused, most


@dataclass(frozen=True, slots=True)
class Opened:
    who: str
    count: int
    most: int
    remedy: str

    @property
    def share(self) -> float:
        return self.count / max(self.most, 1)


@register_probe("file-descriptors")
def look() -> Diagnosis:
    """Open files and sockets of our processes on this machine"""
    opened = [*_of_our_processes(), *_of_the_system()]
    fullest = max(opened, key=lambda each: each.share)
    detail = f"{len(opened)} looked at; the fullest: {fullest.who} with {fullest.count:,} of {fullest.most:,}."
    return Diagnosis(detail, tuple(_finding(each) for each in opened if each.share >= DEGRADED_SHARE))


def _of_our_processes() -> Iterator[Opened]:
    for process in psutil.process_iter():
        try:
            if is_ours(process):
                yield _opened(process)
        except (psutil.Error, OSError):
            continue  # it has ended, or is somebody else's


def is_ours(process: psutil.Process) -> bool:
    """Of this platform: started with the same Redis as we, or ourselves."""
    ours = os.environ.get("REDIS_URL")
    return process.pid == os.getpid() or (bool(ours) and process.environ().get("REDIS_URL") == ours)


def _opened(process: psutil.Process) -> Opened:
    soft, _ = process.rlimit(psutil.RLIMIT_NOFILE)
    command = process.cmdline() or [process.name()]
    service = service_of(command)
    name = service or application_name(command[1:] or command)
    remedy = f"scripts/restart-service.sh {service}" if service else MORE
    return Opened(f"{name} (pid {process.pid})", process.num_fds(), soft, remedy)


def service_of(command: Sequence[str]) -> str:
    """As scripts/restart-service.sh calls it; empty where the process is of none of them."""
    if "worker" in command and "-n" in command[:-1]:
        return command[command.index("-n") + 1].split("@")[0]
    # Servers have titles: "postgres: nautilus nautilus [local] idle", "valkey-server 127.0.0.1:6379".
    program = PurePath(command[0].split(" ")[0].rstrip(":")).name
    return SERVERS.get(program) or next((SERVICES[word] for word in command if word in SERVICES), "")


def _of_the_system() -> Iterator[Opened]:
    if SYSTEM_FILE.exists():
        in_use, unused, most = map(int, SYSTEM_FILE.read_text().split())
        yield Opened("this machine", in_use - unused, most, f"sudo sysctl -w fs.file-max={2 * most}")


def _finding(opened: Opened) -> Finding:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return Finding(
        Status.UNHEALTHY if opened.share >= UNHEALTHY_SHARE else Status.DEGRADED,
        f"{opened.who} has {opened.count:,} of {opened.most:,} files and sockets open: soon it takes no more.",
        f"More sockets than the limit was made for, or files that are not closed. (The hard limit here is {hard:,}.)",
        opened.remedy,
        SECTION,
    )
