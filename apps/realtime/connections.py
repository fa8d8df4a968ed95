"""The sockets of this process: how many there may be, who they belong to, which of them are dead."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.conf import settings

from apps.realtime.batching import MessageBatcher
from apps.realtime.outbox import Outbox, Traffic
from apps.realtime.subscriptions import Channel, Subscription, TopicSubscription
from apps.realtime.wording import reason_of_close
from nautilus.websocket_protocol import protocol_of

# Close codes, beside those of RFC 6455. A browser sees a code only after the handshake, so refusals accept first.
UNAUTHENTICATED, FORBIDDEN, UNKNOWN_PATH, TOO_SLOW = 4401, 4403, 4404, 4008
POLICY_VIOLATION, SERVICE_RESTART, TRY_AGAIN_LATER = 1008, 1012, 1013
MOST_ORIGIN_CHARACTERS = 100  # of a refused one, which operators are told of


logger = logging.getLogger(__name__)


def stale_seconds() -> float:
    return 2 * settings.WEBSOCKET_HEARTBEAT_SECONDS


class Batches:
    """How many batches a process sent, and how many messages in them."""

    def __init__(self) -> None:
        self.count = self.messages = 0


class Connection:
    """One socket after its handshake."""

    def __init__(self, send: Any, user: Any, proof: Any, traffic: Traffic, batches: Batches) -> None:
        """`send` is the server's, `user` who came in, `proof` with what (standing.py)."""
        self.user = user
        self.proof = proof
        self.subscriptions: dict[str, Subscription] = {}
        # Under another server than ours nothing is written ready-made, and nothing is cut by force.
        self._protocol = protocol_of(send)
        write_frame = self._protocol.write_frame if self._protocol else None
        self.outbox = Outbox(send, self._close_as_too_slow, traffic, write_frame)
        self.batcher = MessageBatcher(
            settings.WEBSOCKET_BATCH_SIZE, settings.WEBSOCKET_FLUSH_INTERVAL_SECONDS, emit=self._emit
        )
        self.channel = Channel(self.outbox, self.batcher)
        self._send = send
        self._batches = batches
        self._ending: asyncio.Task[None] | None = None

    @property
    def is_ending(self) -> bool:
        return self._ending is not None

    def positions(self) -> dict[str, int]:
        """Of each topic with a filter, the seq up to which the client knows all that passed it."""
        self.batcher.flush()
        return {
            name: subscription.seq
            for name, subscription in self.subscriptions.items()
            if subscription.filter and isinstance(subscription, TopicSubscription) and subscription.has_begun
        }

    def is_stale(self) -> bool:
        """Whether the client takes nothing any more, or is half closed and does not end."""
        is_closing = self._protocol is not None and self._protocol.transport.is_closing()
        return is_closing or self.outbox.blocked_seconds() > stale_seconds()

    def end(self, code: int, reason: str) -> None:
        """Closes with a code once the client has read what waits, and cuts the connection where it does not read."""
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._close(code, reason))

    def release(self) -> None:
        """Nothing is sent any more."""
        self.batcher.close()
        self.outbox.close()

    async def _close_as_too_slow(self) -> None:
        self.end(TOO_SLOW, "too many messages wait; come back with since")

    async def _close(self, code: int, reason: str) -> None:
        if self._protocol is not None:
            self._protocol.end_soon()
        self.batcher.flush()
        await self.outbox.flush()
        self.release()
        try:
            await self._send({"type": "websocket.close", "code": code, "reason": reason_of_close(reason)})
        except Exception as error:  # the client has gone
            logger.debug("A socket ended before it could be closed with %d: %s", code, error)

    def _emit(self, text: str, messages: int) -> None:
        self._batches.count += 1
        self._batches.messages += messages
        self.outbox.put(text, messages)


class Connections:
    """Those of one hub."""

    def __init__(self) -> None:
        self.traffic = Traffic()
        self.batches = Batches()
        self.accepted = self.rejected = 0
        # Of the rejected: those for whom there was no place, and those whose page is none of ours.
        self.turned_away = self.refused_origins = 0
        self.last_refused_origin = ""
        self._open: set[Connection] = set()
        self._arriving = 0

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._open))

    def __len__(self) -> int:
        return len(self._open)

    def admit(self) -> bool:
        """Takes a place for a socket that arrives; `leave` gives it back. False where there is none."""
        if self._arriving >= settings.WEBSOCKET_MAX_CONNECTIONS:
            self.rejected += 1
            self.turned_away += 1
            return False
        self._arriving += 1
        return True

    def leave(self) -> None:
        self._arriving -= 1

    def refuse(self) -> None:
        """One whose credentials were not good."""
        self.rejected += 1

    def refuse_origin(self, origin: str) -> None:
        """One that came from a page which is none of ours."""
        self.refuse()
        self.refused_origins += 1
        self.last_refused_origin = "".join(filter(str.isprintable, origin))[:MOST_ORIGIN_CHARACTERS]

    def add(self, send: Any, user: Any, proof: Any) -> Connection:
        self.accepted += 1
        connection = Connection(send, user, proof, self.traffic, self.batches)
        self._open.add(connection)
        return connection

    def remove(self, connection: Connection) -> None:
        connection.release()
        self._open.discard(connection)

    def end_all(self, code: int, reason: str) -> int:
        ending = [connection for connection in self if not connection.is_ending]
        for connection in ending:
            connection.end(code, reason)
        return len(ending)

    def end_stale(self) -> int:
        stale = [connection for connection in self if not connection.is_ending and connection.is_stale()]
        for connection in stale:
            self.traffic.slow_consumers += 1
            self.traffic.dropped += connection.outbox.depth
            connection.release()
            connection.end(TOO_SLOW, f"nothing was read for {stale_seconds():g} s; come back with since")
        return len(stale)

    def users(self) -> Counter[str]:
        return Counter(connection.user.get_username() for connection in self)

    def queue_depth(self) -> int:
        return sum(connection.outbox.depth for connection in self)
