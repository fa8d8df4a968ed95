"""Indexes that nothing has used since statistics are kept, where these are old enough to judge by."""

from datetime import timedelta
from typing import Any

from apps.operations.diagnosis.asking import megabytes, rows, value
from apps.operations.diagnosis.expected_indexes import CONTRACT
from apps.operations.diagnosis.registry import Diagnosis, Store, register_probe
from apps.operations.findings import Finding, Status

LEAST_AGE = timedelta(days=7)
LEAST_BYTES = 2**20

# Without a reset the statistics are as old as the platform's first migration.
_AGE = """
SELECT now() - greatest(stats_reset, (SELECT min(applied) FROM django_migrations))
FROM pg_stat_database WHERE datname = current_database()
"""


@register_probe("unused-indexes", Store.POSTGRESQL)
def look() -> Diagnosis:
    """Indexes that cost writes and space and that no query uses"""
    age: timedelta = value(_AGE)
    if age < LEAST_AGE:
        return Diagnosis(f"Statistics are {age} old: too young to judge by, {LEAST_AGE.days} days are needed.")
    unused = [row for row in rows("unused_indexes.sql", {"least_bytes": LEAST_BYTES}) if row["name"] not in CONTRACT]
    detail = f"{len(unused)} indexes of {megabytes(LEAST_BYTES)} and more were not used in {age.days} days."
    return Diagnosis(detail, tuple(map(_finding, unused)))


def _finding(row: dict[str, Any]) -> Finding:
    return Finding(
        Status.DEGRADED,
        f"The index {row['name']} of {row['table_name']} takes {megabytes(row['size_bytes'])} and is not used.",
        "No query has used it since statistics are kept; each write keeps it up to date all the same.",
        "Look whether a replica or a yearly report uses it; then leave it out of the model, by a migration.",
        "database-unused-index",
    )
