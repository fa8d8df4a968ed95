"""A kept connection to PostgreSQL: found to be gone without a question, and made anew before the first statement."""

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from nautilus.database import run_prepared

pytestmark = pytest.mark.django_db(transaction=True)


def end_our_connection() -> None:
    with psycopg.connect(settings.DATABASE_URL, autocommit=True) as other:
        connection.ensure_connection()
        pid = connection.connection.info.backend_pid
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def test_connection_that_is_there_is_usable():
    connection.ensure_connection()
    assert connection.is_usable()


def test_connection_that_the_server_has_ended_is_not():
    end_our_connection()
    assert not connection.is_usable()
    connection.close()


def test_first_statement_of_a_request_finds_a_new_connection():
    end_our_connection()
    connection.close_if_unusable_or_obsolete()  # as Django does when a request begins
    connection.health_check_enabled = True
    connection.health_check_done = False
    assert run_prepared("SELECT %(n)s::int AS n", {"n": 3}) == [{"n": 3}]


def test_prepared_statement_gives_rows_and_takes_statements_that_have_none():
    assert run_prepared("SELECT %(n)s::int AS n", {"n": 3}) == [{"n": 3}]
    assert run_prepared("SET LOCAL lock_timeout = 0", {}) == []
