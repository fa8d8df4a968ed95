"""Publishes numbered messages at a steady rate until it is told to stop; what waits for Redis goes out after that.

    python -m tests.storm.publisher '{"name": "A", "topics": ["storm-1", …], "messages_per_second": 20}'

Says how many it has published each half second, as a line of JSON. A line on its input stops it, the end of the input
ends it: in between it lives, as what waits in its memory must still go out.
"""

import json
import sys
import threading
import time

import django

STATUS_SECONDS = 0.5


def main(name: str, topics: list[str], messages_per_second: float) -> None:
    django.setup()
    from apps.realtime.topics import publish

    stopped = threading.Event()
    threading.Thread(target=_stop_when_told, args=(stopped,), daemon=True).start()
    begun, number, told_at = time.monotonic(), 0, 0.0
    while not stopped.wait(max(0.0, begun + number / messages_per_second - time.monotonic())):
        number += 1
        publish(topics[number % len(topics)], {"publisher": name, "number": number})
        if time.monotonic() > told_at + STATUS_SECONDS:
            told_at = time.monotonic()
            print(json.dumps({"published": number, "stopped": False}), flush=True)  # noqa: T201
    print(json.dumps({"published": number, "stopped": True}), flush=True)  # noqa: T201
    sys.stdin.read()


def _stop_when_told(stopped: threading.Event) -> None:
    sys.stdin.readline()
    stopped.set()


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
