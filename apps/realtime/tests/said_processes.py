"""Server processes as Redis sees them: they listen on the hubs' channel and answer with what a test gives them."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.conf import settings
from redis import Redis

from apps.realtime.control import HUBS_CHANNEL, answers_key, parse_command


def report(process: str = "host-a:1", **changed: Any) -> dict[str, Any]:
    """What a quiet process says of itself."""
    quiet = {
        "process": process,
        "hub": f"hub-of-{process}",
        "started_at": "2026-11-28T12:00:00Z",
        "uptime_seconds": 60.0,
        "max": 2_000,
        "topics": {},
        "users": {},
        "latency_counts": {},
        "messages_per_second": 0.0,
        "batch_size": 100,
        "flush_interval": 1.0,
        **dict.fromkeys(("active", "accepted", "rejected", "messages_sent", "bytes_sent", "dropped"), 0),
        **dict.fromkeys(("slow_consumers", "queue_depth", "batches", "batched_messages"), 0),
    }
    return {**quiet, **changed}


class SaidProcess:
    """Answers every command with the same; with nothing at all where it was given None."""

    def __init__(self, answer: dict[str, Any] | None) -> None:
        self.commands: list[str] = []
        self._answer = answer
        self._redis = Redis.from_url(settings.REDIS_URL, decode_responses=True)
        self._pubsub = self._redis.pubsub(ignore_subscribe_messages=False)
        self._pubsub.subscribe(HUBS_CHANNEL)
        self._pubsub.get_message(timeout=10)  # the confirmation: from here on it is counted
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._pubsub.unsubscribe()
        self._thread.join(timeout=10)
        self._redis.close()

    def _listen(self) -> None:
        for message in self._pubsub.listen():
            said = parse_command(str(message["data"]))
            if said is not None:
                self._follow(*said)

    def _follow(self, command: str, request_id: str) -> None:
        self.commands.append(command)
        if self._answer is not None:
            self._redis.rpush(answers_key(request_id), json.dumps(self._answer))


Say = Callable[[dict[str, Any] | None], SaidProcess]


@contextmanager
def said_processes() -> Iterator[Say]:
    """Starts a process for each answer that it is given."""
    with ExitStack() as running:

        def start(answer: dict[str, Any] | None) -> SaidProcess:
            process = SaidProcess(answer)
            running.callback(process.stop)
            return process

        yield start
