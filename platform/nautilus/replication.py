"""How replication does: each server of REDIS_URL, and each Sentinel, as it says itself."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

import redis
from django.conf import settings

from nautilus.failover import (
    STAMP_KEY,
    Answer,
    NoPrimaryError,
    SentinelFailover,
    Stamp,
    chosen,
    client_at,
    failover_of,
    pairs,
)
from nautilus.redis_url import Place, RedisUrl, parse_place, parse_redis_url

# Within what health may take for all of it.
ASK_SECONDS = 0.8
MOST_AT_ONCE = 8

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HostState:
    """A server, or a Sentinel (`kind`). `role`: master or slave by its own word, None where it does not answer.

    `is_primary`: the one that the platform writes to. `offset`: bytes of the replication stream that it has; of a
    replica, `behind_bytes`: how many it has less than the primary, and `link`: whether it hears its master (up, down).
    `promotion`: the latest one that it knows of, as in nautilus/failover.py.
    """

    host: str
    kind: str = "server"
    role: str | None = None
    is_primary: bool = False
    offset: int | None = None
    behind_bytes: int | None = None
    link: str | None = None
    follows: str | None = None
    promotion: Stamp | None = None
    error: str | None = None

    @property
    def is_reachable(self) -> bool:
        return self.error is None

    @property
    def is_stale_primary(self) -> bool:
        """Says that it is a master, and another one is the primary: what it holds is old, and nobody writes to it."""
        return self.kind == "server" and self.role == "master" and not self.is_primary

    def as_dict(self) -> dict[str, Any]:
        said = asdict(self) | {"promotion": self.promotion and str(self.promotion)}
        return {**said, "reachable": self.is_reachable, "stale_primary": self.is_stale_primary}


def redis_hosts(url: str | None = None, *, seconds: float = ASK_SECONDS) -> list[HostState]:
    """Every server in the list's order, or as the Sentinels know them, then the Sentinels; raises nothing.

    All are asked at once, and one that says nothing within `seconds` does not answer. None of them is primary where it
    cannot be told which.
    """
    url = url or settings.REDIS_URL
    failover = failover_of(url)
    if isinstance(failover, SentinelFailover):
        return _by_sentinels(failover, seconds)
    servers = _servers(parse_redis_url(url), parse_redis_url(url).places, seconds)
    if failover is None:
        return [replace(each, is_primary=each.role == "master") for each in servers]
    found = chosen([_answer(each) for each in servers])
    return _measured(servers, found.place if found else None)


def _servers(url: RedisUrl, places: Iterable[Place], seconds: float) -> list[HostState]:
    return _at_once(lambda place: _server(url.at(place), place, seconds), places)


def _at_once(ask: Callable[[Place], T], places: Iterable[Place]) -> list[T]:
    with ThreadPoolExecutor(max_workers=MOST_AT_ONCE) as asking:
        return list(asking.map(ask, places))


def _server(url: str, place: Place, seconds: float) -> HostState:
    try:
        with client_at(url, seconds) as client:
            said, stamped = client.pipeline(transaction=False).info("replication").get(STAMP_KEY).execute()
        stamp = Stamp.parse(stamped)
    except (redis.RedisError, OSError) as error:
        return HostState(str(place), error=str(error))
    is_replica = said["role"] == "slave"
    return HostState(
        str(place),
        role=said["role"],
        offset=int(said["slave_repl_offset" if is_replica else "master_repl_offset"]),
        link=said.get("master_link_status"),
        follows=f"{said['master_host']}:{said['master_port']}" if is_replica else None,
        promotion=stamp,
    )


def _answer(state: HostState) -> Answer:
    return Answer(parse_place(state.host), state.role, state.promotion, state.error or "")


def _measured(servers: Sequence[HostState], primary: Place | None) -> list[HostState]:
    name = primary and str(primary)
    written = next((each.offset for each in servers if each.host == name), None)
    return [replace(each, is_primary=each.host == name, behind_bytes=_behind(each, written)) for each in servers]


def _behind(state: HostState, written: int | None) -> int | None:
    if written is None or state.offset is None or state.role != "slave":
        return None
    return max(written - state.offset, 0)


# --- Sentinel ---------------------------------------------------------------------------------------------------


def _by_sentinels(failover: SentinelFailover, seconds: float) -> list[HostState]:
    asked = _at_once(lambda place: _sentinel(failover, place), failover.url.places)
    sentinels = [state for state, _ in asked]
    try:
        primary = failover.look().place
    except NoPrimaryError:
        return sentinels
    places = dict.fromkeys([primary, *(place for _, known in asked for place in known)])
    servers = _servers(failover.url, places, seconds)
    is_master = any(each.host == str(primary) and each.role == "master" for each in servers)
    return [*_measured(servers, primary if is_master else None), *sentinels]


def _sentinel(failover: SentinelFailover, place: Place) -> tuple[HostState, list[Place]]:
    """And the servers that it knows, the primary first."""
    try:
        with failover.sentinel(place) as client:
            replicas = client.execute_command("SENTINEL", "REPLICAS", failover.url.service)
            states = [failover.state(client), *map(pairs, replicas)]
    except (redis.RedisError, OSError) as error:
        return HostState(str(place), kind="sentinel", error=str(error)), []
    known = [Place(each["ip"], int(each["port"])) for each in states]
    return HostState(str(place), kind="sentinel", role="sentinel", follows=str(known[0])), known
