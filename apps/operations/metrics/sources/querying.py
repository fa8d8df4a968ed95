"""Statements of a scrape: read only, and ended by PostgreSQL before the scrape gives up waiting."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

STATEMENT_MS = 1_500

_SQL = Path(__file__).parent / "sql"


@contextmanager
def reading() -> Iterator[CursorWrapper]:
    """A cursor in a transaction of its own; raises Django's database errors."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = {STATEMENT_MS}")
        yield cursor


def statement(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text()


def rows_of(cursor: CursorWrapper, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
    cursor.execute(sql, parameters)
    return cursor.fetchall()


def row_of(cursor: CursorWrapper, sql: str, parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The one row of a statement, by the names of its columns."""
    (row,) = rows_of(cursor, sql, parameters)
    return dict(zip([column[0] for column in cursor.description], row, strict=True))
