"""How each growing table stands: plain or hypertable, how large, from when to when, what is done with its old rows."""

from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection
from psycopg import sql

from apps.operations.timeseries.extension import Extension, look
from apps.operations.timeseries.hypertables import is_hypertable
from apps.operations.timeseries.models import RetentionRun
from apps.operations.timeseries.rules import RULES
from apps.operations.timeseries.tables import BY_TABLE, PLAIN, SERIES

# More are estimated, from what autovacuum saw last.
COUNTED_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class Standing:
    """`keep_days` 0: for ever; `compress_after_days` None: never. What only a hypertable has is None elsewhere."""

    table: str
    kind: str
    rows: int
    rows_are_estimated: bool
    size_bytes: int
    oldest: datetime | date | None
    newest: datetime | date | None
    keep_days: int
    chunk_interval: str | None = None
    chunks: int | None = None
    compressed_chunks: int | None = None
    compress_after_days: int | None = None
    last_run_at: datetime | None = None
    last_run_deleted: int | None = None
    last_run_error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def standings() -> list[Standing]:
    extension, runs = look(), {run.table: run for run in RetentionRun.objects.all()}
    times = {**{series.table: series.time for series in SERIES}, **PLAIN}
    return [_standing(table, time, extension, runs.get(table)) for table, time in times.items()]


def _standing(table: str, time: str, extension: Extension, run: RetentionRun | None) -> Standing:
    is_hyper = bool(extension.version) and is_hypertable(table)
    rows, is_estimated = _rows(table, is_hyper)
    oldest, newest = _one(sql.SQL("SELECT min({0}), max({0}) FROM {1}").format(*map(sql.Identifier, (time, table))))
    size = "hypertable_size(%s::regclass)" if is_hyper else "pg_total_relation_size(%s::regclass)"
    return Standing(
        table=table,
        kind="hypertable" if is_hyper else "plain",
        rows=rows,
        rows_are_estimated=is_estimated,
        size_bytes=_one(f"SELECT {size}", table)[0] or 0,
        oldest=oldest,
        newest=newest,
        keep_days=next((rule.keep_days for rule in RULES if rule.table == table), 0),
        **(_of_hypertable(table, extension) if is_hyper else {}),
        **(_of_run(run) if run else {}),
    )


def _rows(table: str, is_hyper: bool) -> tuple[int, bool]:
    some = sql.SQL("SELECT count(*) FROM (SELECT FROM {} LIMIT {}) AS counted")
    rows = _one(some.format(sql.Identifier(table), sql.Literal(COUNTED_ROWS)))[0]
    if rows < COUNTED_ROWS:
        return rows, False
    estimate = (
        "approximate_row_count(%s::regclass)"
        if is_hyper
        else "reltuples::bigint FROM pg_class WHERE oid = %s::regclass"
    )
    return max(rows, _one(f"SELECT {estimate}", table)[0]), True


def _of_hypertable(table: str, extension: Extension) -> dict[str, Any]:
    interval = _one(
        "SELECT time_interval::text FROM timescaledb_information.dimensions WHERE hypertable_name = %s", table
    )
    chunks, compressed = _one(
        "SELECT count(*), count(*) FILTER (WHERE is_compressed) FROM timescaledb_information.chunks"
        " WHERE hypertable_name = %s",
        table,
    )
    after = BY_TABLE[table].compress_after_days if extension.compresses(BY_TABLE[table]) else None
    return {
        "chunk_interval": interval[0],
        "chunks": chunks,
        "compressed_chunks": compressed,
        "compress_after_days": after,
    }


def _of_run(run: RetentionRun) -> dict[str, Any]:
    return {"last_run_at": run.began_at, "last_run_deleted": run.deleted, "last_run_error": run.error or None}


def _one(query: Any, *parameters: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters or None)
        return cursor.fetchone()
