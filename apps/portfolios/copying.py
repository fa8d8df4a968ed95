"""PostgreSQL's COPY, both ways, inside Django's transaction."""

import io
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
from django.db import connection
from psycopg import sql
from pyarrow import csv as arrow_csv


def copy_rows(table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Appends rows of Python values."""
    with connection.cursor() as cursor, cursor.copy(_copy_in(table, columns, "")) as copy:
        for row in rows:
            copy.write_row(row)


def copy_new_rows(table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Appends the rows that the table does not have yet; one that stands in the way of another stays as it is."""
    staging, names = sql.Identifier(f"new_{table}"), sql.SQL(", ").join(map(sql.Identifier, columns))
    with connection.cursor() as cursor:
        create = sql.SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA")
        cursor.execute(create.format(staging, names, sql.Identifier(table)))
        copy_rows(f"new_{table}", columns, rows)
        insert = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} ON CONFLICT DO NOTHING")
        cursor.execute(insert.format(sql.Identifier(table), names, names, staging))
        cursor.execute(sql.SQL("DROP TABLE {}").format(staging))


def copy_table(table: str, data: pa.Table) -> None:
    """Appends an arrow table whose columns are named as the database's; floats arrive to the bit."""
    text = io.BytesIO()
    arrow_csv.write_csv(data, text, arrow_csv.WriteOptions(include_header=False))
    with connection.cursor() as cursor, cursor.copy(_copy_in(table, data.column_names, " (FORMAT csv)")) as copy:
        copy.write(text.getbuffer())


def _copy_in(table: str, columns: Sequence[str], options: str) -> sql.Composed:
    names = sql.SQL(", ").join(sql.Identifier(column) for column in columns)
    return sql.SQL("COPY {} ({}) FROM STDIN" + options).format(sql.Identifier(table), names)


def copy_query(query: str, types: dict[str, pa.DataType]) -> pa.Table:
    """The query's rows, which has no parameters, as an arrow table; floats come to the bit."""
    text = io.BytesIO()
    with connection.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT csv)") as copy:
        for block in copy:
            text.write(block)
    if not text.tell():
        return pa.table({name: pa.array([], kind) for name, kind in types.items()})
    text.seek(0)
    return arrow_csv.read_csv(
        text,
        read_options=arrow_csv.ReadOptions(column_names=list(types)),
        convert_options=arrow_csv.ConvertOptions(column_types=types, strings_can_be_null=False),
    )
