"""Which Redis is the primary now: for a list of servers with replicas, and for Sentinel (docs/decisions/0015).

The connections of nautilus/following.py ask here whenever they connect, and, while they are used, whether the answer
still holds. With a list, the last promotion decides: `manage.py redis_failover --promote` stamps the server with a
time and its address, and the stamp travels to the replicas. Without any stamp it is the first of the list. A server
that calls itself a master is never enough: the old primary does so too when it comes back.
"""

import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from nautilus.redis_url import Place, RedisUrl, parse_place, parse_redis_url

STAMP_KEY = "nautilus:promoted"  # "<Unix time in ms> <host:port as in the list>"
# A connection that is used was known to lead to the primary at most so long ago.
VERIFY_SECONDS = 5.0
# How long a look waits for each server; for a backup that did not answer at the last look either.
LOOK_SECONDS, LOOK_AGAIN_SECONDS = 2.0, 0.2
# Who asks while there is no primary, shortly after somebody has looked, is answered by that look.
NEXT_LOOK_SECONDS = 0.3

# Sends a command to the server that was found to be the primary.
Ask = Callable[..., Any]
SeeTo = Callable[[Ask], None]

logger = logging.getLogger(__name__)


class NoPrimaryError(redis.ConnectionError):
    """No server can be taken for the primary; the message says what each of them said."""


class ReplacedError(redis.ConnectionError):
    """The server is no primary any more; the next connection goes to the one that is."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A promotion: when (Unix ms), and of whom."""

    at_ms: int
    place: str

    @classmethod
    def parse(cls, text: str | None) -> "Stamp | None":
        at_ms, _, place = (text or "").partition(" ")
        return cls(int(at_ms), place) if at_ms.isdigit() and place else None

    def __str__(self) -> str:
        return f"{self.at_ms} {self.place}"


@dataclass(frozen=True, slots=True)
class Found:
    """The primary, and its term: what grows with each promotion."""

    place: Place
    term: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server of the list said; `role` is None where it said nothing."""

    place: Place
    role: str | None
    stamp: Stamp | None = None
    error: str = ""

    def __str__(self) -> str:
        return f"{self.place} " + (f"says {self.role}" if self.role else f"does not answer ({self.error})")


def client_at(url: str, timeout_seconds: float, **options: Any) -> redis.Redis:
    """A client of one server for a question or two: it tries once."""
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        protocol=2,
        driver_info=None,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
        **options,
    )


class Failover:
    """What a process knows of the primary. Threads share it, and a look is made by one of them for all."""

    def __init__(self, url: RedisUrl) -> None:
        self.url = url
        self._seen_to: dict[SeeTo, Found] = {}
        self._silent: set[Place] = set()
        self._known: Found | None = None
        self.begin_anew()

    def begin_anew(self) -> None:
        """In a child after a fork: what is known stays, a look that another thread was making does not."""
        self._lock = Lock()
        self._greeting = Lock()
        self._looked_at = float("-inf")
        self._failed: tuple[float, str] | None = None

    def primary(self) -> Place:
        """Looks where the last look is older than VERIFY_SECONDS; raises NoPrimaryError."""
        known = self._known
        if known is not None and self.is_fresh:
            return known.place
        return self._look_once().place

    def is_primary(self, place: Place) -> bool:
        """Whether a connection to this place may be used: also where nobody who could know it can be asked."""
        try:
            return self.primary() == place
        except NoPrimaryError:
            return False

    def doubt(self) -> None:
        """Makes the next question a look: a connection was refused, or its server is a replica."""
        self._looked_at = float("-inf")

    def greet(self, place: Place, ask: Ask) -> None:
        """Once for each term of a primary: lets every `on_new_primary` see to the server, before it is used."""
        known = self._known
        if known is None or known.place != place:
            return
        with self._greeting:
            for see_to in [each for each in _SEE_TO if self._seen_to.get(each) != known]:
                try:
                    see_to(ask)
                    self._seen_to[see_to] = known
                except redis.ResponseError as error:  # its memory is full, say: it can be read from all the same
                    logger.warning("%s could not be seen to as the new primary: %s", place, error)

    @property
    def is_fresh(self) -> bool:
        """Whether a question needs no look."""
        return time.monotonic() - self._looked_at < VERIFY_SECONDS

    def _look_once(self) -> Found:
        with self._lock:
            if self._known is not None and self.is_fresh:
                return self._known
            self._refuse_at_once()
            begun = time.monotonic()
            try:
                self._known = self.look()
            except NoPrimaryError as error:
                self._failed = (time.monotonic(), str(error))
                raise
            self._looked_at, self._failed = begun, None
            return self._known

    def _refuse_at_once(self) -> None:
        if self._failed is not None and time.monotonic() - self._failed[0] < NEXT_LOOK_SECONDS:
            raise NoPrimaryError(self._failed[1])

    def look(self) -> Found:
        """Raises NoPrimaryError."""
        raise NotImplementedError

    def _patience_seconds(self, place: Place) -> float:
        is_backup = self._known is not None and self._known.place != place
        return LOOK_AGAIN_SECONDS if is_backup and place in self._silent else LOOK_SECONDS

    def _note(self, place: Place, *, answered: bool) -> None:
        (self._silent.discard if answered else self._silent.add)(place)


class RedisFailover(Failover):
    """Over a list: `primary_host` and `backup_hosts` are `host:port` or whole URLs."""

    def __init__(self, primary_host: str, backup_hosts: Sequence[str] = ()) -> None:
        super().__init__(parse_redis_url(";".join(_whole(host) for host in (primary_host, *backup_hosts))))

    def look(self) -> Found:
        answers = [self._ask(place) for place in self.url.places]
        found = chosen(answers)
        if found is None:
            raise NoPrimaryError(_why_none(answers))
        if self._known is not None and found.place != self._known.place and found.term < self._known.term:
            raise NoPrimaryError(
                f"{found.place} says that it is the primary, and {self._known.place} was promoted after it: "
                f"{'; '.join(map(str, answers))}. Start {self._known.place}, or promote another: "
                "scripts/manage.sh redis_failover --promote HOST:PORT"
            )
        return found

    def _ask(self, place: Place) -> Answer:
        try:
            with client_at(self.url.at(place), self._patience_seconds(place)) as client:
                role, stamp = client.pipeline(transaction=False).execute_command("ROLE").get(STAMP_KEY).execute()
        except (redis.RedisError, OSError) as error:
            self._note(place, answered=False)
            return Answer(place, None, error=str(error))
        self._note(place, answered=True)
        return Answer(place, role[0], Stamp.parse(stamp))


class SentinelFailover(Failover):
    """Over Sentinels: the one who knows the latest term (config-epoch) is right."""

    def look(self) -> Found:
        answers = [self._ask(place) for place in self.url.places]
        found = [answer for answer in answers if isinstance(answer, Found)]
        if found:
            return max(found, key=lambda each: each.term)
        if self._known is not None:  # nobody can have been promoted while no Sentinel runs
            return self._known
        raise NoPrimaryError(f"No Sentinel names the primary of {self.url.service!r}: {'; '.join(map(str, answers))}")

    def _ask(self, place: Place) -> "Found | str":
        try:
            with self.sentinel(place) as client:
                host, port = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.url.service) or ("", 0)
                term = self.state(client)["config-epoch"] if host else 0
        except (redis.RedisError, OSError) as error:
            self._note(place, answered=False)
            return f"{place}: {error}"
        self._note(place, answered=True)
        return Found(Place(host, int(port)), int(term)) if host else f"{place} does not know it"

    def sentinel(self, place: Place) -> redis.Redis:
        given = {"username": self.url.sentinel_username, "password": self.url.sentinel_password}
        scheme = self.url.base.partition("://")[0]
        url = f"{scheme}://{place}"
        return client_at(url, self._patience_seconds(place), **{k: v for k, v in given.items() if v})

    def state(self, client: redis.Redis) -> dict[str, str]:
        """What a Sentinel knows of the primary, by its own words for it."""
        return pairs(client.execute_command("SENTINEL", "MASTER", self.url.service))


def chosen(answers: Iterable[Answer]) -> Found | None:
    """The primary by what the servers of a list say, in the list's order; None where it cannot be known.

    Whom the latest stamp names, and the first of the list where there is none. Where that one says that it is a
    replica, somebody else has demoted it: then who is a master, if there is but one.
    """
    answers = list(answers)
    stamps = [answer.stamp for answer in answers if answer.stamp is not None]
    latest = max(stamps, key=lambda stamp: stamp.at_ms, default=None)
    term = latest.at_ms if latest else 0
    named = next((each for each in answers if latest and str(each.place) == latest.place), answers[0])
    masters = [answer for answer in answers if answer.role == "master"]
    if named in masters:
        return Found(named.place, term)
    return Found(masters[0].place, term) if named.role == "slave" and len(masters) == 1 else None


def _why_none(answers: Sequence[Answer]) -> str:
    said = "; ".join(map(str, answers))
    return f"No Redis can be taken for the primary: {said}. To make another one the primary: " + (
        "scripts/manage.sh redis_failover --promote HOST:PORT"
    )


def _whole(host: str) -> str:
    return host if "://" in host else f"redis://{parse_place(host)}/0"


def pairs(flat: Any) -> dict[str, str]:
    """A flat list of names and values, as RESP2 has it, or what the client made of it."""
    return dict(flat) if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))


_SEE_TO: list[SeeTo] = []


def on_new_primary(see_to: SeeTo) -> SeeTo:
    """Has a function called with each primary that a process finds, before anything else is sent to it."""
    _SEE_TO.append(see_to)
    return see_to


@lru_cache(maxsize=8)
def failover_of(url: str) -> Failover | None:
    """What this process knows of the servers of a REDIS_URL; None where it names one server, which needs none."""
    if ";" not in url and "+sentinel://" not in url:
        return None
    parsed = parse_redis_url(url)
    if parsed.service is not None:
        failover: Failover = SentinelFailover(parsed)
    elif parsed.can_fail_over:
        failover = RedisFailover(*_split_list(parsed))
    else:
        return None
    os.register_at_fork(after_in_child=failover.begin_anew)
    return failover


def primary_url(url: str) -> str:
    """The plain URL of the present primary, for who can take no other; raises NoPrimaryError."""
    failover = failover_of(url)
    return failover.url.at(failover.primary()) if failover else url


def _split_list(parsed: RedisUrl) -> tuple[str, list[str]]:
    first, *others = [parsed.at(place) for place in parsed.places]
    return first, others


def redis_hosts() -> list[Any]:
    """How replication does: see nautilus/replication.py, whose HostState it gives for each server of REDIS_URL."""
    from nautilus.replication import redis_hosts as hosts

    return hosts()
