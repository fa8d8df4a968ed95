"""Whether the process of this container does its work: `python -m nautilus.container_health web|worker|scheduler`.

Docker runs it as the container's health check: exit code 0, or 1 with the reason on stderr.
"""

import argparse
import os
import socket
import sys
from collections.abc import Callable
from http.client import HTTPConnection

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nautilus.settings")

# Pulses come every 5 s; six of them missed is no hiccup.
SILENT_SECONDS = 30.0
ANSWER_SECONDS = 4.0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m nautilus.container_health", description=__doc__)
    parser.add_argument("kind", choices=sorted(CHECKS))
    parser.add_argument("--address", default="127.0.0.1", help="where a web process listens (default %(default)s)")
    asked = parser.parse_args(arguments)
    reason = _reason(asked.kind, asked.address)
    if reason:
        print(reason, file=sys.stderr)  # noqa: T201 - what `docker inspect` shows
    return 1 if reason else 0


def _reason(kind: str, address: str) -> str:
    """Why the process is not healthy; "" where it is."""
    try:
        return CHECKS[kind](address)
    except Exception as error:  # whatever it is, the check has not seen that all is well
        return f"The {kind} could not be looked at: {error}"


def _web(address: str) -> str:
    """`/health` says whether PostgreSQL and Redis can be reached too."""
    connection = HTTPConnection(address, int(os.environ.get("NAUTILUS_PORT", "8001")), timeout=ANSWER_SECONDS)
    connection.request("GET", "/health", headers={"Host": "localhost"})
    status = connection.getresponse().status
    return "" if status == 200 else f"/health answers {status}; expected 200."


def _worker(_address: str) -> str:
    from nautilus.connections import redis_client
    from nautilus.pulses import worker_pulses

    host = socket.gethostname()
    pulses = [pulse for pulse in worker_pulses(redis_client()) if pulse.worker.endswith(f"@{host}")]
    return _silence([pulse.silent_seconds for pulse in pulses], f"worker of {host}")


def _scheduler(_address: str) -> str:
    from nautilus.connections import redis_client
    from nautilus.pulses import scheduler_pulses

    host = socket.gethostname()
    pulses = [pulse for pulse in scheduler_pulses(redis_client()) if f"@{host}:" in pulse.scheduler]
    return _silence([pulse.silent_seconds for pulse in pulses], f"scheduler of {host}")


def _silence(silent_seconds: list[float], who: str) -> str:
    if not silent_seconds:
        return f"No {who} has written a pulse within an hour."
    shortest = min(silent_seconds)
    return "" if shortest < SILENT_SECONDS else f"The {who} is silent for {shortest:.0f} s; expected one every 5 s."


CHECKS: dict[str, Callable[[str], str]] = {"web": _web, "worker": _worker, "scheduler": _scheduler}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
