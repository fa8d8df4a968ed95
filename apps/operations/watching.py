"""The topic `system:health`: one web process at a time looks every few seconds, and tells what changed.

Whoever holds the lease in Redis looks. Without Redis nobody looks, as nothing could be told either: GET …/system/health
answers all the same.
"""

import logging
import secrets
import threading
import time
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from apps.operations.health import health_body
from apps.realtime.topics import publish
from nautilus.connections import impatient_redis_client

TOPIC = "system:health"
# Every second look is told also where nothing has changed: a socket that comes has a message within 10 s.
LOOK_SECONDS = 3.5
TELL_SECONDS = 6.9
LEASE_KEY = "health:watcher"
LEASE_MS = 6_000

# Takes the lease where it is free, and renews one's own.
_HOLD = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"

logger = logging.getLogger(__name__)


class HealthWatch:
    """A thread of a web process."""

    def __init__(self, look_seconds: float = LOOK_SECONDS) -> None:
        self._look_seconds = look_seconds
        self._name = secrets.token_hex(8)
        self._stopped = threading.Event()
        self._told: tuple[Any, float] | None = None

    def start(self) -> None:
        self._stopped.clear()
        threading.Thread(target=self._watch, name="health watch", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def look(self) -> bool:
        """Looks and tells where it is this process' turn; says whether it was. Raises RedisError."""
        client = impatient_redis_client()
        if not client.eval(_HOLD, 1, LEASE_KEY, self._name, LEASE_MS):
            self._told = None
            return False
        self._tell(health_body(), client)
        return True

    def release(self) -> None:
        """Another process takes over at its next look. Raises RedisError."""
        impatient_redis_client().eval(_RELEASE, 1, LEASE_KEY, self._name)

    def _watch(self) -> None:
        while not self._stopped.is_set():
            begun = time.monotonic()
            try:
                self.look()
            except RedisError as error:
                logger.debug("Nobody was told of the platform's health: %s", error)
            except Exception:  # the next look may find better
                logger.exception("The platform's health could not be looked at")
            self._stopped.wait(max(begun + self._look_seconds - time.monotonic(), 0.1))
        try:
            self.release()
        except RedisError as error:
            logger.debug("The lease of the health watch was not given back: %s", error)

    def _tell(self, body: dict[str, Any], client: Redis) -> None:
        """A client of its own, so that nothing waits: a message about what was is none about what is."""
        signs, now = _signs(body), time.monotonic()
        if self._told and self._told[0] == signs and now - self._told[1] < TELL_SECONDS:
            return
        if publish(TOPIC, body, client=client) is not None:
            self._told = (signs, now)


def _signs(body: dict[str, Any]) -> Any:
    """What makes a message worth it: each component's status, and where in the runbook its findings lead."""
    components = body["components"].items()
    return [(name, each["status"], [one["link"] for one in each["findings"]]) for name, each in components]
