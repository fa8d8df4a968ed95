"""Who listens on which TCP port of this machine, read from /proc: port, program, and its pid with those of its parents.

Standard library alone. A listener whose process may not be looked at is named "unknown".
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
LISTENING = "0A"


def main() -> None:
    owners = dict(socket_owners())
    for port, inode in sorted(set(listening_sockets())):
        pid = owners.get(inode)
        lineage = ",".join(map(str, parents_of(pid))) if pid else "-"
        print(port, name_of(pid) if pid else "unknown", lineage, sep="\t")


def listening_sockets() -> Iterator[tuple[int, str]]:
    for file in (PROC / "net/tcp", PROC / "net/tcp6"):
        for line in file.read_text().splitlines()[1:] if file.exists() else ():
            fields = line.split()
            if fields[3] == LISTENING:
                yield int(fields[1].rpartition(":")[2], 16), fields[9]


def socket_owners() -> Iterator[tuple[str, int]]:
    """The inode of each open socket, and a process that has it open."""
    for folder in PROC.glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):
            for file in folder.iterdir():
                with contextlib.suppress(OSError):
                    target = str(file.readlink())
                    if target.startswith("socket:["):
                        yield target[8:-1], int(folder.parent.name)


def name_of(pid: int) -> str:
    with contextlib.suppress(OSError):
        return (PROC / str(pid) / "comm").read_text().strip()
    return "unknown"


def parents_of(pid: int) -> list[int]:
    """The process itself first."""
    found = []
    while pid > 1:
        found.append(pid)
        try:
            # After the name, which stands in brackets and may hold anything: state, then the parent.
            pid = int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
    return found


if __name__ == "__main__":
    main()
