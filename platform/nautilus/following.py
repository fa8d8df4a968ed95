"""Connections that follow the primary: they ask where it is when they connect, and whether it still is while used.

What stands above them (pools, pipelines, pub/sub, kombu's channels, redis.asyncio) needs no code of its own: a
connection to a server that is no primary any more is lost, as one to a server that has ended.
"""

import asyncio
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.connection import Connection as AsyncConnection
from redis.asyncio.connection import SSLConnection as AsyncSSLConnection
from redis.connection import Connection, ConnectionPool, SSLConnection
from redis.exceptions import ReadOnlyError, ResponseError

from nautilus.failover import Failover, ReplacedError, failover_of
from nautilus.redis_url import Place


def redis_from_url(url: str, **options: Any) -> redis.Redis:
    """`redis.Redis.from_url` for every notation of REDIS_URL; for one server it is just that."""
    if failover := failover_of(url):
        return redis.Redis.from_url(_base(failover), **following(failover), **options)
    return redis.Redis.from_url(url, **options)


def async_redis_from_url(url: str, **options: Any) -> redis.asyncio.Redis:
    """As `redis_from_url`."""
    if failover := failover_of(url):
        kind: Any = AsyncFollowingTLS if _is_tls(failover) else AsyncFollowing
        return redis.asyncio.Redis.from_url(_base(failover), connection_class=kind, failover=failover, **options)
    return redis.asyncio.Redis.from_url(url, **options)


def following(failover: Failover) -> dict[str, Any]:
    """What a pool's connections need, to follow the primary."""
    return {"connection_class": FollowingTLS if _is_tls(failover) else Following, "failover": failover}


class FollowingPool(ConnectionPool):
    """For who makes his own client of a URL, as Django's cache does."""

    @classmethod
    def from_url(cls, url: str, **options: Any) -> ConnectionPool:  # type: ignore[override]
        if failover := failover_of(url):
            return ConnectionPool.from_url(_base(failover), **following(failover), **options)
        return ConnectionPool.from_url(url, **options)


def _is_tls(failover: Failover) -> bool:
    return failover.url.base.startswith("rediss://")


def _base(failover: Failover) -> str:
    """Without TLS in the scheme, which would decide on the class of the connections."""
    return "redis://" + failover.url.base.partition("://")[2]


def _is_of_a_replica(error: ResponseError) -> bool:
    """What a primary answers when it has just become a replica: to a write, or to who waits for a list to fill."""
    return isinstance(error, ReadOnlyError) or str(error).startswith("UNBLOCKED")


def _replaced(place: Place, said: object) -> ReplacedError:
    return ReplacedError(f"{place} is not the primary of Redis: {said}")


class Following(Connection):
    def __init__(self, *, failover: Failover, **options: Any) -> None:
        self._failover = failover
        super().__init__(**options)

    @property
    def _place(self) -> Place:
        return Place(self.host, self.port)

    def connect(self) -> None:
        """A pool asks for this each time it gives the connection out."""
        if self.is_connected and not self._failover.is_primary(self._place):
            self.disconnect()
        super().connect()

    def check_health(self) -> None:
        """Called before each command: for connections that are kept, by pub/sub and by who waits for tasks."""
        if not self._failover.is_primary(self._place):
            self.disconnect()
            raise _replaced(self._place, "another was promoted, or none answers")
        super().check_health()

    def _connect(self) -> Any:
        """Where nobody listens, another one may have been promoted since the last look."""
        try:
            return self._connect_to(self._failover.primary())
        except OSError as error:
            self._failover.doubt()
            if isinstance(error, TimeoutError):
                raise
        return self._connect_to(self._failover.primary())

    def _connect_to(self, place: Place) -> Any:
        self.host, self.port = place.host, place.port
        return super()._connect()

    def on_connect_check_health(self, check_health: bool = True) -> None:
        super().on_connect_check_health(check_health=check_health)
        role = _text(self._ask("ROLE")[0])
        if role != "master":
            self._failover.doubt()
            raise _replaced(self._place, f"it says {role}")
        self._failover.greet(self._place, self._ask)

    def _ask(self, *command: Any) -> Any:
        self.send_command(*command, check_health=False)
        return self.read_response()

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super().read_response(*arguments, **options)
        except ResponseError as error:
            if not _is_of_a_replica(error):
                raise
            self._failover.doubt()
            self.disconnect()
            raise _replaced(self._place, error) from error


class FollowingTLS(Following, SSLConnection):
    pass


class AsyncFollowing(AsyncConnection):
    """As Following; a look is made in a thread. It greets nobody: what it is used for publishes nothing."""

    def __init__(self, *, failover: Failover, **options: Any) -> None:
        self._failover = failover
        super().__init__(**options)

    @property
    def _place(self) -> Place:
        return Place(self.host, self.port)

    async def connect(self) -> None:
        if self.is_connected and not await self._leads_to_primary():
            await self.disconnect()
        await super().connect()

    async def check_health(self) -> None:
        if not await self._leads_to_primary():
            await self.disconnect(nowait=True)
            raise _replaced(self._place, "another was promoted, or none answers")
        await super().check_health()

    async def _leads_to_primary(self) -> bool:
        if self._failover.is_fresh:
            return self._failover.is_primary(self._place)
        return await asyncio.to_thread(self._failover.is_primary, self._place)

    async def _connect(self) -> None:
        try:
            await self._connect_to(await asyncio.to_thread(self._failover.primary))
        except OSError as error:
            self._failover.doubt()
            if isinstance(error, TimeoutError):
                raise
            await self._connect_to(await asyncio.to_thread(self._failover.primary))

    async def _connect_to(self, place: Place) -> None:
        self.host, self.port = place.host, place.port
        await super()._connect()

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        await super().on_connect_check_health(check_health=check_health)
        await self.send_command("ROLE", check_health=False)
        role = _text((await self.read_response())[0])
        if role != "master":
            self._failover.doubt()
            raise _replaced(self._place, f"it says {role}")

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*arguments, **options)
        except ResponseError as error:
            if not _is_of_a_replica(error):
                raise
            self._failover.doubt()
            await self.disconnect(nowait=True)
            raise _replaced(self._place, error) from error


class AsyncFollowingTLS(AsyncFollowing, AsyncSSLConnection):
    pass


def _text(answer: str | bytes) -> str:
    return answer.decode() if isinstance(answer, bytes) else answer
