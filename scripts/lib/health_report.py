"""The lines of sprint3-health-check.sh (name, result, detail, remedy) as JSON: `health_report.py MODE < lines`."""

import json
import sys

NAMES = ("check", "result", "detail", "remedy")


def main(mode: str) -> None:
    checks = [dict(zip(NAMES, line.split("\t"), strict=True)) for line in sys.stdin.read().splitlines()]
    failed = list(dict.fromkeys(check["check"] for check in checks if check["result"] == "FAIL"))
    print(json.dumps({"healthy": not failed, "mode": mode, "failed": failed, "checks": checks}, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
