"""Free space where the platform writes, and whether PostgreSQL had none lately."""

import re
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings

from apps.operations.checks.registry import register_check
from apps.operations.findings import Finding, Health, Status
from apps.operations.machine import data_folders
from apps.operations.stores import SHOW_DISK
from nautilus.local.home import Home

# Free, of the whole disk.
LITTLE_SHARE = 0.10
TOO_LITTLE_SHARE = 0.03
# Eight of PostgreSQL's log files of 16 MiB: below this a busy minute may fill the disk, however small it is.
TOO_LITTLE_BYTES = 128 * 2**20
# So long an error by a full disk is told of.
ERROR_TOLD = timedelta(minutes=5)

_LOG_END_BYTES = 64 * 1024
_FULL = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.\d+ UTC .*No space left on device", re.MULTILINE)
_MIB = 2**20


@register_check("disk")
def check_disk() -> Health:
    used = {name: (folder, shutil.disk_usage(folder)) for name, folder in data_folders().items()}
    frees = {name: (folder, disk.free, disk.total) for name, (folder, disk) in used.items()}
    told = "; ".join(
        f"{name}: {free / _MIB:,.0f} MiB free of {total / _MIB:,.0f}" for name, (_, free, total) in frees.items()
    )
    return Health(told, (*_of_space(frees), *_of_errors()))


def _of_space(frees: Mapping[str, tuple[Path, int, int]]) -> list[Finding]:
    """One finding a disk: folders of the same one are told together."""
    disks: dict[tuple[int, int], list[str]] = {}
    for name, (folder, free, total) in frees.items():
        if _is_little(free, total):
            disks.setdefault((free, total), []).append(f"{name} ({folder})")
    return [_little(names, free, total) for (free, total), names in disks.items()]


def _is_little(free: int, total: int) -> bool:
    return free < LITTLE_SHARE * total or free < TOO_LITTLE_BYTES


def _little(names: list[str], free: int, total: int) -> Finding:
    is_full = free < TOO_LITTLE_SHARE * total or free < TOO_LITTLE_BYTES
    return Finding(
        Status.UNHEALTHY if is_full else Status.DEGRADED,
        "The disk is full" if is_full else "The disk fills up",
        f"{free / _MIB:,.0f} of {total / _MIB:,.0f} MiB are free where these lie: {', '.join(names)}.",
        SHOW_DISK,
        "disk-full",
    )


def _of_errors() -> list[Finding]:
    """From the end of the embedded PostgreSQL's log: room that was missing a moment ago may be there again."""
    last = _last_error(Home(settings.NAUTILUS_HOME).log("postgres"))
    if last is None or datetime.now(UTC) - last > ERROR_TOLD:
        return []
    cause = f"PostgreSQL had no space left on its disk, last at {last:%Y-%m-%dT%H:%M:%SZ}."
    return [Finding(Status.DEGRADED, "The disk was full a moment ago", cause, SHOW_DISK, "disk-full")]


def _last_error(log: Path) -> datetime | None:
    if not log.is_file():
        return None
    with log.open("rb") as file:
        file.seek(max(log.stat().st_size - _LOG_END_BYTES, 0))
        found = _FULL.findall(file.read().decode(errors="replace"))
    return datetime.strptime(found[-1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) if found else None
