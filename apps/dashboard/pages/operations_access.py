"""Who opens the operations page: also while the database, which knows it, is away."""

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.models import AnonymousUser
from django.db.utils import Error as DatabaseError
from django.db.utils import OperationalError
from django.http import HttpRequest

from apps.operations.api.credentials import REMEMBERED, credential_of
from apps.operations.running import CHECK_SECONDS, Run, is_hanging
from nautilus.api.access import roles_of


def user_of(request: HttpRequest, within_seconds: float | None = None) -> Any:
    """The session's user; without the database, whoever came with this cookie to this process a short while ago.

    As the health views of the API do it, which share what is remembered. Left out, `within_seconds` is as long as the
    database takes. Raises DatabaseError where nobody is remembered.
    """
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return AnonymousUser()
    # A token beside the cookie is no credential here, and nobody is remembered by it.
    credential = "" if "Authorization" in request.headers else credential_of(request)  # type: ignore[arg-type]
    try:
        user = _read(request) if within_seconds is None else _read_within(request, within_seconds)
    except DatabaseError:
        if (remembered := REMEMBERED.user(credential)) is None:
            raise
        return remembered
    if user.is_authenticated and credential:
        REMEMBERED.keep(credential, user)
    else:
        REMEMBERED.forget(credential)
    return user


def check_database_answers() -> None:
    """Raises OperationalError where it is known to hang: a thread that asks it all the same hangs with it."""
    if is_hanging("database", CHECK_SECONDS):
        raise OperationalError("the database hangs: timeout expired")


def _read_within(request: HttpRequest, seconds: float) -> Any:
    """In a thread of its own, which may hang there."""
    check_database_answers()
    run = Run("authentication of a page", lambda: _read(request))
    run.start()
    if not run.has_ended(seconds):
        raise OperationalError("the database did not answer in time: timeout expired")
    if run.error is not None:
        raise run.error
    return run.answer


def _read(request: HttpRequest) -> Any:
    """With the roles, so that nothing is left to ask."""
    check_database_answers()
    user = get_user(request)
    roles_of(user)
    return user
