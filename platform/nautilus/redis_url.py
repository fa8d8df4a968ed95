"""REDIS_URL, in its three notations: one server, a list of servers, or Sentinels that know the servers.

    redis://:password@host:6379/0
    redis://:password@first:6379/0;redis://:password@second:6379/0
    redis+sentinel://:password@sentinel1:26379,sentinel2:26379/service/0?sentinel_password=secret

`rediss` for TLS, in each of them. Docs: docs/redis.md.
"""

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

DEFAULT_PORT, DEFAULT_SENTINEL_PORT = 6379, 26_379

ONE = "redis://:password@host:6379/0"
LIST = "redis://:password@first:6379/0;redis://:password@second:6379/0"
SENTINEL = "redis+sentinel://:password@host1:26379,host2:26379/service/0"
_SENTINEL_SCHEMES = {"redis+sentinel": "redis", "rediss+sentinel": "rediss"}
_SENTINEL_OPTIONS = ("sentinel_username", "sentinel_password")


class BadRedisUrlError(ValueError):
    """REDIS_URL is none of the three notations; the message says which part of it, and shows no password."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """`base` is one plain URL, whose user, password, number and options hold for every server.

    `places`: the servers in their order, or the Sentinels where there is a `service`.
    """

    base: str
    places: tuple[Place, ...]
    service: str | None = None
    sentinel_username: str | None = None
    sentinel_password: str | None = None

    @property
    def can_fail_over(self) -> bool:
        return self.service is not None or len(self.places) > 1

    def at(self, place: Place) -> str:
        """The plain URL of the server at a place."""
        return _with_place(urlsplit(self.base), place)


def parse_redis_url(value: str) -> RedisUrl:
    """Raises BadRedisUrlError."""
    if value.partition("://")[0] in _SENTINEL_SCHEMES:
        return _parse_sentinel(value)
    servers = re.split(r";(?=rediss?://)", value)
    urls = [_split(server) for server in servers]
    places = tuple(_place(url.netloc.rpartition("@")[2], DEFAULT_PORT) for url in urls)
    if len(set(places)) < len(places):
        raise BadRedisUrlError(f"names a host twice: {', '.join(map(str, places))}; expected each once")
    for place, url in zip(places, urls, strict=True):
        if _shared(url) != _shared(urls[0]):
            raise BadRedisUrlError(
                f"gives {place} another scheme, user, password, number or option than {places[0]}; expected the same "
                "for all, because a replica takes the place of its primary"
            )
    return RedisUrl(servers[0], places)


def parse_place(text: str) -> Place:
    """`host:port`; raises BadRedisUrlError."""
    return _place(text, DEFAULT_PORT)


def _split(value: str) -> SplitResult:
    scheme, mark, _ = value.partition("://")
    if not mark or scheme not in ("redis", "rediss"):
        raise BadRedisUrlError(f"begins with {_shown(scheme)!r}; expected {ONE}, {LIST} or {SENTINEL}")
    url = urlsplit(value)
    if url.path.strip("/") and not url.path.strip("/").isdigit():
        raise BadRedisUrlError(f"has the database {url.path.strip('/')[:40]!r}; expected its number, as in {ONE}")
    return url


def _parse_sentinel(value: str) -> RedisUrl:
    url = urlsplit(value)
    user, at, hosts = url.netloc.rpartition("@")
    service, _, number = url.path.strip("/").partition("/")
    if not service or (number and not number.isdigit()):
        raise BadRedisUrlError(f"has the path {url.path!r}; expected /service/number, as in {SENTINEL}")
    options = dict(parse_qsl(url.query))
    own = {name: options.pop(name, None) for name in _SENTINEL_OPTIONS}
    places = tuple(_place(host, DEFAULT_SENTINEL_PORT) for host in hosts.split(","))
    base = SplitResult(_SENTINEL_SCHEMES[url.scheme], f"{user}{at}{service}", f"/{number or 0}", urlencode(options), "")
    return RedisUrl(base.geturl(), places, unquote(service), **own)


def _place(text: str, default_port: int) -> Place:
    if any(mark in text for mark in ",; "):
        raise BadRedisUrlError(f"has the host {_shown(text)!r}; expected one host, or a list as in {LIST}")
    try:
        parts = urlsplit(f"//{text}")
        return Place(unquote(parts.hostname or "localhost"), parts.port or default_port)
    except ValueError as error:
        raise BadRedisUrlError(f"has the host {_shown(text)!r}: {error}; expected host:port") from error


def _shown(text: str) -> str:
    """Without what may be a password."""
    return text.rpartition("@")[2][:60]


def _shared(url: SplitResult) -> tuple[str, str, str, str]:
    return url.scheme, url.netloc.rpartition("@")[0], url.path.strip("/") or "0", url.query


def _with_place(url: SplitResult, place: Place) -> str:
    user, at, _ = url.netloc.rpartition("@")
    return url._replace(netloc=f"{user}{at}{place}").geturl()
