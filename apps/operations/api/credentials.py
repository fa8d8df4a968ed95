"""Who asks how the platform does, also while the database that knows it hangs or refuses.

Whoever was let in with a credential by this process is let in with the same one for REMEMBERED_SECONDS more, where the
database does not answer: to the health views alone. The credential is kept as a hash.
"""

import hashlib
import threading
import time
from collections import OrderedDict
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db.utils import Error as DatabaseError
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed
from rest_framework.request import Request

from apps.operations.running import CHECK_SECONDS, Run, is_hanging
from nautilus.api.access import ADMIN, remember_roles, roles_of
from nautilus.api.authentication import (
    LOCAL_OPERATOR_NAME,
    AdminSessionAuthentication,
    BearerAuthentication,
    is_local_operator,
)

AUTHENTICATION_SECONDS = 0.6
REMEMBERED_SECONDS = 600.0
MOST_REMEMBERED = 1_000


class CannotTellError(APIException):
    """The database does not answer, and this credential is none that was good a short while ago."""

    status_code = 503
    default_code = "service_unavailable"
    default_detail = "Credentials cannot be checked: the database does not answer."


class Remembered:
    """Users by the hash of what they came with, each until REMEMBERED_SECONDS after it was last found to be good."""

    def __init__(self) -> None:
        self._users: OrderedDict[str, tuple[float, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, credential: str, user: Any) -> None:
        with self._lock:
            self._users[_hash(credential)] = (time.monotonic() + REMEMBERED_SECONDS, user)
            self._users.move_to_end(_hash(credential))
            while len(self._users) > MOST_REMEMBERED:
                self._users.popitem(last=False)

    def forget(self, credential: str) -> None:
        with self._lock:
            self._users.pop(_hash(credential), None)

    def user(self, credential: str) -> Any | None:
        until, user = self._users.get(_hash(credential), (0.0, None))
        return user if time.monotonic() < until else None


REMEMBERED = Remembered()


class HealthAuthentication(BaseAuthentication):
    """Bearer token, session or local operator, as everywhere else, within AUTHENTICATION_SECONDS."""

    def authenticate(self, request: Request) -> Any:
        if is_local_operator(request.META.get("REMOTE_ADDR", ""), request.headers):
            return local_operator_without_database(), None
        credential = credential_of(request)
        if not credential:
            return None
        try:
            user = _user_within_time(request)
        except AuthenticationFailed:
            REMEMBERED.forget(credential)
            raise
        except (DatabaseError, TimeoutError) as error:
            return _remembered(credential, error), None
        if user is None:
            REMEMBERED.forget(credential)
            return None
        REMEMBERED.keep(credential, user)
        return user, None

    def authenticate_header(self, request: Request) -> str:
        return BearerAuthentication().authenticate_header(request)


def local_operator_without_database() -> User:
    """Stands for whoever sits at the machine, as nautilus.api.authentication.local_operator does, without a row."""
    user = User(username=LOCAL_OPERATOR_NAME)
    remember_roles(user, [ADMIN])
    return user


def credential_of(request: Request) -> str:
    """What the request came with: the first of what a request is judged by; empty where it came with nothing."""
    if authorization := request.headers.get("Authorization", ""):
        return f"authorization {authorization}"
    session = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
    return f"session {session}" if session else ""


def _user_within_time(request: Request) -> Any | None:
    """Raises AuthenticationFailed, the database's errors, TimeoutError."""
    if is_hanging("database", CHECK_SECONDS):
        raise TimeoutError("the database hangs")
    run = Run("authentication", lambda: _user(request))
    run.start()
    if not run.has_ended(AUTHENTICATION_SECONDS):
        raise TimeoutError("the database did not answer in time")
    if run.error is not None:
        raise run.error
    return run.answer


def _user(request: Request) -> Any | None:
    """With all that is asked of it later, so that no other thread has to wait for the database."""
    answer = BearerAuthentication().authenticate(request) or AdminSessionAuthentication().authenticate(request)
    if answer is None:
        return None
    roles_of(answer[0])
    return answer[0]


def _remembered(credential: str, error: Exception) -> Any:
    user = REMEMBERED.user(credential)
    if user is None:
        raise CannotTellError from error
    return user


def _hash(credential: str) -> str:
    return hashlib.sha256(credential.encode("utf-8", "surrogateescape")).hexdigest()
