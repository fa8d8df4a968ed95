"""A DNS server on this machine, in the place of Docker's: names with as many addresses as there are replicas."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.running import free_ports


def program(name: str) -> str:
    """Where a server of Debian is: its folder is not on everybody's PATH."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    assert found, f"{name} is missing: apt install nginx dnsmasq-base"
    return found


@dataclass(slots=True)
class Names:
    """dnsmasq with a file of hosts; `point` changes what a name answers."""

    port: int
    hosts: Path
    process: "subprocess.Popen[bytes]"

    def point(self, names: Mapping[str, Sequence[str]]) -> None:
        """Name to addresses; what is left out is no name any more."""
        write_hosts(self.hosts, names)
        self.process.send_signal(signal.SIGHUP)


def write_hosts(file: Path, names: Mapping[str, Sequence[str]]) -> None:
    lines = [f"{address} {name}" for name, addresses in names.items() for address in addresses]
    file.write_text("\n".join(lines) + "\n")


@contextmanager
def served_names(folder: Path, names: Mapping[str, Sequence[str]]) -> Iterator[Names]:
    (port,) = free_ports(1)
    hosts = folder / "hosts"
    write_hosts(hosts, names)
    command = [
        *(
            program("dnsmasq"),
            "--keep-in-foreground",
            "--no-resolv",
            "--no-hosts",
            "--conf-file=/dev/null",
            "--pid-file",
        ),
        *(f"--port={port}", "--listen-address=127.0.0.1", "--bind-interfaces", f"--addn-hosts={hosts}"),
        *(f"--user={os.environ.get('USER', 'root')}", "--local-ttl=1"),
    ]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield Names(port, hosts, process)
    finally:
        process.terminate()
        process.wait(10)
