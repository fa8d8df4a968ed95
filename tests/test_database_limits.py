"""What takes too long in PostgreSQL is ended, and said: real slow queries, held locks and idle transactions."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.conf import settings as project
from django.core.management import call_command
from django.db import DatabaseError, OperationalError, close_old_connections, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient

from apps.portfolios.copying import copy_query
from apps.portfolios.models import Reservation
from apps.portfolios.price_import import _IMPORT_LOCK
from apps.portfolios.tests.factories import client_of, make_portfolio, make_prices
from apps.risk.models import PreTradeDecision
from apps.tasks.dispatch import sweep
from apps.tasks.execution import Job, Outcome, execute, take
from apps.tasks.models import Task
from apps.tasks.tests.factories import make_task
from nautilus import urls
from nautilus.api.errors import LockTimeoutError, QueryTimeoutError, ended_by_limit
from nautilus.api.views import ApiView
from nautilus.postgresql.limits import allowed_seconds, without_limits
from nautilus.postgresql.sessions import session_options

pytestmark = pytest.mark.django_db(transaction=True)


def ask_database(sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


class SlowView(ApiView):
    roles: dict = {}

    def get(self, request: Request) -> Response:
        return Response(ask_database("SELECT pg_sleep(20)"))


def plain_slow(request: HttpRequest) -> HttpResponse:
    return HttpResponse(ask_database("SELECT pg_sleep(20)"))


urlpatterns = [*urls.urlpatterns, path("slow", SlowView.as_view()), path("plain-slow", plain_slow)]
handler500 = "nautilus.api.errors.server_error"


@pytest.fixture
def limits() -> Iterator[Any]:
    """Gives the test's own session other limits, in seconds."""

    def give(**seconds: float) -> None:
        with connection.cursor() as cursor:
            for name, value in seconds.items():
                cursor.execute("SELECT set_config(%s, %s, false)", [name, f"{round(value * 1000)}ms"])

    yield give
    connection.close()


@contextmanager
def another_session() -> Iterator[psycopg.Connection]:
    parameters = connection.get_connection_params()
    with psycopg.connect(
        **{name: parameters[name] for name in ("dbname", "user", "password", "host", "port") if parameters.get(name)}
    ) as other:
        yield other
        other.rollback()


def client_that_sees_errors(role: str = "trader") -> APIClient:
    client = client_of(role)
    client.raise_request_exception = False
    return client


def error_of(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 503, answer.content
    (error,) = answer.json()["errors"]
    return error


def run(function: Any) -> Task:
    task = make_task()
    execute(take(str(task.pk), "w1"), function)
    task.refresh_from_db()
    return task


# --- What every session begins with


def test_every_session_has_its_limits():
    connection.close()
    names = "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout"
    assert [ask_database(f"SHOW {name}") for name in names] == ["30s", "10s", "1min", "1h"]


def test_options_of_the_callers_url_come_after_ours_and_win():
    ours = session_options({"statement_timeout": 30.0, "lock_timeout": 0.5}, "-c statement_timeout=5s -c work_mem=8MB")
    assert ours == "-c statement_timeout=30000ms -c lock_timeout=500ms -c statement_timeout=5s -c work_mem=8MB"
    with psycopg.connect(project.DATABASE_URL, options=ours) as other:
        shown = [other.execute(f"SHOW {name}").fetchone()[0] for name in ("statement_timeout", "work_mem")]
    assert shown == ["5s", "8MB"]


def test_limit_of_zero_is_left_to_the_server():
    assert session_options({"statement_timeout": 0.0, "lock_timeout": 0.0}) == ""


# --- In a request


@pytest.mark.urls(__name__)
def test_request_whose_query_takes_too_long_is_told_so(limits, settings):
    settings.STATEMENT_TIMEOUT_SECONDS = 0.2
    client = client_that_sees_errors()
    limits(statement_timeout=0.2)
    error = error_of(client.get("/slow"))
    assert error["code"] == "query_timeout"
    assert error["detail"].startswith("A query took longer than 0.2 s and was ended. Ask for less at once")


@pytest.mark.urls(__name__)
def test_page_outside_of_the_api_is_told_so_in_the_same_words(limits):
    limits(statement_timeout=0.2)
    client = Client(raise_request_exception=False)
    assert error_of(client.get("/plain-slow"))["code"] == "query_timeout"


@pytest.mark.urls(__name__)
def test_query_that_somebody_cancels_is_not_said_to_have_taken_too_long():
    client = client_that_sees_errors()
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid
    with another_session() as other:

        def cancel_when_it_sleeps() -> None:
            sleeping = "FROM pg_stat_activity WHERE pid = %s AND query LIKE '%%pg_sleep(20)%%'"
            while not other.execute(f"SELECT pg_cancel_backend(pid) {sleeping}", [pid]).fetchone():
                time.sleep(0.05)
                other.rollback()

        thread = threading.Thread(target=cancel_when_it_sleeps)
        thread.start()
        error = error_of(client.get("/slow"))
        thread.join()
    assert error["code"] == "query_cancelled"


def test_copy_that_takes_too_long_is_told_so_too(limits):
    limits(statement_timeout=0.2)
    with pytest.raises(psycopg.errors.QueryCanceled) as raised:
        copy_query("SELECT pg_sleep(20)", {})
    assert isinstance(ended_by_limit(raised.value), QueryTimeoutError)


# --- In a task


def test_task_whose_query_takes_too_long_fails_and_says_so(limits):
    limits(statement_timeout=0.2)
    task = run(lambda job: Outcome({"slept": ask_database("SELECT pg_sleep(20)")}))
    assert (task.status, task.error["code"]) == ("failed", "query_timeout")
    assert task.error["detail"] == "A query took longer than 30 s and was ended."
    assert "Ask for less at once" in task.error["remedy"]


def test_task_that_waits_too_long_for_a_lock_fails_and_stores_nothing(limits):
    portfolio = make_portfolio("P1")

    def rename() -> None:
        type(portfolio).objects.filter(pk="P1").update(name="renamed")

    with another_session() as other:
        other.execute("SELECT FROM portfolios_portfolio WHERE id = 'P1' FOR UPDATE")
        limits(lock_timeout=0.2)
        task = run(lambda job: Outcome({"renamed": True}, rename))
    assert (task.status, task.error["code"], task.result) == ("failed", "lock_timeout", None)


def test_task_that_idles_in_a_transaction_fails_and_says_so(limits):
    def idle(job: Job) -> Outcome:
        with transaction.atomic():
            ask_database("SELECT 1")
            time.sleep(0.6)
            ask_database("SELECT 1")
        return Outcome({})

    limits(idle_in_transaction_session_timeout=0.2)
    task = run(idle)
    assert (task.status, task.error["code"]) == ("failed", "transaction_timeout")


def test_task_whose_session_was_ended_otherwise_is_left_to_the_sweep():
    def lose(job: Job) -> Outcome:
        pid = ask_database("SELECT pg_backend_pid()")
        with another_session() as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        return Outcome({"one": ask_database("SELECT 1")})

    task = make_task()
    execute(take(str(task.pk), "w1"), lose)
    connection.close()
    task.refresh_from_db()
    assert (task.status, task.error) == ("processing", None)


def test_session_that_was_idle_too_long_is_made_anew_for_the_next_request(limits):
    client = client_of("trader")
    limits(idle_session_timeout=0.2)
    time.sleep(0.6)
    close_old_connections()  # as Django does when a request begins, but for those of its test client
    assert client.get("/api/v1/auth/me").status_code == 200


# --- Locks that others hold


def test_pre_trade_check_that_cannot_have_the_books_row_approves_nothing(limits):
    make_prices()
    make_portfolio("P1", initial_cash=1_000_000)
    client = client_that_sees_errors()
    asked = {"portfolio_id": "P1", "trade": {"symbol": "AAA", "quantity": 1}, "reserve": True}
    with another_session() as other:
        other.execute("SELECT FROM portfolios_portfolio WHERE id = 'P1' FOR UPDATE")
        limits(lock_timeout=0.2)
        error = error_of(client.post("/api/v1/sprint3/risk/pre-trade-check", asked))
    assert error["code"] == "lock_timeout"
    assert "approved" not in error["detail"]
    assert not Reservation.objects.exists()
    assert not PreTradeDecision.objects.filter(approved=True).exists()


def test_cancel_of_a_task_that_is_being_stored_says_that_it_is_held(limits):
    task = make_task(created_by=None)
    client = client_that_sees_errors("admin")
    with another_session() as other:
        other.execute("SELECT FROM tasks_task WHERE id = %s FOR UPDATE", [task.pk])
        limits(lock_timeout=0.2)
        error = error_of(client.delete(f"/api/v1/tasks/{task.pk}"))
    assert error["code"] == "lock_timeout"
    assert client.delete(f"/api/v1/tasks/{task.pk}").status_code == 202


def test_sweep_leaves_a_row_that_somebody_holds_and_sees_to_the_others(settings):
    settings.TASK_RESEND_AFTER_SECONDS = 0
    held, free = make_task(dispatched_at=None), make_task(dispatched_at=None)
    worn = make_task(dispatched_at=None, attempts=settings.TASK_MAX_ATTEMPTS)
    with another_session() as other:
        other.execute("SELECT FROM tasks_task WHERE id = ANY(%s) FOR UPDATE", [[held.pk, worn.pk]])
        assert sweep() == {"sent": 1, "given_up": 0}
    for task in (held, free, worn):
        task.refresh_from_db()
    assert (held.dispatches, free.dispatches, worn.status) == (1, 2, "processing")
    assert sweep()["given_up"] == 1


# --- The few that may take longer


def test_statement_may_take_the_time_that_it_is_allowed(limits):
    limits(statement_timeout=0.1)
    with allowed_seconds(20):
        ask_database("SELECT pg_sleep(0.3)")
    with pytest.raises(OperationalError, match="statement timeout"):
        ask_database("SELECT pg_sleep(20)")


@pytest.mark.parametrize("is_in_transaction", [False, True])
def test_limits_are_afterwards_what_they_were(is_in_transaction, limits):
    limits(statement_timeout=7, lock_timeout=3)

    def measure() -> None:
        with allowed_seconds(20):
            assert (ask_database("SHOW statement_timeout"), ask_database("SHOW lock_timeout")) == ("20s", "18s")
        assert (ask_database("SHOW statement_timeout"), ask_database("SHOW lock_timeout")) == ("7s", "3s")

    if is_in_transaction:
        with transaction.atomic():
            measure()
    else:
        measure()


def test_allowed_time_is_named_where_it_was_not_enough():
    with pytest.raises(QueryTimeoutError, match=r"longer than 0.2 s"), transaction.atomic(), allowed_seconds(0.2):
        ask_database("SELECT pg_sleep(20)")
    with pytest.raises(QueryTimeoutError, match=r"longer than 0.2 s"), allowed_seconds(0.2):
        ask_database("SELECT pg_sleep(20)")
    assert ask_database("SHOW statement_timeout") == "30s"


def test_allowed_time_is_that_of_a_wait_for_a_lock_too():
    with another_session() as other:
        other.execute("SELECT pg_advisory_xact_lock(5)")
        with pytest.raises(LockTimeoutError, match=r"longer than 0.18 s"), transaction.atomic(), allowed_seconds(0.2):
            ask_database("SELECT pg_advisory_xact_lock(5)")


@pytest.mark.parametrize("seconds", [0, -1, 1e6])
def test_time_without_end_is_not_allowed(seconds):
    with pytest.raises(ValueError, match="expected more than 0"), allowed_seconds(seconds):
        pass


def test_other_errors_pass_through_as_they_are():
    with pytest.raises(DatabaseError, match="does not exist"), transaction.atomic(), allowed_seconds(5):
        ask_database("SELECT FROM no_such_table")
    assert ask_database("SHOW statement_timeout") == "30s"


def test_changes_of_the_schema_have_no_limit_but_that_of_locks():
    with without_limits():
        names = "statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout"
        assert [ask_database(f"SHOW {name}") for name in names] == ["0", "0", "10s"]
    assert ask_database("SHOW statement_timeout") == "30s"


def test_import_of_prices_waits_longer_for_another_than_a_request_would(limits):
    with another_session() as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [_IMPORT_LOCK])
        limits(lock_timeout=0.1)
        threading.Timer(0.6, other.rollback).start()
        assert make_prices().inserted == 10


def test_migrate_runs_without_limits(limits):
    limits(statement_timeout=0.001)
    call_command("migrate", verbosity=0)
    assert ask_database("SHOW statement_timeout") == "30s"  # what the session began with
