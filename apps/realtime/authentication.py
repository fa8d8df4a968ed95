"""Who is at the other end of a socket: contract section 2.

In this order, and the first one that is there decides: a bearer token, a ticket, the session cookie, the local
operator. A browser sends its cookie from any page, so an `Origin` must be ours for a cookie or the local operator
(4403 otherwise); a token or a ticket no foreign page can have, so there the Origin says nothing. A client that is
no browser sends no Origin, and its cookie is good without.
"""

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.backends.db import SessionStore
from django.db import DatabaseError
from django.http import HttpRequest, parse_cookie
from django.http.request import validate_host
from knox.crypto import hash_token
from redis.exceptions import RedisError

from apps.realtime.connections import FORBIDDEN, TRY_AGAIN_LATER, UNAUTHENTICATED
from apps.realtime.consumers import close_with
from apps.realtime.hub import hub_of_this_process
from apps.realtime.standing import Proof
from nautilus.api.authentication import is_local_operator, local_operator, user_of_token
from nautilus.api.tickets import redeem_ticket

logger = logging.getLogger(__name__)


class Refusal(Exception):
    """`origin` is given where it is what was refused."""

    def __init__(self, code: int, reason: str, origin: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.origin = origin


class SocketAuthentication:
    """ASGI middleware: puts the user into the scope, or accepts the socket and closes it with a code that says why."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        try:
            user = await database_sync_to_async(user_of_scope)(scope)
        except Refusal as refusal:
            _count(refusal)
            await close_with(refusal.code, refusal.reason, receive, send)
        except (DatabaseError, RedisError, OSError) as error:
            logger.warning("A socket could not be authenticated: %s", error)
            await close_with(TRY_AGAIN_LATER, "credentials cannot be checked now; try again", receive, send)
        else:
            await self.inner({**scope, "user": user, "proof": proof_of_scope(scope, user)}, receive, send)


def _count(refusal: Refusal) -> None:
    connections = hub_of_this_process().connections
    connections.refuse_origin(refusal.origin) if refusal.origin else connections.refuse()


def user_of_scope(scope: Mapping[str, Any]) -> Any:
    """The active user whom the handshake names; raises Refusal."""
    headers = _headers(scope)
    if "authorization" in headers:
        return _by_token(headers["authorization"])
    if ticket := _ticket(scope):
        return _known(redeem_ticket(ticket), "the ticket was used, has expired (30 s) or never was")
    return _by_browser_or_machine(scope, headers)


def proof_of_scope(scope: Mapping[str, Any], user: Any) -> Proof:
    """What stands behind `user_of_scope`'s answer, for looking at it again later."""
    headers = _headers(scope)
    if "authorization" in headers:
        return Proof(user.pk, token_digest=hash_token(headers["authorization"].partition(" ")[2].strip()))
    session_key = "" if _ticket(scope) else _session_key(headers)
    return Proof(user.pk, session_key=session_key, session_hash=user.get_session_auth_hash() if session_key else "")


def _ticket(scope: Mapping[str, Any]) -> str:
    return parse_qs(scope.get("query_string", b"").decode("latin-1")).get("ticket", [""])[0]


def _headers(scope: Mapping[str, Any]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _by_token(authorization: str) -> Any:
    scheme, _, token = authorization.partition(" ")
    user = user_of_token(token.strip()) if scheme.lower() == "bearer" else None
    return _known(user, "the token is unknown, expired or revoked; expected 'Authorization: Bearer <token>'")


def _by_browser_or_machine(scope: Mapping[str, Any], headers: Mapping[str, str]) -> Any:
    if "origin" in headers and not is_our_origin(headers["origin"], headers.get("host", "")):
        reason = "this Origin is not ours; set NAUTILUS_TRUSTED_ORIGINS, or come with a ticket"
        raise Refusal(FORBIDDEN, reason, headers["origin"] or "(empty)")
    session_key = _session_key(headers)
    if session_key:
        return _known(_user_of_session(session_key), "the session has ended; sign in again")
    client_host = (scope.get("client") or ("",))[0]
    user = local_operator() if is_local_operator(client_host, headers) else None
    return _known(user, "credentials are missing: a bearer token, a session or ?ticket= from /api/v1/auth/ws-ticket")


def _session_key(headers: Mapping[str, str]) -> str:
    return parse_cookie(headers.get("cookie", "")).get(settings.SESSION_COOKIE_NAME, "")


def _known(user: Any | None, reason: str) -> Any:
    if user is None or not user.is_active:
        raise Refusal(UNAUTHENTICATED, reason)
    return user


def _user_of_session(session_key: str) -> Any | None:
    request = HttpRequest()
    request.session = SessionStore(session_key)
    user = get_user(request)
    return user if user.is_authenticated else None


def is_our_origin(origin: str, host: str) -> bool:
    """Whether a page of this origin is served by us: at the very host that was asked, or at a trusted one."""
    try:
        page = urlsplit(origin)
    except ValueError:  # as of "http://[x"
        return False
    if origin in settings.CSRF_TRUSTED_ORIGINS or _is_trusted_subdomain(page.scheme, page.netloc):
        return True
    # The Host is checked too: a foreign name that was made to point at us (DNS rebinding) has an equal Origin.
    return bool(page.netloc) and page.netloc.lower() == host.lower() and _is_allowed_host(host)


def _is_trusted_subdomain(scheme: str, netloc: str) -> bool:
    wildcards = [urlsplit(trusted) for trusted in settings.CSRF_TRUSTED_ORIGINS if "*" in trusted]
    return any(trusted.scheme == scheme and netloc.endswith(trusted.netloc.lstrip("*")) for trusted in wildcards)


def _is_allowed_host(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    in_development = [".localhost", "127.0.0.1", "[::1]"] if settings.DEBUG else []
    return validate_host(f"[{name}]" if ":" in name else name, settings.ALLOWED_HOSTS or in_development)
