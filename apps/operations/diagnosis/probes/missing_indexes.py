"""Indexes that the models ask for and the database has not, or that it cannot use; tables that are read whole."""

from collections.abc import Iterator
from typing import Any

from apps.operations.diagnosis.asking import rows
from apps.operations.diagnosis.expected_indexes import CONTRACT, ExpectedIndex, expected_indexes
from apps.operations.diagnosis.registry import Diagnosis, Store, register_probe
from apps.operations.findings import Finding, Status

LEAST_ROWS = 100_000
LEAST_SCANS = 1_000
SECTION = "risk-missing-index"
REMEDY = "scripts/manage.sh doctor --fix --only missing-indexes"


@register_probe("missing-indexes", Store.POSTGRESQL)
def look() -> Diagnosis:
    """Indexes of the models and of the contract that are missing or INVALID; large tables that are read whole"""
    there, expected = rows("index_columns.sql"), list(expected_indexes())
    invalid = {row["name"] for row in there if not row["is_valid"]}
    missing = [index for index in expected if not _serves(index, there)]
    scanned = rows("sequential_scans.sql", {"least_rows": LEAST_ROWS, "least_scans": LEAST_SCANS})
    detail = f"{len(expected)} indexes expected, {len(missing)} of them missing or not valid; {len(there)} there."
    broken = [_broken(row) for row in there if not row["is_valid"] and row["name"] not in {one.name for one in missing}]
    findings = (*(_missing(index, index.name in invalid) for index in missing), *broken, *_scanned(scanned))
    return Diagnosis(detail, findings)


def _serves(expected: ExpectedIndex, there: list[dict[str, Any]]) -> bool:
    """A named index is looked for by its name; a field's own may be another that begins with the same column."""
    usable = [row for row in there if row["is_valid"] and row["table_name"] == expected.table]
    if any(row["name"] == expected.name for row in usable):
        return True
    first_columns = {row["first_column"] for row in usable if not row["is_partial"]}
    return not expected.named and expected.column in first_columns


def _missing(expected: ExpectedIndex, broken: bool) -> Finding:
    state = "cannot be used (INVALID)" if broken else "is missing"
    cause = "Building it was broken off." if broken else "It was dropped, or a migration has not run to its end."
    named = " The contract names it." if expected.name in CONTRACT else ""
    return Finding(
        Status.DEGRADED,
        f"The index {expected.name} of {expected.table} {state}: queries read the whole table.",
        f"{cause}{named}",
        REMEDY,
        SECTION,
        expected.fix(broken),
    )


def _broken(row: dict[str, Any]) -> Finding:
    """None that a model asks for: whoever began it must say whether it is still wanted."""
    return Finding(
        Status.DEGRADED,
        f"The index {row['name']} of {row['table_name']} cannot be used (INVALID) and is kept up to date all the same.",
        "CREATE INDEX CONCURRENTLY was broken off, or still runs.",
        f"scripts/manage.sh dbshell -- -c 'REINDEX INDEX CONCURRENTLY \"{row['name']}\"'",
        SECTION,
    )


def _scanned(tables: list[dict[str, Any]]) -> Iterator[Finding]:
    for row in tables:
        yield Finding(
            Status.DEGRADED,
            f"{row['table_name']} is read from end to end again and again: {row['seq_scan']:,} times, "
            f"by an index {row['idx_scan']:,} times.",
            f"A query filters its {row['row_count']:,} rows by columns that no index begins with.",
            "scripts/manage.sh doctor --only slow-queries",
            SECTION,
        )
