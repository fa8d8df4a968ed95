"""Reads `docker compose ps --format json` (an object a line, or one list).

compose_states.py          a line a container: service, state, container
compose_states.py ports    a line a published port: service, port
"""

import json
import sys
from typing import Any


def main(what: str = "states") -> None:
    text = sys.stdin.read().strip()
    containers = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
    for container in containers:
        if what == "ports":
            print_ports(container)
        else:
            print(container["Service"], state_of(container), container["Name"], sep="\t")


def state_of(container: dict[str, Any]) -> str:
    health = container.get("Health") or ""
    return health if health in ("starting", "unhealthy") else str(container["State"])


def print_ports(container: dict[str, Any]) -> None:
    # Once for IPv4 and once for IPv6; 0 is a port that is exposed and not published.
    for port in sorted({each["PublishedPort"] for each in container.get("Publishers") or []} - {0}):
        print(container["Service"], port, sep="\t")


if __name__ == "__main__":
    main(*sys.argv[1:])
