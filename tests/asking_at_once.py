# ruff: noqa: E402 - Django is set up before anything that needs its models
"""A process that asks a kept function with many threads at once.

`python -m tests.asking_at_once threads calls mode counter` says "ready", begins when a line comes in, and ends with one
line of JSON. What is computed is counted in Redis under `counter`, so that it is counted over all processes.
"""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nautilus.settings")
django.setup()

from apps.analytics.cache import cache_analytics_result
from nautilus.api.errors import DomainError
from nautilus.connections import redis_client

COUNTER = sys.argv[4]
SECONDS = 1.0


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@cache_analytics_result(name="asked_at_once", version=lambda mode: "1")
def figures(mode: str) -> dict[str, Any]:
    turn = int(redis_client().incr(COUNTER))
    say("computing")
    time.sleep(600 if mode == "hang_first" and turn == 1 else SECONDS)
    if mode == "fail_first" and turn == 1:
        raise DomainError("The first one fails.")
    return {"turn": turn, "rows": [number / 7 for number in range(200)]}


def ask(mode: str, calls: int) -> list[str]:
    return [_asked(mode) for _ in range(calls)]


def _asked(mode: str) -> str:
    try:
        return json.dumps(figures(mode))
    except DomainError as error:
        return error.detail


def main(threads: int, calls: int, mode: str) -> None:
    say("ready")
    sys.stdin.readline()
    begun = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        answers = [one for many in pool.map(lambda _: ask(mode, calls), range(threads)) for one in many]
    told = {"calls": len(answers), "answers": sorted(set(answers)), "seconds": time.monotonic() - begun}
    say(json.dumps(told))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
