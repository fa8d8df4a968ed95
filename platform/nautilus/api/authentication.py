"""Credentials: a bearer token, the admin's session, or, under `make run` alone, being at the machine itself."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.utils import timezone
from knox.auth import TokenAuthentication
from knox.models import AuthToken
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from nautilus.api.access import ADMIN

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

    def _cleanup_token(self, auth_token: Any) -> bool:
        # Knox looks through all of the user's tokens here, on every request; forget_expired_tokens does it hourly.
        return auth_token.expiry is not None and auth_token.expiry < timezone.now()


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
