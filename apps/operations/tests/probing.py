"""What the tests of the doctor's probes share: sessions of others, statements, waiting for statistics."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection

from apps.operations.diagnosis.registry import Diagnosis
from apps.operations.findings import Finding
from nautilus.connections import redis_client


@pytest.fixture
def clean_redis() -> Iterator[Any]:
    client = redis_client()
    client.flushdb()
    yield client
    client.flushdb()


def only(diagnosis: Diagnosis) -> Finding:
    assert len(diagnosis.findings) == 1, diagnosis
    return diagnosis.findings[0]


@contextmanager
def session(name: str = "", **options: Any) -> Iterator[psycopg.Connection[Any]]:
    """Another session of the tests' database, as a person or another process has it."""
    parameters = connection.get_connection_params() | {"application_name": name} | options
    for ours in ("cursor_factory", "context"):
        parameters.pop(ours, None)
    with psycopg.connect(**parameters) as other:
        yield other


def cancelled(other: psycopg.Connection[Any], statement: str) -> None:
    with pytest.raises(psycopg.errors.QueryCanceled):
        other.execute(statement)


def wait_for(other: psycopg.Connection[Any], statement: str, *parameters: Any) -> None:
    deadline = time.monotonic() + 30
    while not (row := other.execute(statement, parameters).fetchone()) or not row[0]:
        assert time.monotonic() < deadline, statement
        other.rollback()
        time.sleep(0.05)
    other.rollback()


def wait_for_finding(look: Callable[[], Diagnosis], words: str) -> Finding:
    """Statistics of PostgreSQL come when a session is idle, not at once."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for finding in look().findings:
            if words in finding.symptom:
                return finding
        time.sleep(0.2)
    raise AssertionError(f"nothing said {words!r}")


def run(statement: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)


def value_of(statement: str, *parameters: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        return cursor.fetchone()[0]


def definition_of(index: str) -> Any:
    return value_of("SELECT pg_get_indexdef(%s::regclass)", index)
