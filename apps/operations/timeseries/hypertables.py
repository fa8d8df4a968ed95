"""Makes a table a hypertable. The statements are those that TimescaleDB 2.14 to 2.29 all take.

Django goes on seeing `id` as the primary key; in the database the time belongs to every unique key, because TimescaleDB
enforces none across chunks (design.md, decision 10).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from psycopg import sql

from apps.operations.timeseries.extension import Extension
from apps.operations.timeseries.tables import SERIES, TimeSeries

_SQL = Path(__file__).parent / "sql"
_REFERENCES, _KEYS, _REFERRERS = ((_SQL / f"{name}.sql").read_text() for name in ("references", "keys", "referrers"))
_IS_HYPERTABLE = """
SELECT EXISTS (
    SELECT FROM timescaledb_information.hypertables
    WHERE hypertable_schema = current_schema() AND hypertable_name = %s
)
"""

Statement = sql.Composable


def apply_all(extension: Extension) -> list[str]:
    """Converts what is not converted yet and sets every policy anew; says what it did. Locks each table meanwhile."""
    return [_apply(series, extension) for series in SERIES] if extension.version else []


def is_hypertable(table: str) -> bool:
    """Only where the extension is there."""
    return bool(_rows(_IS_HYPERTABLE, [table])[0][0])


@transaction.atomic
def _apply(series: TimeSeries, extension: Extension) -> str:
    is_new = not is_hypertable(series.table)
    if is_new:
        _run(conversion(series, _keys(series), _referrers(series)))
    if extension.has_policies:
        _run(policies(series, compress=extension.compresses(series)))
    made = "became a hypertable" if is_new else "is a hypertable already"
    return f"{series.table} {made}; {_policies_in_words(series, extension)}"


def _policies_in_words(series: TimeSeries, extension: Extension) -> str:
    if not extension.has_policies:
        return "this edition has no compression"
    if not extension.compresses(series):
        return f"compressed from TimescaleDB {'.'.join(map(str, series.compresses_from))} on"
    return f"compressed after {series.compress_after_days} days"


def conversion(series: TimeSeries, keys: list[Any], referrers: list[Any]) -> Iterator[Statement]:
    """`keys` and `referrers` as sql/keys.sql and sql/referrers.sql find them."""
    if referrers:
        yield sql.SQL(_REFERENCES)
    for referrer in referrers:
        yield from _by_triggers(series.table, *referrer)
    for key in keys:
        yield _with_time(series, *key)
    # psycopg composes, and no value comes from outside: utility statements take no parameters.
    yield sql.SQL(
        "SELECT create_hypertable({table}, by_range({time}, INTERVAL {chunk}),"
        " create_default_indexes => false, if_not_exists => true, migrate_data => true)"
    ).format(
        table=sql.Literal(series.table), time=sql.Literal(series.time), chunk=sql.Literal(f"{series.chunk_days} days")
    )


def policies(series: TimeSeries, *, compress: bool) -> Iterator[Statement]:
    """Compression, by its name before 2.18, which later versions take as well; and retention."""
    table = sql.Literal(series.table)
    if compress:
        yield from _compression(series)
    yield sql.SQL("SELECT remove_retention_policy({}, if_exists => true)").format(table)
    if series.keep_days:
        yield sql.SQL("SELECT add_retention_policy({}, INTERVAL {})").format(table, _days(series.keep_days))


def _compression(series: TimeSeries) -> Iterator[Statement]:
    table = sql.Literal(series.table)
    yield sql.SQL(
        "ALTER TABLE {} SET (timescaledb.compress, timescaledb.compress_segmentby = {},"
        " timescaledb.compress_orderby = {})"
    ).format(sql.Identifier(series.table), sql.Literal(series.segment_by), sql.Literal(f"{series.time} DESC"))
    yield sql.SQL("SELECT remove_compression_policy({}, if_exists => true)").format(table)
    if not series.unsettled:  # else retention.py does it, chunk by chunk
        yield sql.SQL("SELECT add_compression_policy({}, INTERVAL {})").format(table, _days(series.compress_after_days))


def _by_triggers(table: str, name: str, referring: str, own: str, theirs: str) -> Iterator[Statement]:
    """Instead of a foreign key: who refers is checked, and what is referred to stays."""
    names = {"referring": sql.Identifier(referring), "table": sql.Identifier(table), "key": sql.Identifier(name)}
    names |= {
        "check": sql.Identifier(f"{referring}_{own}_exists"),
        "keep": sql.Identifier(f"{table}_kept_for_{referring}"),
    }
    values = {
        "of": sql.Literal(table),
        "theirs": sql.Literal(theirs),
        "own": sql.Literal(own),
        "by": sql.Literal(referring),
    }
    yield sql.SQL("ALTER TABLE {referring} DROP CONSTRAINT {key}").format(**names)
    yield sql.SQL(
        "CREATE TRIGGER {check} AFTER INSERT OR UPDATE OF {column} ON {referring} FOR EACH ROW"
        " EXECUTE FUNCTION nautilus_check_reference({of}, {theirs}, {own})"
    ).format(column=sql.Identifier(own), **names, **values)
    yield sql.SQL(
        "CREATE TRIGGER {keep} BEFORE DELETE ON {table} FOR EACH ROW"
        " EXECUTE FUNCTION nautilus_keep_referenced({by}, {own}, {theirs})"
    ).format(**names, **values)


def _with_time(series: TimeSeries, name: str, kind: str, columns: list[str]) -> Statement:
    return sql.SQL("ALTER TABLE {table} DROP CONSTRAINT {name}, ADD CONSTRAINT {name} {kind} ({columns})").format(
        table=sql.Identifier(series.table),
        name=sql.Identifier(name),
        kind=sql.SQL("PRIMARY KEY" if kind == "p" else "UNIQUE"),
        columns=sql.SQL(", ").join(map(sql.Identifier, [*columns, series.time])),
    )


def _days(days: int) -> Statement:
    return sql.Literal(f"{days} days")


def _keys(series: TimeSeries) -> list[Any]:
    return _rows(_KEYS, {"table": series.table, "time": series.time})


def _referrers(series: TimeSeries) -> list[Any]:
    return _rows(_REFERRERS, {"table": series.table})


def _rows(query: str, parameters: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchall()


def _run(statements: Iterator[Statement]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
