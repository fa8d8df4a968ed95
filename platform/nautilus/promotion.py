"""Making another server of a list the primary, in steps that lose nothing where the old one still answers.

With Sentinel this is Sentinel's own business: SENTINEL FAILOVER.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

import redis

from nautilus.failover import LOOK_SECONDS, STAMP_KEY, Stamp, client_at
from nautilus.redis_url import RedisUrl, parse_place, parse_redis_url
from nautilus.replication import HostState, redis_hosts

# How long the old primary's writers are held up, so that the next one gets all that was written.
HOLD_SECONDS = 5.0

Step = tuple[str, Callable[[], None]]


class PromotionRefusedError(Exception):
    """It cannot be done, or would lose something; the message says what, and what can be done instead."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """A checked plan. `old`: another primary that still answers; `others`: all that answer but the target."""

    url: RedisUrl
    target: HostState
    old: HostState | None
    others: tuple[HostState, ...]
    latest: Stamp | None

    def plan(self) -> list[str]:
        return [said for said, _ in self._steps()]

    def carry_out(self) -> Iterator[str]:
        """Says each step when it is done. Raises RedisError or OSError where a server fails under it."""
        for said, act in self._steps():
            act()
            yield said

    def _steps(self) -> list[Step]:
        target, steps = self.target.host, list[Step]()
        if self.old is not None:
            steps.append((f"{self.old.host}: writers wait until {target} has all that they wrote", self._hand_over))
        if self.target.role != "master":
            steps.append((f"{target}: is a master", self._make_master))
        if self.old is not None or not self.target.is_primary:
            steps.append((f"{target}: is stamped as the primary", self._stamp))
        for other in self.others:
            steps.append((f"{other.host}: is a replica of {target}", partial(self._make_replica, other)))
        return steps

    def _client(self, state: HostState) -> redis.Redis:
        return client_at(self.url.at(parse_place(state.host)), max(LOOK_SECONDS, 2 * HOLD_SECONDS))

    def _hand_over(self) -> None:
        assert self.old is not None
        with self._client(self.old) as old, self._client(self.target) as target:
            old.execute_command("CLIENT", "PAUSE", int(2 * HOLD_SECONDS * 1000), "WRITE")
            deadline = time.monotonic() + HOLD_SECONDS
            while not _has_all(target, old):
                if time.monotonic() > deadline:
                    old.execute_command("CLIENT", "UNPAUSE")
                    raise PromotionRefusedError(
                        f"{self.target.host} has not got all that {self.old.host} holds within {HOLD_SECONDS:g} s, and "
                        "nothing was changed. Look at its link: scripts/manage.sh redis_failover --status"
                    )
                time.sleep(0.01)

    def _make_master(self) -> None:
        with self._client(self.target) as client:
            client.replicaof("NO", "ONE")
            _keep_configuration(client)

    def _stamp(self) -> None:
        with self._client(self.target) as client:
            seconds, microseconds = client.time()
            at_ms = max(seconds * 1000 + microseconds // 1000, self.latest.at_ms + 1 if self.latest else 0)
            client.set(STAMP_KEY, str(Stamp(at_ms, self.target.host)))

    def _make_replica(self, other: HostState) -> None:
        place = parse_place(self.target.host)
        if other.follows == self.target.host:
            return
        with self._client(other) as client:
            for name, value in self._credentials().items():
                client.config_set(name, value)
            client.replicaof(place.host, place.port)
            client.execute_command("CLIENT", "UNPAUSE")
            for kind in ("normal", "pubsub"):
                client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
            _keep_configuration(client)

    def _credentials(self) -> dict[str, str]:
        """What a replica needs to say to its master: the same as we do."""
        given = urlsplit(self.url.base)
        named = {"masteruser": given.username, "masterauth": given.password}
        return {name: unquote(value) for name, value in named.items() if value}


def plan_promotion(url: str, target: str, *, force: bool = False) -> Promotion:
    """Raises PromotionRefusedError."""
    parsed = parse_redis_url(url)
    if not parsed.can_fail_over or parsed.service is not None:
        raise PromotionRefusedError(_no_list(parsed))
    hosts = redis_hosts(url, seconds=LOOK_SECONDS)
    chosen = _named(hosts, target)
    old = next((each for each in hosts if each.is_primary and each is not chosen), None)
    _refuse_loss(hosts, chosen, old, force=force)
    stamps = [each.promotion for each in hosts if each.promotion]
    others = tuple(each for each in hosts if each is not chosen and each.is_reachable)
    latest = max(stamps, key=lambda stamp: stamp.at_ms, default=None)
    return Promotion(parsed, chosen, old, others, latest)


def _no_list(parsed: RedisUrl) -> str:
    if parsed.service is None:
        return f"REDIS_URL names one server, {parsed.places[0]}; expected a list, as docs/redis.md shows."
    first = parsed.places[0]
    return (
        f"REDIS_URL names Sentinels, which promote by themselves. To make them do it now: "
        f"redis-cli -h {first.host} -p {first.port} SENTINEL FAILOVER {parsed.service}"
    )


def _named(hosts: Sequence[HostState], target: str) -> HostState:
    found = next((each for each in hosts if each.host == str(parse_place(target))), None)
    if found is None:
        known = ", ".join(each.host for each in hosts)
        raise PromotionRefusedError(f"{target} is none of REDIS_URL's servers; expected one of {known}.")
    if not found.is_reachable:
        raise PromotionRefusedError(f"{found.host} does not answer ({found.error}); start it first.")
    return found


def _refuse_loss(hosts: Sequence[HostState], target: HostState, old: HostState | None, *, force: bool) -> None:
    """What a living primary holds is given up by no flag: it is stopped first, by who means it."""
    if old is not None and target.link != "up":
        raise PromotionRefusedError(
            f"The primary {old.host} answers, and {target.host} does not follow it. First make it: "
            f"scripts/manage.sh redis_failover --promote {old.host}"
        )
    if force:
        return
    if old is not None:
        raise PromotionRefusedError(
            f"The primary {old.host} answers. To replace it all the same, with its writers held up for a moment: "
            f"scripts/manage.sh redis_failover --promote {target.host} --force"
        )
    if target.role == "slave" and not target.offset:
        raise PromotionRefusedError(
            f"{target.host} has never had what its master {target.follows} holds. Start that one, or begin with an "
            "empty Redis by --force: PostgreSQL holds all tasks and figures."
        )
    ahead = [each for each in hosts if each.role == target.role == "slave" and _offset(each) > _offset(target)]
    if ahead:
        best = max(ahead, key=_offset)
        raise PromotionRefusedError(
            f"{best.host} has {_offset(best) - _offset(target)} bytes more than {target.host}: promote that one, or "
            "repeat with --force and lose them."
        )


def _offset(state: HostState) -> int:
    return state.offset or 0


def _has_all(replica: redis.Redis, primary: redis.Redis) -> bool:
    there: Any = primary.info("replication")
    here: Any = replica.info("replication")
    return here["master_link_status"] == "up" and int(here["slave_repl_offset"]) >= int(there["master_repl_offset"])


def _keep_configuration(client: redis.Redis) -> None:
    """So that the server is the same after a restart, where it has a configuration file."""
    with suppress(redis.ResponseError):
        client.config_rewrite()
