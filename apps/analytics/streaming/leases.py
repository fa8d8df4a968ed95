"""Which portfolios an engine publishes: those of the shards that it has a lease on.

A portfolio belongs to one of SHARDS shards by its id's checksum. A lease is a Redis key that dies without renewal, so
whoever dies is replaced; it holds the engine's id and a number of its own, which is the fence that every publish is
checked against in the very step that publishes (apps/realtime/publish.lua).
"""

import os
import secrets
import socket
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from redis import Redis
from redis.commands.core import Script

from apps.realtime.topics import Fence

SHARDS = 64
LEASE_MS = 2_000
RENEW_SECONDS = 0.5
# How long a silent engine is still shown.
FORGET_MS = 30_000

ENGINES_KEY = "streaming:engines"  # sorted set: engine -> when it was seen last, ms of Redis's clock
NUMBER_KEY = "streaming:lease-number"
RESTARTS_KEY = "streaming:restarts"
LEASE_PREFIX = "streaming:lease:"
# Hash: at (µs) and by (lease) of the last publish; `ended` says how that lease ended, empty where nobody said.
STAMP_PREFIX = "streaming:published:"


def shard_of(portfolio_id: str) -> int:
    return zlib.crc32(portfolio_id.encode()) % SHARDS


def new_engine_id() -> str:
    host = socket.gethostname().replace(":", "-")[:60]
    return f"{host}-{os.getpid()}-{secrets.token_hex(3)}"


@dataclass(frozen=True, slots=True)
class Taken:
    """A shard that was taken: its lease, and the last publish before, by whom and how that ended."""

    shard: int
    lease: str
    at_us: int | None
    by: str
    ended: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What one renewal came to. `leases` by shard, those just `taken` among them."""

    now_us: int
    alive: int
    share: int
    restarts: int
    leases: Mapping[int, str] = field(default_factory=dict)
    taken: tuple[Taken, ...] = ()


def keep_leases(engine_id: str, client: Redis) -> Kept:
    """Says that the engine lives; renews, gives up and takes leases in one step. Raises RedisError."""
    now_us, alive, share, restarts, kept, taken = _script(client, "keep_leases")(
        keys=[ENGINES_KEY, NUMBER_KEY, RESTARTS_KEY],
        args=[engine_id, LEASE_MS, FORGET_MS, SHARDS, LEASE_PREFIX, STAMP_PREFIX],
    )
    new = tuple(Taken(int(row[0]), row[1], int(row[2]) if row[2] else None, row[3], row[4]) for row in _rows(taken, 5))
    leases = {int(shard): lease for shard, lease in _rows(kept, 2)} | {one.shard: one.lease for one in new}
    return Kept(int(now_us), alive, share, int(restarts), leases, new)


def let_go(engine_id: str, leases: Mapping[int, str], why: str, client: Redis) -> int:
    """Gives the leases back and takes leave; answers with how many were still this engine's. Raises RedisError."""
    pairs = [part for shard, lease in leases.items() for part in (shard, lease)]
    arguments = [engine_id, why, LEASE_PREFIX, STAMP_PREFIX, *pairs]
    return int(_script(client, "let_go")(keys=[ENGINES_KEY], args=arguments))


def fence_of(shard: int, lease: str) -> Fence:
    return Fence(f"{LEASE_PREFIX}{shard}", lease, f"{STAMP_PREFIX}{shard}")


def engine_of(lease: str) -> str:
    return lease.rpartition(":")[0]


def _rows(flat: list[Any], width: int) -> Iterator[Any]:
    return zip(*(iter(flat),) * width, strict=True)


def by_shard(portfolio_ids: Iterable[str]) -> list[int]:
    return [shard_of(portfolio_id) for portfolio_id in portfolio_ids]


@cache
def _script(client: Redis, name: str) -> Script:
    return client.register_script((Path(__file__).parent / "lua" / f"{name}.lua").read_text())
