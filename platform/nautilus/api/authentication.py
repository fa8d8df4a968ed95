"""Credentials: a bearer token, the admin's session, or, under `make run` alone, being at the machine itself."""

from collections.abc import Mapping
from hmac import compare_digest
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.utils import timezone
from knox.auth import TokenAuthentication
from knox.crypto import hash_token
from knox.models import AuthToken
from knox.settings import CONSTANTS
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from nautilus.api.access import ADMIN, remember_roles
from nautilus.database import run_prepared

_TOKENS = (Path(__file__).parent / "sql" / "token.sql").read_text()

LOCAL_OPERATOR_NAME = "local-operator"
# A browser sends these; a page on another site must not act through one. A proxy adds the others, and hides who asks.
_NOT_A_LOCAL_SHELL = ("origin", "sec-fetch-", "forwarded", "x-forwarded-", "x-real-ip", "via")


class BearerAuthentication(TokenAuthentication):
    def authenticate(self, request: Request) -> Any:
        try:
            answer = super().authenticate(request)
        except UnicodeDecodeError as error:
            raise AuthenticationFailed("Invalid token.") from error
        if answer is None and request.headers.get("Authorization"):
            scheme = request.headers["Authorization"].split(" ")[0][:20]
            raise AuthenticationFailed(
                f"'{scheme}' credentials are not taken; expected 'Authorization: Bearer <token>'."
            )
        return answer

    def authenticate_credentials(self, token: bytes) -> Any:
        """Knox's rule in one statement for three; expired tokens are deleted hourly, not here, and are refused."""
        text = token.decode("utf-8")
        for row in run_prepared(_TOKENS, {"token_key": text[: CONSTANTS.TOKEN_KEY_LENGTH]}):
            expired = row["expiry"] is not None and row["expiry"] < timezone.now()
            if not expired and compare_digest(hash_token(text), row["digest"]):
                return self.validate_user(_auth_token(row))
        raise AuthenticationFailed("Invalid token.")


def _auth_token(row: dict[str, Any]) -> AuthToken:
    user = _of_columns(User, {**row, "id": row["user_id"]})
    remember_roles(user, row["groups"])
    token = _of_columns(AuthToken, row)
    token.user = user
    return token


def _of_columns(model: type[Model], row: Mapping[str, Any]) -> Any:
    """The object of a row that has some of its columns; the others are read when they are asked for."""
    names = [field.attname for field in model._meta.concrete_fields if field.attname in row]
    return model.from_db("default", names, [row[name] for name in names])


class AdminSessionAuthentication(SessionAuthentication):
    """The admin's cookie; a request that writes needs its CSRF token."""


class LocalOperatorAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> Any:
        if not is_local_operator(request.META.get("REMOTE_ADDR", ""), request.headers):
            return None
        return local_operator(), None


def is_local_operator(client_host: str, headers: Mapping[str, str]) -> bool:
    """Whether a request comes from a plain client on this machine, with `make run` having allowed that.

    `client_host` is the peer's address; `headers` has names in any case. Without the setting always false.
    """
    if not settings.LOCAL_OPERATOR or not _is_loopback(client_host):
        return False
    lowered = {name.lower(): value for name, value in headers.items()}
    if "authorization" in lowered or any(name.startswith(_NOT_A_LOCAL_SHELL) for name in lowered):
        return False
    host = urlsplit(f"//{lowered.get('host', '')}").hostname or ""
    return host == "localhost" or _is_loopback(host)


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def local_operator() -> Any:
    """The user that stands for whoever sits at the machine: may do everything, cannot sign in."""
    user, is_new = get_user_model().objects.get_or_create(username=LOCAL_OPERATOR_NAME)
    if is_new:
        user.set_unusable_password()
        user.save()
        user.groups.add(Group.objects.get(name=ADMIN))
    return user


def user_of_token(token: str) -> Any | None:
    """The active user a bearer token belongs to, or None where it is unknown, expired or revoked."""
    try:
        return BearerAuthentication().authenticate_credentials(token.encode())[0]
    except AuthenticationFailed:
        return None


def forget_expired_tokens() -> int:
    return AuthToken.objects.filter(expiry__lt=timezone.now()).delete()[0]
