"""The environment of a one-machine set-up: made once, kept in the home folder, overruled by what the caller sets."""

import json
import os
import random
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nautilus.local.errors import BadSettingError
from nautilus.local.home import ROOT, Home

ADMIN_USER = "admin"
SECRET_BYTES = {
    "secret_key": 48,
    "postgres_password": 24,
    "valkey_password": 24,
    "admin_password": 12,
    "flower_password": 12,
}
# Below the kernel's ephemeral range (from 32768): while Valkey is down, a worker that connects to a port inside
# the range can be given that very port as its own, and so hold a connection to itself where Valkey should listen.
VALKEY_PORTS = range(20_000, 30_000)


def local_environment(home: Path) -> dict[str, str]:
    """Every variable that the processes of `make run` need; one set by the caller stays as it is."""
    place = Home(home)
    place.make_folders()
    ours = {**_places(place), **_servers(place), **_access(place), **_computing()}
    return {name: os.environ.get(name) or value for name, value in ours.items()} | _code()


def embedded_database_url(home: Home) -> str:
    """PostgreSQL on its UNIX socket; the folder stands percent-encoded where a host would."""
    folder = quote(str(home.postgres_socket_folder), safe="")
    return f"postgresql://nautilus:{local_secrets(home)['postgres_password']}@{folder}/nautilus"


def embedded_redis_url(home: Home) -> str:
    return f"redis://:{local_secrets(home)['valkey_password']}@127.0.0.1:{valkey_port(home)}/0"


def _places(home: Home) -> dict[str, str]:
    return {
        "NAUTILUS_HOME": str(home.path),
        "PROMETHEUS_MULTIPROC_DIR": str(home.metrics),
        "NAUTILUS_PORT": str(_port("NAUTILUS_PORT", 8001)),
        "NAUTILUS_FLOWER_PORT": str(_port("NAUTILUS_FLOWER_PORT", 5555)),
    }


def _code() -> dict[str, str]:
    """Never the caller's: a DJANGO_SETTINGS_MODULE of another project would start that one."""
    ours = [str(ROOT), str(ROOT / "platform")]
    theirs = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path not in ours]
    return {"DJANGO_SETTINGS_MODULE": "nautilus.settings", "PYTHONPATH": os.pathsep.join(ours + theirs)}


def _servers(home: Home) -> dict[str, str]:
    return {"DATABASE_URL": embedded_database_url(home), "REDIS_URL": embedded_redis_url(home)}


def _access(home: Home) -> dict[str, str]:
    kept = local_secrets(home)
    return {
        "NAUTILUS_SECRET_KEY": kept["secret_key"],
        "NAUTILUS_ADMIN_PASSWORD": kept["admin_password"],
        "FLOWER_BASIC_AUTH": f"{ADMIN_USER}:{kept['flower_password']}",
        "NAUTILUS_ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]",
        "NAUTILUS_HTTPS_ONLY": "0",
        "NAUTILUS_LOCAL_OPERATOR": "1",
        "NAUTILUS_LOG_FORMAT": "text",  # for a person at this machine
        # One person at one machine: there is no second pair of eyes.
        "NAUTILUS_LIMIT_FOUR_EYES": "0",
        # The sample prices end in 2022. Checks and limits say of which day their prices are.
        "NAUTILUS_MAX_PRICE_AGE_SECONDS": "0",
    }


def _computing() -> dict[str, str]:
    # One thread a worker: there is a worker for each core already, and BLAS threads only fight over them.
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    # SIGTERM is then Celery's soft shutdown: a running task has worker_soft_shutdown_timeout (10 s) to end, then
    # its message goes back to the queue. Without it SIGTERM waits for the task, five minutes if need be.
    return threads | {"REMAP_SIGTERM": "SIGQUIT"}


def _port(name: str, default: int) -> int:
    given = os.environ.get(name) or str(default)
    if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= 65_535:
        raise BadSettingError(f"{name} is {given!r}.", f"Expected a port number from 1 to 65535, such as {default}.")
    return int(given)


def refuse_equal_ports(environment: Mapping[str, str]) -> None:
    if environment["NAUTILUS_PORT"] == environment["NAUTILUS_FLOWER_PORT"]:
        raise BadSettingError(
            f"NAUTILUS_PORT and NAUTILUS_FLOWER_PORT are both {environment['NAUTILUS_PORT']}.",
            "Give each a port of its own.",
        )


def local_secrets(home: Home) -> dict[str, str]:
    """The generated secrets of this home; those that a newer version adds are made on first sight."""
    kept = _read_json(home.secrets_file)
    missing = {name: secrets.token_urlsafe(size) for name, size in SECRET_BYTES.items() if not kept.get(name)}
    if not missing:
        return kept
    _write_json(home.secrets_file, {**missing, **kept}, replace=bool(kept))
    return local_secrets(home)


def valkey_port(home: Home) -> int:
    """The embedded Valkey's port: chosen once, so that a URL which somebody noted stays right."""
    port = _read_json(home.ports_file).get("valkey")
    if port is None:
        return choose_valkey_port(home)
    if not isinstance(port, int) or not 1 <= port <= 65_535:
        raise BadSettingError(f"{home.ports_file} says valkey: {port!r}.", "Expected a port number; delete the file.")
    return port


def choose_valkey_port(home: Home) -> int:
    """Takes a free port and keeps it, also where another was kept before."""
    tries = random.sample(VALKEY_PORTS, 100)
    port = next((port for port in tries if port_is_free(port)), None)
    if port is None:
        raise BadSettingError(
            "None of 100 ports between 20000 and 29999 is free.", "Set REDIS_URL to a Redis of your own."
        )
    _write_json(home.ports_file, {"valkey": port}, replace=True)
    return port


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: without it a connection that ended a minute ago counts as a listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _read_json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text()) if file.exists() else {}
    except PermissionError as error:
        owner = file.stat().st_uid
        remedy = "Run as that user, or set NAUTILUS_HOME to a folder of your own."
        raise BadSettingError(f"{file} belongs to uid {owner} and cannot be read.", remedy) from error
    except ValueError as error:
        raise BadSettingError(
            f"{file} is not JSON: {error}.", "Restore it, or delete the whole folder to start anew."
        ) from error
    return found if isinstance(found, dict) else {}


def _write_json(file: Path, content: Mapping[str, Any], *, replace: bool) -> None:
    """Whole or not at all, for our eyes only; without `replace` whoever was first wins."""
    written = file.with_name(f"{file.name}.{os.getpid()}")
    written.touch(mode=0o600)
    written.write_text(json.dumps(content, indent=1) + "\n")
    if replace:
        written.replace(file)
        return
    try:
        os.link(written, file)
    except FileExistsError:
        pass  # another process made them at the same moment: theirs count
    finally:
        written.unlink()
