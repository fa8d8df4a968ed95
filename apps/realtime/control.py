"""Words to all hubs at once: one Redis channel that every server process listens to, and a list for the answers.

ask_hubs("report")  # what each process does at the moment
ask_hubs("restart")  # closes all sockets with 1012 and starts the hubs' Redis subscriptions anew
ask_hubs("cleanup")  # closes the sockets of clients that are not there any more
"""

import json
import logging
import secrets
import time
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from redis import Redis

from nautilus.connections import redis_client

HUBS_CHANNEL = "nautilus:hubs"
COMMANDS = ("report", "restart", "cleanup")
ANSWERS_KEPT_SECONDS = 30

logger = logging.getLogger(__name__)


class Answers(list[dict[str, Any]]):
    """One of each process that answered in time; `asked` is how many there were."""

    def __init__(self, answers: Iterable[dict[str, Any]], asked: int) -> None:
        super().__init__(answers)
        self.asked = asked

    @property
    def silent(self) -> int:
        return self.asked - len(self)


def ask_hubs(command: str, *, timeout_seconds: float = 1.0, client: Redis | None = None) -> Answers:
    """Puts a command to every server process and waits for their answers; raises RedisError, ValueError."""
    if command not in COMMANDS:
        raise ValueError(f"Command {command!r} is unknown; expected one of {', '.join(COMMANDS)}.")
    redis = client or redis_client()
    request_id = secrets.token_hex(8)
    asked = _put(redis, json.dumps({"command": command, "id": request_id}))
    answers = Answers(_wait_for(redis, answers_key(request_id), asked, timeout_seconds), asked)
    if answers.silent:
        logger.warning(
            "%d of %d server processes did not answer '%s' within %g s", answers.silent, asked, command, timeout_seconds
        )
    return answers


def _put(redis: Redis, said: str) -> int:
    """How many hubs hear it: PUBLISH alone would count a client's pattern such as `n*` as one."""
    with redis.pipeline(transaction=True) as asking:
        asking.pubsub_numsub(HUBS_CHANNEL)
        asking.publish(HUBS_CHANNEL, said)
        [[(_, hubs)], _] = asking.execute()
    return int(hubs)


def _wait_for(redis: Redis, key: str, expected: int, timeout_seconds: float) -> Iterable[dict[str, Any]]:
    """One answer of each hub: a connection that broke may have put the command twice."""
    answers: dict[str, dict[str, Any]] = {}
    deadline = time.monotonic() + timeout_seconds
    while len(answers) < expected and (remaining := deadline - time.monotonic()) > 0:
        # Shorter than the client waits for any answer; and Redis takes 0 as "for ever".
        answer: Any = redis.blpop([key], timeout=max(min(remaining, settings.REDIS_TIMEOUT_SECONDS / 2), 0.01))
        if answer is not None:
            said = json.loads(answer[1])
            answers[said["hub"]] = said
    return answers.values()


def answers_key(request_id: str) -> str:
    return f"topics:answers:{request_id}"


def parse_command(text: str) -> tuple[str, str] | None:
    """Command and request id; None for words that are none of ours."""
    try:
        said = json.loads(text)
        command, request_id = said["command"], said["id"]
    except (ValueError, TypeError, KeyError):
        return None
    return (command, str(request_id)) if command in COMMANDS else None


async def answer(redis: Any, request_id: str, said: dict[str, Any]) -> None:
    """`redis` is an asyncio client. Raises RedisError."""
    async with redis.pipeline(transaction=True) as answering:
        answering.rpush(answers_key(request_id), json.dumps(said, allow_nan=False))
        answering.expire(answers_key(request_id), ANSWERS_KEPT_SECONDS)
        await answering.execute()
