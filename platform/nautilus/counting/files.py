"""prometheus_client's files, made so that a full disk cannot kill a process, and named by identity."""

import os
import struct

from prometheus_client import mmap_dict, values

from nautilus.counting.processes import FOLDER_VARIABLE, identity

FIRST_BYTES = 1 << 16


class ReservedDict(mmap_dict.MmapedDict):
    """Takes its room on the disk before it maps it.

    The original makes a hole: where the disk is full, the first write into it ends the process with SIGBUS. Here the
    reservation fails with an OSError, which costs a count and nothing else (counters.py).
    """

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        if not read_mode:
            _reserve(filename)
        super().__init__(filename, read_mode)

    def _init_value(self, key: str) -> None:
        needed = self._used + _bytes_of_value(key)
        capacity = self._capacity
        while needed > capacity:
            capacity *= 2
        if capacity > self._capacity:
            os.posix_fallocate(self._f.fileno(), 0, capacity)
        super()._init_value(key)


def _reserve(filename: str) -> None:
    descriptor = os.open(filename, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(descriptor).st_size == 0:
            os.posix_fallocate(descriptor, 0, FIRST_BYTES)
    finally:
        os.close(descriptor)


def _bytes_of_value(key: str) -> int:
    length = len(key.encode())
    return struct.calcsize(f"i{length + 8 - (length + 4) % 8}sdd")


def count_in_files() -> None:
    """From here on new metrics of prometheus_client count in files; for a process whose environment names the folder.

    To be called before the first metric is made.
    """
    if os.environ.get(FOLDER_VARIABLE):
        setattr(values, "MmapedDict", ReservedDict)  # noqa: B010 - it is a type, for mypy
        values.ValueClass = values.MultiProcessValue(process_identifier=identity)
