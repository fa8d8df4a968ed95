"""POSTs to addresses that somebody else chose: https, to the public Internet, and nowhere else.

The address is checked when the connection is made, and the connection goes to the very address that was checked, so
that a name which resolves to something else a moment later gains nothing. Redirects are not followed. Proxies of the
environment are not used: behind one, nobody would know what the name resolved to. ALERT_OPEN_HOSTS are exempt.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from functools import cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from threading import Thread
from typing import Any

import httpcore
import httpx
from django.conf import settings
from httpcore import NetworkBackend, NetworkStream

from apps.risk.errors_alerts import NotDeliveredError, TargetError
from apps.risk.notifications.answers import Answer

MOST_OF_ANSWER_BYTES = 65_536  # Slack's answers are JSON to read whole; more than this is none of ours

_HTTPS_EXPECTED = "Expected https:// and a host in the public Internet."
_OPENED_BY = "An operator can open a host of your own with NAUTILUS_ALERT_OPEN_HOSTS."
_UNICAST_V6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


# --- Which addresses --------------------------------------------------------------------------------------
def check_url(url: str) -> None:
    """Raises TargetError for a URL that no message may go to, as things are now; connecting checks again."""
    parsed = _allowed(url)
    host, port = _host(parsed), _port(parsed)
    if _is_open(host, port):
        return
    try:
        _checked_addresses(host, port, settings.ALERT_TIMEOUT_SECONDS)
    except OSError as error:
        reason = str(error) or "no answer in time"
        raise TargetError(f"The host '{host}' cannot be found: {reason}.", _HTTPS_EXPECTED) from error


def is_open_url(url: str) -> bool:
    """Whether an operator has opened the URL's host; raises TargetError for what is no URL."""
    parsed = _parse(url)
    return _is_open(_host(parsed), _port(parsed))


def shown_url(url: str) -> str:
    """Its host alone: many services take whoever knows the rest for one who may post."""
    parsed = _parse(url)
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii')}/…"


def _allowed(url: str) -> httpx.URL:
    """The URL, once its form is right; raises TargetError."""
    parsed = _parse(url)
    if parsed.scheme not in ("http", "https") or not parsed.host or not 0 < _port(parsed) < 65_536:
        raise TargetError(f"'{url:.80}' is not the URL of a web server.", _HTTPS_EXPECTED)
    if parsed.userinfo:
        raise TargetError(f"The URL of '{parsed.host}' holds a user name or password.", "Leave them out.")
    if parsed.scheme != "https" and not _is_open(_host(parsed), _port(parsed)):
        raise TargetError(f"'{parsed.scheme}://{parsed.host}' is not https.", f"{_HTTPS_EXPECTED} {_OPENED_BY}")
    return parsed


def _parse(url: str) -> httpx.URL:
    try:
        return httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise TargetError(f"'{url:.80}' is not a URL: {error}.", _HTTPS_EXPECTED) from error


def _host(url: httpx.URL) -> str:
    return url.raw_host.decode("ascii")


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _is_open(host: str, port: int) -> bool:
    named = {host, f"{host}:{port}", f"[{host}]", f"[{host}]:{port}"}
    return not named.isdisjoint(entry.strip().lower() for entry in settings.ALERT_OPEN_HOSTS)


def _checked_addresses(host: str, port: int, timeout_seconds: float) -> list[str]:
    """All that the name resolves to, once none of it is inside; raises TargetError, OSError."""
    addresses = _resolve(host, port, timeout_seconds)
    inside = [address for address in addresses if not _is_public(ip_address(address))]
    if inside:
        raise TargetError(f"The host '{host}' is at {inside[0]}, not in the public Internet.", _OPENED_BY)
    return addresses


def _resolve(host: str, port: int, timeout_seconds: float) -> list[str]:
    """In a thread of its own: the resolver has no time limit that one could give it."""
    found: Future[list[Any]] = Future()
    Thread(target=_look_up, args=(found, host, port), daemon=True).start()
    return list(dict.fromkeys(str(info[4][0]) for info in found.result(timeout_seconds)))


def _look_up(found: Future[list[Any]], host: str, port: int) -> None:
    try:
        found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except OSError as error:
        found.set_exception(error)
    except (ValueError, OverflowError) as error:  # a label of more than 63 characters
        found.set_exception(OSError(str(error)))


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    embedded = _embedded_ipv4(address) if isinstance(address, IPv6Address) else None
    if embedded is not None:
        return _is_public(embedded)
    if isinstance(address, IPv6Address) and address not in _UNICAST_V6:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _embedded_ipv4(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that packets to this one end at: mapped, 6to4, NAT64."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour


# --- The connection ---------------------------------------------------------------------------------------
class _Deadline:
    """What is left of a request's time: of the whole of it, not of each read."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds; raises ReadTimeout when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("no whole answer in time")
        return left


class _TimedStream(NetworkStream):
    def __init__(self, stream: NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> NetworkStream:
        inner = self._stream.start_tls(ssl_context, server_hostname, self._deadline.left())
        return _TimedStream(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _GuardedBackend(NetworkBackend):
    """Connects to checked addresses only. TLS still asks for the host's name: httpcore keeps it apart."""

    def __init__(self, deadline: _Deadline) -> None:
        self._deadline = deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> NetworkStream:
        return _TimedStream(self._connect_to_any(self._addresses(host, port), port), self._deadline)

    def _addresses(self, host: str, port: int) -> list[str]:
        find = _resolve if _is_open(host, port) else _checked_addresses
        try:
            return find(host, port, self._deadline.left())
        except OSError as error:
            raise httpcore.ConnectError(f"the host cannot be found: {str(error) or 'no answer in time'}") from error

    def _connect_to_any(self, addresses: list[str], port: int) -> NetworkStream:
        failure: Exception = httpcore.ConnectError("the host has no address")
        for address in addresses:
            try:
                return self._sockets.connect_tcp(address, port, self._deadline.left(), socket_options=[])
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class _GuardedTransport(httpx.BaseTransport):
    def __init__(self, deadline: _Deadline) -> None:
        self._pool = httpcore.ConnectionPool(ssl_context=_tls(), network_backend=_GuardedBackend(deadline))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._pool.handle_request(
            httpcore.Request(
                request.method,
                httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.read(),
            )
        )
        return httpx.Response(answer.status, headers=answer.headers, content=_beginning(answer))

    def close(self) -> None:
        self._pool.close()


def _beginning(answer: httpcore.Response) -> bytes:
    content = b""
    for part in answer.iter_stream():
        content += part
        if len(content) >= MOST_OF_ANSWER_BYTES:
            break
    answer.close()
    return content[:MOST_OF_ANSWER_BYTES]


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()  # reads the certificates: some 20 ms


# --- The request ------------------------------------------------------------------------------------------
def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """The far side's answer, whatever its status. Raises TargetError, and NotDeliveredError where there was none."""
    parsed = _allowed(url)
    with httpx.Client(
        transport=_GuardedTransport(_Deadline(settings.ALERT_TIMEOUT_SECONDS)),
        trust_env=False,
        follow_redirects=False,
        # Not compressed: a small answer must not become a large one.
        headers={"User-Agent": "Nautilus", "Accept-Encoding": "identity"},
    ) as client:
        return _told(parsed.host, lambda: client.post(parsed, content=body, headers=headers))


def _told(host: str, ask: Callable[[], httpx.Response]) -> Answer:
    try:
        response = ask()
    except (httpx.HTTPError, httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
        raise NotDeliveredError(f"'{host}' gave no answer: {_said(error)}.") from error
    return Answer(response.status_code, response.headers, response.content.decode("utf-8", "replace"))


def _said(error: Exception) -> str:
    return str(error) or f"{type(error).__name__} within {settings.ALERT_TIMEOUT_SECONDS:g} s"
