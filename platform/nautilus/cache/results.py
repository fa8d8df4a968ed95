"""The decorator: looks, computes where nothing is kept, keeps, and says which of these it did."""

import functools
import inspect
import json
import random
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.conf import settings

from nautilus.cache import store
from nautilus.cache.background import in_background
from nautilus.cache.flights import Flight, Flights
from nautilus.cache.keys import PREFIXES, canonical, code_version, entry_key
from nautilus.cache.renewal import Renewals
from nautilus.cache.store import AwayError, Look

DEFAULT_TTL_SECONDS = 300
# An entry lives between 0.9 and 1.1 times its ttl, so that those made together do not expire together.
JITTER = 0.1
# A smaller text is not worth the time: 16 kB take 0.2 ms to press and 0.03 ms to read.
COMPRESS_ABOVE_BYTES = 16_384

_PLAIN, _PRESSED = b"j", b"z"

_flights = Flights()
_renewals = Renewals()


@dataclass(frozen=True, slots=True)
class Answer:
    """`status`: hit, stale or miss. `left_seconds`: for how long it is fresh; None where nothing says so."""

    value: Any
    status: str
    age_seconds: float
    left_seconds: float | None

    @property
    def headers(self) -> dict[str, str]:
        """How it came, for a response: X-Cache, Age, and Cache-Status (RFC 9211)."""
        return {"X-Cache": self.status, "Age": str(int(self.age_seconds)), "Cache-Status": self._cache_status()}

    def _cache_status(self) -> str:
        if self.status == "miss":
            return "Nautilus; fwd=miss"
        # By the standard a negative ttl says for how long the answer has been stale.
        ttl = "" if self.left_seconds is None else f"; ttl={int(self.left_seconds // 1)}"
        return f"Nautilus; hit{ttl}"


class _Landed(NamedTuple):
    """An answer as text, so that each caller gets a value of its own."""

    text: str
    status: str
    age_ms: int = 0
    left_ms: int | None = None
    is_current: bool = True  # False: cleared meanwhile, so good for who asked before that alone

    def answer(self) -> Answer:
        left = None if self.left_ms is None else self.left_ms / 1000
        return Answer(json.loads(self.text), self.status, self.age_ms / 1000, left)


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of the function: where its answer is kept, and how it is computed."""

    key: str
    name: str
    ttl_seconds: float
    compute: Callable[[], Any]

    def text(self) -> str:
        result = self.compute()
        try:
            return json.dumps(result, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise type(error)(f"The result of {self.name} cannot be kept, it is no JSON: {error}") from error

    def ttl_ms(self) -> int:
        return round(self.ttl_seconds * 1000 * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - no secret


class CachedFunction:
    """A function whose results are kept. Called it gives the value; `ask` says how that came; `compute` keeps nothing.

    Not to be called in an open transaction: it may wait for another's computation.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        ttl: float,
        prefix: str,
        version: Callable[..., str],
        key: Callable[..., Any] | None,
        name: str | None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.compute = function
        self.name = name or function.__name__
        self._ttl, self._prefix, self._version, self._key = ttl, prefix, version, key
        self._signature = inspect.signature(function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.ask(*args, **kwargs).value

    def ask(self, *args: Any, **kwargs: Any) -> Answer:
        call = _Call(self.key_of(*args, **kwargs), self.name, self._ttl, lambda: self.compute(*args, **kwargs))
        return _in_one_flight(call).answer()

    def key_of(self, *args: Any, **kwargs: Any) -> str:
        # The version is read before anything is computed: what comes in meanwhile can only make the answer newer.
        version = self._version(*args, **kwargs)
        arguments = self._key(*args, **kwargs) if self._key else self._arguments(args, kwargs)
        return entry_key(self._prefix, self.name, version, arguments)

    def _arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """By name and with defaults, so that it does not matter how they were given."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        canonical(bound.arguments)
        return dict(bound.arguments)


def cached_result(
    ttl: float = DEFAULT_TTL_SECONDS,
    *,
    prefix: str,
    version: Callable[..., str],
    key: Callable[..., Any] | None = None,
    name: str | None = None,
) -> Callable[[Callable[..., Any]], CachedFunction]:
    """Keeps a function's results, which must be JSON, for `ttl` seconds under `{prefix}:{name}:{version}:{hash}`.

    `version(*args)` names the state of all data that the result depends on: when it changes, no older answer is found.
    `key(*args)` gives what else it depends on, as JSON; without it all arguments, which then have to be JSON. `name` is
    the function's own, where it is left out. Whatever the caller may not see must be refused before: a kept answer
    knows no users. Of equal calls one computes, over all threads and processes. An error is not kept: it is raised to
    all that waited in the same process; of those in others one tries next.
    """
    code_version()  # of what is loaded now, once for all workers that are forked from here, and not of a later release
    if prefix not in PREFIXES:
        raise ValueError(f"prefix is {prefix!r}; expected one of {', '.join(PREFIXES)}, which operators clear by")
    return lambda function: CachedFunction(function, ttl, prefix, version, key, name)


def _in_one_flight(call: _Call) -> _Landed:
    while True:
        flight, leads = _flights.join(call.key)
        if leads:
            return _fly(call, flight)
        if flight.owner == threading.get_ident():  # a function that calls itself with its own arguments
            return _Landed(call.text(), "miss")
        landed: _Landed | None = flight.wait()
        if landed is not None and landed.is_current:
            return landed if landed.status != "miss" else landed._replace(status="hit")


def _fly(call: _Call, flight: Flight) -> _Landed:
    try:
        landed = _look_or_compute(call)
    except BaseException as error:
        followers = _flights.end(call.key, flight, error=error)
        _count(errors=followers + 1)
        raise
    followers = _flights.end(call.key, flight, landed)
    if followers and landed.is_current:
        _count(**_shares(landed.status, followers))
    return landed


def _shares(status: str, followers: int) -> dict[str, int]:
    special = {"miss": "waits", "stale": "stale"}.get(status)
    return {"hits": followers} | ({special: followers} if special else {})


def _count(**numbers: int) -> None:
    with suppress(AwayError):
        store.count(**numbers)


def _look_or_compute(call: _Call) -> _Landed:
    token = store.new_token()
    try:
        found = store.look(call.key, token)
        if found.state == "wait":
            found = _wait(call, token)
    except AwayError:
        store.away.uncounted += 1
        return _Landed(call.text(), "miss")
    return _follow(call, token, found)


def _wait(call: _Call, token: str) -> Look:
    """Until there is an answer, or nobody computes it any more: then it is the caller's turn."""
    with store.listening(call.key) as news:
        # Asked again before the first wait: the news may have come before there was anybody to hear it.
        found = store.look(call.key, token, waited=True)
        while found.state == "wait":
            news.wait(max(found.left_ms, 1) / 1000)
            found = store.look(call.key, token, waited=True)
        return found


def _follow(call: _Call, token: str, found: Look) -> _Landed:
    if found.state == "lead":
        return _lead(call, store.lock_of(call.key, token, found.generation))
    if found.state == "alone":  # not kept because it is too large, or the cache is full
        return _Landed(call.text(), "miss")
    if found.state == "revalidate":
        _renew_behind(call, store.lock_of(call.key, token, found.generation))
    status = "hit" if found.state == "hit" else "stale"
    return _Landed(_unpacked(found.body), status, found.age_ms, found.left_ms)


def _lead(call: _Call, lock: store.Lock) -> _Landed:
    try:
        with _renewals.hold(lock):
            text = call.text()
    except BaseException:
        with suppress(AwayError):
            store.release(lock)
        raise
    ttl_ms = call.ttl_ms()
    try:
        outcome = store.keep(lock, _packed(text), ttl_ms)
    except AwayError:
        outcome = "away"
    return _Landed(text, "miss", 0, ttl_ms if outcome == "kept" else None, outcome != "cleared")


def _renew_behind(call: _Call, lock: store.Lock) -> None:
    if not in_background(lambda: _lead(call, lock), call.name):
        with suppress(AwayError):
            store.release(lock)


def _packed(text: str) -> bytes:
    """The text with a mark in front; nothing where it is larger than is kept."""
    plain = text.encode()
    is_long = len(plain) > COMPRESS_ABOVE_BYTES
    body = _PRESSED + zlib.compress(plain, 1) if is_long else _PLAIN + plain
    return body if len(body) <= settings.CACHE_MAX_ENTRY_BYTES else b""


def _unpacked(body: bytes) -> str:
    content = zlib.decompress(body[1:]) if body[:1] == _PRESSED else body[1:]
    return content.decode()
