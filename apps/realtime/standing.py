"""Whether those who listen still may: a socket outlives the token, the session and the rights that opened it.

Once a minute each server process looks at the credentials of all its sockets, and at the rights behind some of their
subscriptions, so that each is looked at again within about five minutes.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from channels.db import database_sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.db import DatabaseError
from django.db.models import Q
from django.utils import timezone
from knox.models import AuthToken

from apps.realtime import protocol
from apps.realtime.access import may_user_subscribe
from apps.realtime.connections import UNAUTHENTICATED, Connection, Connections
from apps.realtime.protocol import ProtocolError
from apps.realtime.subscriptions import Subscription

TURN_SECONDS = 60.0
SUBSCRIPTION_SECONDS = 300.0
SUBSCRIPTIONS_A_TURN = 10_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Proof:
    """What a socket came in with; with neither it was a ticket or the local operator, and the user alone counts.

    `session_hash` is of the user's password: a session of before its change is none.
    """

    user_id: int
    token_digest: str = ""
    session_key: str = ""
    session_hash: str = ""


class Standing:
    def __init__(self, connections: Connections, unsubscribe: Callable[[Subscription], Awaitable[None]]) -> None:
        self._connections = connections
        self._unsubscribe = unsubscribe
        self._checked_at: dict[Subscription, float] = {}

    async def look_again(self) -> None:
        """A database that does not answer ends nobody's socket: the next turn is in a minute."""
        try:
            await self._look_at_credentials()
            await self._look_at_subscriptions()
        except (DatabaseError, OSError) as error:
            logger.warning("It could not be checked who may still listen: %s", error)

    async def _look_at_credentials(self) -> None:
        ended = await database_sync_to_async(proofs_that_ended)({each.proof for each in self._connections})
        for connection in self._connections:
            if connection.proof in ended:
                connection.end(UNAUTHENTICATED, "the credentials of this socket have expired or were revoked")

    async def _look_at_subscriptions(self) -> None:
        due = list(islice(self._due(), SUBSCRIPTIONS_A_TURN))
        answers: dict[tuple[int, str], bool] = {}
        for connection, subscription in due:
            self._checked_at[subscription] = time.monotonic()
            asked = (connection.proof.user_id, subscription.name)
            if asked not in answers:
                answers[asked] = await database_sync_to_async(may_user_subscribe)(*asked)
            if not answers[asked]:
                await self._end(connection, subscription)

    async def _end(self, connection: Connection, subscription: Subscription) -> None:
        if connection.subscriptions.get(subscription.name) is not subscription:
            return  # the client has left it, and may have come back
        del connection.subscriptions[subscription.name]
        await self._unsubscribe(subscription)
        _tell_of_end(connection, subscription.name)

    def _due(self) -> Iterable[tuple[Connection, Subscription]]:
        now = time.monotonic()
        pairs = [(each, subscription) for each in self._connections for subscription in each.subscriptions.values()]
        known = {subscription: self._checked_at.get(subscription, now) for _, subscription in pairs}
        self._checked_at = known
        due = [pair for pair in pairs if now - known[pair[1]] >= SUBSCRIPTION_SECONDS and ":" in pair[1].name]
        return sorted(due, key=lambda pair: known[pair[1]])


def proofs_that_ended(proofs: Collection[Proof]) -> set[Proof]:
    """Those whose user is not active any more, or whose token or session is not there any more or has expired."""
    now = timezone.now()
    users = get_user_model().objects.filter(is_active=True).in_bulk({proof.user_id for proof in proofs})
    tokens = AuthToken.objects.filter(Q(expiry=None) | Q(expiry__gt=now))
    digests = _found(tokens, "digest", (proof.token_digest for proof in proofs))
    sessions = Session.objects.filter(expire_date__gt=now)
    keys = _found(sessions, "session_key", (proof.session_key for proof in proofs))
    return {
        proof
        for proof in proofs
        if proof.user_id not in users
        or (proof.token_digest and proof.token_digest not in digests)
        or (proof.session_key and proof.session_key not in keys)
        or (proof.session_hash and proof.session_hash != users[proof.user_id].get_session_auth_hash())
    }


def _found(rows: Any, column: str, wanted: Iterable[Any]) -> set[Any]:
    asked = {value for value in wanted if value}
    return set(rows.filter(**{f"{column}__in": asked}).values_list(column, flat=True)) if asked else set()


def _tell_of_end(connection: Connection, topic: str) -> None:
    detail = f"There is no topic '{topic}' that you may read any more."
    connection.channel.tell(protocol.error(ProtocolError("not_found", detail)))
    connection.channel.tell(protocol.unsubscribed(topic))
