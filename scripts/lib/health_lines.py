"""Reads the body of /api/v1/sprint3/system/health and prints a line a component: name, ok|warn|FAIL, detail, remedy."""

import json
import sys
from typing import Any

RESULTS = {"healthy": "ok", "degraded": "warn", "unhealthy": "FAIL"}


def main() -> int:
    try:
        components = json.loads(sys.stdin.read())["components"]
    except (ValueError, KeyError, TypeError):
        return 1  # an error page, or no answer
    for name, component in components.items():
        print(
            name, RESULTS.get(component["status"], "FAIL"), _detail(component), component.get("remedy") or "", sep="\t"
        )
    return 0


def _detail(component: dict[str, Any]) -> str:
    said = [component.get("symptom"), component.get("cause")] if component["status"] != "healthy" else []
    text = " ".join(filter(None, said)) or component.get("detail") or component["status"]
    return " ".join(text.split())  # on one line, without tabs


if __name__ == "__main__":
    sys.exit(main())
