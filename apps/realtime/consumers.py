"""The sockets: they know the protocol and who asks; what a topic carries they do not know (contract section 9)."""

import logging
from typing import Any, ClassVar

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from apps.realtime import protocol
from apps.realtime.access import may_user_subscribe
from apps.realtime.connections import (
    FORBIDDEN,
    POLICY_VIOLATION,
    TRY_AGAIN_LATER,
    UNKNOWN_PATH,
    Connection,
)
from apps.realtime.hub import Hub, HubUnavailableError, hub_of_this_process
from apps.realtime.protocol import ListTopics, Ping, ProtocolError, Subscribe, Unsubscribe
from apps.realtime.rate import TokenBucket
from apps.realtime.subscriptions import PatternSubscription, Subscription, TopicSubscription
from apps.realtime.topics import BadTopicError, check_subscription, is_pattern
from apps.realtime.wording import reason_of_close
from nautilus.logs.ids import begin_ids, request_id_of

MAX_BAD_FRAMES_IN_A_ROW = 50

logger = logging.getLogger(__name__)


class TopicConsumer(AsyncWebsocketConsumer):
    """`/ws`: any topic. A route with a `topic` template subscribes by itself."""

    # No layer channel per socket: that is a Redis subscription each, and a handshake that fails while Redis is away.
    # What concerns all sockets of a process (restart, close) goes through its hub.
    channel_layer_alias: ClassVar[str] = "none"
    topic: str = ""
    since: int | None = None

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.bad_frames = 0
        self.rate = TokenBucket(settings.WEBSOCKET_FRAMES_PER_SECOND, settings.WEBSOCKET_FRAMES_BURST)

    @classmethod
    def for_topic(cls, topic: str, since: int | None = None) -> Any:
        """A route's consumer that subscribes to `topic`, whose {names} come from the path."""
        kind: type[TopicConsumer] = type(cls.__name__, (cls,), {"topic": topic, "since": since})
        return kind.as_asgi()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        begin_ids(request_id=_request_id(scope), user_id=scope["user"].pk)
        self.hub: Hub = hub_of_this_process()
        self.connection: Connection = self.hub.connections.add(send, scope["user"], scope["proof"])
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._leave()

    async def connect(self) -> None:
        await self.accept()
        if self.topic:
            await self._subscribe_by_path()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.connection.is_ending:
            return
        try:
            await self._follow(self._allowed(text_data))
        except ProtocolError as problem:
            await self._refuse(problem)
        else:
            self.bad_frames = 0

    def _allowed(self, text: str | None) -> protocol.Request:
        is_in_time = self.rate.take()
        request = protocol.parse_request(text)
        if not is_in_time:
            detail = f"Over {self.rate.per_second:g} frames a second; expected fewer, or the socket is closed."
            raise ProtocolError("rate_limited", detail, request.request_id)
        return request

    # --- What a client may say ------------------------------------------------------------------------
    async def _follow(self, request: protocol.Request) -> None:
        match request:
            case Ping(request_id):
                self._tell(protocol.pong(self.connection.positions(), request_id))
            case ListTopics(request_id):
                self._tell(protocol.subscriptions(self.subscriptions, request_id))
            case Unsubscribe():
                await self._unsubscribe(request)
            case Subscribe():
                await self._subscribe(request)

    async def _subscribe(self, request: Subscribe) -> None:
        await self._check(request)
        subscription = self._new_subscription(request)
        self.subscriptions[request.topic] = subscription
        try:
            await self.hub.subscribe(subscription, request)
        except HubUnavailableError as error:
            self.subscriptions.pop(request.topic, None)
            detail = f"'{request.topic}' cannot be followed now, as Redis does not answer; try again in a few seconds."
            raise ProtocolError("unavailable", detail, request.request_id) from error

    async def _check(self, request: Subscribe) -> None:
        topic, request_id = request.topic, request.request_id
        if topic in self.subscriptions:
            detail = f"'{topic}' is subscribed to already; unsubscribe first to start anew."
            raise ProtocolError("already_subscribed", detail, request_id)
        if len(self.subscriptions) >= settings.WEBSOCKET_MAX_SUBSCRIPTIONS:
            detail = (
                f"This socket has {len(self.subscriptions)} subscriptions; expected at most as many: unsubscribe from "
                "some, or take a pattern such as 'risk:alerts:*'."
            )
            raise ProtocolError("too_many_subscriptions", detail, request_id)
        if not await self._may_subscribe(request):
            # The same words whether it exists or not: who may not see a topic does not learn of it.
            raise ProtocolError("not_found", f"There is no topic '{topic}' that you may read.", request_id)

    async def _may_subscribe(self, request: Subscribe) -> bool:
        try:
            user_id = self.connection.proof.user_id
            return await database_sync_to_async(may_user_subscribe)(user_id, request.topic)
        except Exception as error:  # a rule that fails, or a database that is away, opens nothing
            logger.exception("The access rule of '%s' failed; the topic is refused", request.topic)
            detail = f"Whether you may read '{request.topic}' cannot be told now; try again in a few seconds."
            raise ProtocolError("unavailable", detail, request.request_id) from error

    def _new_subscription(self, request: Subscribe) -> Subscription:
        if is_pattern(request.topic):
            return PatternSubscription(request, self.connection.channel, self.subscriptions)
        return TopicSubscription(request, self.connection.channel)

    async def _unsubscribe(self, request: Unsubscribe) -> None:
        subscription = self.subscriptions.pop(request.topic, None)
        if subscription is None:
            detail = (
                f"'{request.topic}' is not subscribed to; expected one of {', '.join(self.subscriptions) or 'none'}."
            )
            raise ProtocolError("not_subscribed", detail, request.request_id)
        await self.hub.unsubscribe(subscription)
        self._tell(protocol.unsubscribed(request.topic, request.request_id))

    async def _refuse(self, problem: ProtocolError) -> None:
        self._tell(protocol.error(problem))
        self.bad_frames += 1
        if self.bad_frames >= MAX_BAD_FRAMES_IN_A_ROW:
            self.connection.end(POLICY_VIOLATION, f"{self.bad_frames} bad frames in a row")

    # --- What the path says ---------------------------------------------------------------------------
    async def _subscribe_by_path(self) -> None:
        try:
            topic = check_subscription(self.topic.format(**self.scope["url_route"]["kwargs"]))
            await self._subscribe(Subscribe(topic, None if is_pattern(topic) else self.since))
        except BadTopicError as error:
            self.connection.end(FORBIDDEN, str(error))
        except ProtocolError as problem:
            code = TRY_AGAIN_LATER if problem.code == "unavailable" else FORBIDDEN
            self.connection.end(code, problem.detail)

    # --- The end --------------------------------------------------------------------------------------
    @property
    def subscriptions(self) -> dict[str, Subscription]:
        return self.connection.subscriptions

    def _tell(self, frame: str) -> None:
        self.connection.channel.tell(frame)

    async def _leave(self) -> None:
        self.hub.connections.remove(self.connection)
        while self.subscriptions:
            _, subscription = self.subscriptions.popitem()
            await self.hub.unsubscribe(subscription)


def _request_id(scope: Any) -> str:
    """Of the handshake."""
    header = next((value for name, value in scope["headers"] if name.lower() == b"x-request-id"), b"")
    return request_id_of(header.decode("latin-1"))


async def unknown_path(scope: Any, receive: Any, send: Any) -> None:
    """A path without a socket: said with a code, as a browser sees nothing of a refused handshake."""
    await close_with(UNKNOWN_PATH, "no such socket; see docs/asyncapi.yaml", receive, send)


async def close_with(code: int, reason: str, receive: Any, send: Any) -> None:
    """Accepts a socket and closes it."""
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": code, "reason": reason_of_close(reason)})
