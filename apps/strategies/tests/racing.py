"""Calls that are made at the same moment, each in a thread with a connection of its own."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection

Call = Callable[[], Any]

WAIT_SECONDS = 9.0  # less than a lock is waited for


def at_once(calls: Sequence[Call]) -> list[Any]:
    """The answers, in the order of the calls; all of them begin together."""
    together = Barrier(len(calls))

    def begin_together(call: Call) -> Any:
        together.wait()
        return closing(call)

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(begin_together, calls))


def closing(call: Call) -> Any:
    try:
        return call()
    finally:
        connection.close()


def queued(calls: Sequence[Call], hold: str, *values: Any, backwards: bool = False) -> list[Any]:
    """The answers, in the order of the calls, which stand in line behind a transaction that `hold` keeps what it locks.

    With `backwards` the last call stands in front.
    """
    places = range(len(calls) - 1, -1, -1) if backwards else range(len(calls))
    with ThreadPoolExecutor(len(calls)) as pool:
        with psycopg.connect(address_of_the_tests()) as holder:
            holder.execute(hold, values)
            asked = {place: started(pool, calls[place], number + 1) for number, place in enumerate(places)}
        return [asked[place].result() for place in range(len(calls))]


def started(pool: ThreadPoolExecutor, call: Call, waiting: int) -> "Future[Any]":
    """The call on its way, seen to wait in line as the `waiting`th."""
    future = pool.submit(closing, call)
    deadline = time.monotonic() + WAIT_SECONDS
    while waiters() < waiting:
        assert time.monotonic() < deadline, f"{waiters()} of {waiting} callers wait for a lock"
        time.sleep(0.01)
    return future


def waiters() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return int(cursor.fetchone()[0])


def address_of_the_tests() -> str:
    """The tests' own database on the server of DATABASE_URL."""
    return f"{settings.DATABASE_URL.rpartition('/')[0]}/{connection.settings_dict['NAME']}"
