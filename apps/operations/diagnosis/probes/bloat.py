"""Dead rows that wait for VACUUM."""

from functools import partial
from typing import Any

from django.db import connection

from apps.operations.diagnosis.asking import megabytes, rows
from apps.operations.diagnosis.fixing import Fix
from apps.operations.diagnosis.registry import Diagnosis, Store, register_probe
from apps.operations.findings import Finding, Status
from nautilus.postgresql.limits import without_limits

DEAD_SHARE = 0.25
LEAST_DEAD_ROWS = 20_000
SECTION = "database-bloat"


@register_probe("bloat", Store.POSTGRESQL)
def look() -> Diagnosis:
    """Tables with many dead rows, and when they were vacuumed last"""
    tables = rows("bloat.sql")
    bloated = [row for row in tables if row["dead"] >= LEAST_DEAD_ROWS and row["dead_share"] >= DEAD_SHARE]
    dead, size = sum(row["dead"] for row in tables), sum(row["size_bytes"] for row in tables)
    detail = f"{len(tables)} tables of {megabytes(size)} with {dead:,} dead rows; {len(bloated)} are bloated."
    return Diagnosis(detail, tuple(map(_finding, bloated)))


def _finding(row: dict[str, Any]) -> Finding:
    schema, name, vacuumed = row["schema_name"], row["table_name"], row["vacuumed_at"]
    table = f"{schema}.{name}"
    when = f"vacuumed last at {vacuumed:%Y-%m-%dT%H:%M:%SZ}" if vacuumed else "never vacuumed"
    return Finding(
        Status.DEGRADED,
        f"{row['dead_share']:.0%} of {table}'s rows are dead ({row['dead']:,}; {megabytes(row['size_bytes'])}).",
        f"It was {when}: autovacuum cannot keep up, or a long transaction keeps the rows.",
        "scripts/manage.sh doctor --fix --only bloat",
        SECTION,
        Fix(f"VACUUM (ANALYZE) {table}", partial(vacuum, schema, name)),
    )


def vacuum(schema: str, name: str) -> str:
    """Beside reads and writes. Raises DatabaseError, for a lock that is not to be had as well."""
    with without_limits(), connection.cursor() as cursor:
        quoted = ".".join(map(connection.ops.quote_name, (schema, name)))
        cursor.execute(f"VACUUM (ANALYZE) {quoted}")
    return f"vacuumed and analyzed {schema}.{name}"
