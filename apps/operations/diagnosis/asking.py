"""Questions to PostgreSQL: rows by the names of their columns."""

from pathlib import Path
from typing import Any

from django.db import connection

SQL = Path(__file__).parent / "sql"


def rows(statement: str, parameters: Any = None) -> list[dict[str, Any]]:
    """`statement` is SQL, or the name of a file in sql/ as in `sessions.sql`."""
    text = (SQL / statement).read_text() if statement.endswith(".sql") else statement
    with connection.cursor() as cursor:
        cursor.execute(text, parameters)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def value(statement: str, parameters: Any = None) -> Any:
    """The first column of the first row; None where there is no row."""
    found = rows(statement, parameters)
    return next(iter(found[0].values())) if found else None


def megabytes(count_bytes: float) -> str:
    return f"{count_bytes / 2**20:,.1f} MB"


def shortened(text: str, most: int = 120) -> str:
    """One line of a statement or a message, cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
