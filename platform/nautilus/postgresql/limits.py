"""The few statements that may take longer than their session allows (docs/database.md lists them)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg
from django.conf import settings
from django.db import DatabaseError, connection
from psycopg.pq import TransactionStatus

from nautilus.api.errors import LockTimeoutError, QueryTimeoutError, ended_by_limit

# A wait for a lock ends first, so that it is said to have been one.
_LOCK_SHARE = 0.9
_READ_LIMITS = "SELECT name, setting::int FROM pg_settings WHERE name = ANY(%s)"  # in ms, both


@contextmanager
def allowed_seconds(seconds: float) -> Iterator[None]:
    """Statements inside may take that long, and wait that long for a lock, instead of the session's own limits.

    For the few that are long by right (docs/database.md lists them), and for no longer than a task may take: 0, which
    is no limit at all, is refused. In a transaction it ends with it at the latest. Raises QueryTimeoutError and
    LockTimeoutError with these seconds.
    """
    if not 0 < seconds <= settings.CELERY_TASK_TIME_LIMIT:
        raise ValueError(f"seconds is {seconds!r}; expected more than 0, {settings.CELERY_TASK_TIME_LIMIT} at most")
    lock_seconds = seconds * _LOCK_SHARE
    before = _set_limits({"statement_timeout": seconds, "lock_timeout": lock_seconds})
    try:
        yield
    except (DatabaseError, psycopg.Error) as error:
        told = ended_by_limit(error)
        if isinstance(told, QueryTimeoutError):
            raise QueryTimeoutError(seconds) from error
        if isinstance(told, LockTimeoutError):
            raise LockTimeoutError(lock_seconds) from error
        raise
    finally:
        if _takes_statements():
            _set_limits(before)


def _set_limits(limits: Mapping[str, float]) -> dict[str, float]:
    """Sets them, in seconds, for the transaction where there is one; returns what they were."""
    is_local = connection.in_atomic_block
    with connection.cursor() as cursor:
        cursor.execute(_READ_LIMITS, [list(limits)])
        before = {name: milliseconds / 1000 for name, milliseconds in cursor.fetchall()}
        for name, seconds in limits.items():
            cursor.execute("SELECT set_config(%s, %s, %s)", [name, f"{round(seconds * 1000)}ms", is_local])
    return before


def _takes_statements() -> bool:
    """Not so after an error in a transaction, whose end takes the limits back, nor where the connection is gone."""
    raw = connection.connection
    healthy = (TransactionStatus.IDLE, TransactionStatus.INTRANS)
    return raw is not None and not raw.closed and raw.info.transaction_status in healthy


@contextmanager
def without_limits() -> Iterator[None]:
    """For changes of the schema, which take what they take; a wait for a lock keeps its limit.

    Whoever waits for a whole table's lock holds up everybody that comes after.
    """
    names = ("statement_timeout", "idle_in_transaction_session_timeout")
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"SET {name} = 0")
    try:
        yield
    finally:
        if _takes_statements():
            with connection.cursor() as cursor:
                for name in names:
                    cursor.execute(f"RESET {name}")
