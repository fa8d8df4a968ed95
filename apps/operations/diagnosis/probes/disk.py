"""What fills the disk: the largest tables, the write-ahead log, our folders; and inodes, which run out unseen."""

import os
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from apps.operations.diagnosis.asking import megabytes, rows, value
from apps.operations.diagnosis.registry import Diagnosis, Store, register_probe
from apps.operations.findings import Finding, Status

LEAST_INODES_SHARE = 0.05

_LARGEST = """
SELECT relname AS table_name, pg_total_relation_size(relid) AS size_bytes FROM pg_stat_user_tables
ORDER BY size_bytes DESC LIMIT 3
"""
_LOG = "SELECT count(*) * pg_size_bytes(current_setting('wal_segment_size')) FROM pg_ls_waldir()"
_MAY_READ_LOG = "SELECT has_function_privilege('pg_ls_waldir()', 'execute')"


@register_probe("disk-use", Store.POSTGRESQL)
def look() -> Diagnosis:
    """What takes the space: tables, write-ahead log, matrices, logs; and inodes"""
    largest = ", ".join(f"{row['table_name']} {megabytes(row['size_bytes'])}" for row in rows(_LARGEST))
    parts = [
        f"database {megabytes(value('SELECT pg_database_size(current_database())'))}",
        f"largest tables: {largest}",
        *([f"write-ahead log {megabytes(value(_LOG))}"] if value(_MAY_READ_LOG) else []),
        *(
            f"{folder} {megabytes(size_of(folder))}"
            for folder in (Path(str(settings.MATRIX_DIR)), settings.NAUTILUS_HOME / "logs")
        ),
    ]
    return Diagnosis("; ".join(parts) + ".", tuple(_findings()))


def size_of(folder: Path) -> int:
    """In bytes, with its folders; what goes away meanwhile counts nothing."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(place) / name).lstat().st_size
            except FileNotFoundError:
                continue
    return total


def _findings() -> Iterator[Finding]:
    for folder in {settings.NAUTILUS_HOME, Path(str(settings.MATRIX_DIR))}:
        if folder.exists():
            yield from _inodes(folder)


def _inodes(folder: Path) -> Iterator[Finding]:
    about = os.statvfs(folder)
    if about.f_files and about.f_favail < LEAST_INODES_SHARE * about.f_files:
        yield Finding(
            Status.DEGRADED,
            f"{folder} has {about.f_favail:,} of {about.f_files:,} inodes left: soon no file can be made there.",
            "Very many small files, mostly of something else on the same disk.",
            f"du --inodes -x {folder}",
            "disk-full",
        )
