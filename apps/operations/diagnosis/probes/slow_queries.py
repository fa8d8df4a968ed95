"""Statements that are slow now, and those that are slow each time (pg_stat_statements)."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from django.conf import settings

from apps.operations.diagnosis.asking import rows, shortened, value
from apps.operations.diagnosis.fixing import Fix
from apps.operations.diagnosis.registry import Diagnosis, Store, register_probe
from apps.operations.findings import Finding, Status

RUNS_SLOWLY_SECONDS = 5.0
SLOW_MEAN_MS = 1_000.0
LEAST_CALLS = 5
SECTION = "database-slow-query"

_IS_COUNTED = "SELECT 1 FROM pg_extension WHERE extname = 'pg_stat_statements'"
_COUNT_ANEW = """
SELECT pg_stat_statements_reset(0, oid, %s) FROM pg_database WHERE datname = current_database()
"""
_IS_LOADED = "SELECT current_setting('shared_preload_libraries', true) ~ 'pg_stat_statements'"


@register_probe("slow-queries", Store.POSTGRESQL)
def look() -> Diagnosis:
    """Statements that run for long now, and those that take long on average (pg_stat_statements)"""
    running = rows("running_statements.sql", {"least_seconds": RUNS_SLOWLY_SECONDS})
    counted, detail = _counted()
    said = f"{len(running)} statements run for more than {RUNS_SLOWLY_SECONDS:g} s now; {detail}"
    return Diagnosis(said, (*map(_running, running), *_on_average(counted)))


def _counted() -> tuple[list[dict[str, Any]], str]:
    if not (value(_IS_COUNTED) and value(_IS_LOADED)):
        return [], "past ones are not counted: pg_stat_statements is not loaded or not created in this database."
    found = rows("slow_statements.sql", {"least_calls": LEAST_CALLS, "least_mean_ms": SLOW_MEAN_MS})
    return found, f"{len(found)} take more than {SLOW_MEAN_MS:,.0f} ms on average over {LEAST_CALLS} calls and more."


def _running(row: dict[str, Any]) -> Finding:
    limit = settings.STATEMENT_TIMEOUT_SECONDS
    return Finding(
        Status.DEGRADED,
        f"A statement of {row['application_name'] or 'an unnamed session'} runs for {row['seconds']:.0f} s.",
        f"pid {row['pid']} ({row['waits_for']}): {shortened(row['query'])}",
        # The platform's own sessions end by themselves; one of somebody else's may have no limit.
        f"It ends by itself after {limit:g} s where it is ours; at once: scripts/manage.sh end_session {row['pid']}",
        SECTION,
    )


def _on_average(found: list[dict[str, Any]]) -> Iterator[Finding]:
    for row in found:
        yield Finding(
            Status.DEGRADED,
            f"A query takes {row['mean_ms']:,.0f} ms on average ({row['calls']} calls, up to {row['max_ms']:,.0f}).",
            f"queryid {row['queryid']}: {shortened(row['query'])}",
            "scripts/manage.sh doctor --fix --only missing-indexes bloat slow-queries",
            SECTION,
            Fix(f"count the calls of queryid {row['queryid']} anew", partial(count_anew, row["queryid"])),
        )


def count_anew(query_id: int) -> str:
    """Of this statement alone: an average that remembers what was mended would be told of for ever."""
    value(_COUNT_ANEW, [query_id])
    return f"the calls of queryid {query_id} are counted anew; it is named again if it is slow {LEAST_CALLS} times more"
