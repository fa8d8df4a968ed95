"""What a hub says of itself: every few seconds how many listen, and on demand everything (control.py)."""

import logging
import os
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from django.conf import settings
from redis.exceptions import RedisError

from apps.realtime import control, listeners
from apps.realtime.connections import Connections
from apps.realtime.latency import Latencies
from apps.realtime.regular import Turn
from apps.realtime.topics import Message, utc_now

RATE_SECONDS = 10.0
# Latencies, and what is told of lately, are those of the last minute, in slices.
SLICE_SECONDS, SLICES = 10.0, 6

logger = logging.getLogger(__name__)


class ReportedHub(Protocol):
    connections: Connections

    def topics(self) -> dict[str, int]: ...

    async def restart(self) -> int: ...


class Reporter:
    def __init__(self, hub: ReportedHub, redis: Any) -> None:
        self._hub = hub
        self._redis = redis
        self._id = listeners.new_hub_id()
        self._started_at, self._started = utc_now(), time.monotonic()
        self._latencies: deque[Latencies] = deque([Latencies()], maxlen=SLICES)
        self._counted: deque[dict[str, int]] = deque([self._counters()], maxlen=SLICES)
        self._sent: deque[tuple[float, int]] = deque([(self._started, 0)], maxlen=int(RATE_SECONDS) + 1)
        self._commands: dict[str, Callable[[], Awaitable[dict[str, Any]]]] = {
            "report": self._report,
            "restart": self._restart,
            "cleanup": self._clean_up,
        }

    def turns(self) -> tuple[Turn, ...]:
        """What happens by itself."""
        return (
            (1.0, self._sample),
            (SLICE_SECONDS, self._begin_slice),
            (listeners.REPORT_SECONDS, self._say_how_many_listen),
        )

    def note(self, message: Message) -> None:
        """A message that was just written to its sockets."""
        published = _published_at(message.text)
        if published is not None:
            self._latencies[-1].add((time.time() - published) * 1000)

    async def follow(self, text: str) -> None:
        """Carries out a command to all hubs and answers."""
        said = control.parse_command(text)
        if said is None:
            return
        command, request_id = said
        answer = {
            "process": f"{socket.gethostname()}:{os.getpid()}",
            "hub": self._id,
            **await self._commands[command](),
        }
        try:
            await control.answer(self._redis, request_id, answer)
        except (RedisError, OSError) as error:
            logger.warning("The hub could not answer '%s': %s", command, error)

    async def _restart(self) -> dict[str, Any]:
        return {"connections_closed": await self._hub.restart()}

    async def _clean_up(self) -> dict[str, Any]:
        return {"connections_closed": self._hub.connections.end_stale()}

    async def _report(self) -> dict[str, Any]:
        connections = self._hub.connections
        traffic, batches = connections.traffic, connections.batches
        return {
            "started_at": self._started_at,
            "uptime_seconds": round(time.monotonic() - self._started, 1),
            "active": len(connections),
            "max": settings.WEBSOCKET_MAX_CONNECTIONS,
            "accepted": connections.accepted,
            "rejected": connections.rejected,
            "turned_away": connections.turned_away,
            "refused_origins": connections.refused_origins,
            "last_refused_origin": connections.last_refused_origin,
            "stale": sum(connection.is_stale() for connection in connections),
            "lately": self._lately(),
            "messages_sent": traffic.messages,
            "bytes_sent": traffic.bytes,
            "dropped": traffic.dropped,
            "slow_consumers": traffic.slow_consumers,
            "queue_depth": connections.queue_depth(),
            "topics": self._hub.topics(),
            "users": dict(connections.users()),
            "latency_counts": self._latencies_of_last_minute().counts(),
            "messages_per_second": self._rate(),
            "batches": batches.count,
            "batched_messages": batches.messages,
            "batch_size": settings.WEBSOCKET_BATCH_SIZE,
            "flush_interval": settings.WEBSOCKET_FLUSH_INTERVAL_SECONDS,
        }

    def _counters(self) -> dict[str, int]:
        """What an operator is told of while it is new."""
        connections, traffic = self._hub.connections, self._hub.connections.traffic
        of_connections = {name: getattr(connections, name) for name in ("turned_away", "refused_origins")}
        return {**of_connections, "dropped": traffic.dropped, "slow_consumers": traffic.slow_consumers}

    def _lately(self) -> dict[str, int]:
        """How much the counters grew in the last minute."""
        before = self._counted[0]
        return {name: count - before[name] for name, count in self._counters().items()}

    def _rate(self) -> float:
        begun, sent = self._sent[0]
        seconds = time.monotonic() - begun
        return round((self._hub.connections.traffic.messages - sent) / max(seconds, 1.0), 1)

    def _latencies_of_last_minute(self) -> Latencies:
        together = Latencies()
        for part in self._latencies:
            together.merge(part)
        return together

    async def _sample(self) -> None:
        self._sent.append((time.monotonic(), self._hub.connections.traffic.messages))

    async def _begin_slice(self) -> None:
        self._latencies.append(Latencies())
        self._counted.append(self._counters())

    async def _say_how_many_listen(self) -> None:
        """Tells listeners.py."""
        try:
            counted = listeners.count_by_prefix(self._hub.topics())
            await listeners.report_listeners(self._redis, self._id, counted)
        except (RedisError, OSError) as error:
            logger.debug("The hub could not say how many listen: %s", error)


def _published_at(text: str) -> float | None:
    """Seconds since 1970 by the publisher's clock."""
    place = text.find('"timestamp":"') + len('"timestamp":"')
    try:
        return (
            datetime.fromisoformat(text[place : place + len("2026-01-01T00:00:00.000")]).replace(tzinfo=UTC).timestamp()
        )
    except ValueError:
        return None
