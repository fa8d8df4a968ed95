"""PostgreSQL itself: who is connected, what takes long, how large it is."""

import time
from collections.abc import Iterator
from typing import Any

from prometheus_client import Metric

from apps.operations.metrics.families import counter, gauge, single
from apps.operations.metrics.sources.querying import reading, row_of, rows_of, statement
from apps.operations.metrics.sources.registry import register_source

# Contract section 11.
INDEXES = (
    "idx_portfolio_risk_timestamp",
    "idx_risk_limits_active",
    "idx_portfolio_returns_date",
    "idx_analytics_portfolio_timestamp",
    "idx_risk_events_portfolio_type",
    "idx_websocket_metrics_timestamp",
)
_USABLE = """
    SELECT class.relname FROM pg_index JOIN pg_class AS class ON class.oid = indexrelid
    WHERE indisvalid AND class.relname = ANY(%(names)s)
"""
_SINGLE = {
    "connections_max": "max_connections of PostgreSQL",
    "connections_used": "Sessions of clients, over all databases",
    "longest_transaction_seconds": "How long the oldest transaction is open",
    "longest_query_seconds": "How long the statement runs that runs longest",
    "blocked_sessions": "Sessions that wait for another's lock",
    "in_recovery": "1 where PostgreSQL recovers or is a standby, and takes no writes",
    "size_bytes": "Size of the database on its disk",
}


@register_source("database")
def database() -> Iterator[Metric]:
    with reading() as cursor:
        begun, ticking = time.time(), time.perf_counter()
        rows_of(cursor, "SELECT 1")
        latency_seconds = time.perf_counter() - ticking
        begun = time.time()
        state = row_of(cursor, statement("postgresql"))
        skew_seconds = _skew(state["now"], begun, time.time())
        sessions = rows_of(cursor, statement("sessions"), {})
        tables = rows_of(cursor, statement("tables"), {})
        usable = {name for (name,) in rows_of(cursor, _USABLE, {"names": list(INDEXES)})}
    yield single("database_latency_seconds", "Round trip of SELECT 1", latency_seconds)
    yield single(
        "database_clock_skew_seconds", "PostgreSQL's clock minus this process', at least so much", skew_seconds
    )
    yield from (single(f"database_{name}", text, float(state[name])) for name, text in _SINGLE.items())
    yield from _since_reset(state)
    yield gauge(
        "database_connections",
        "Sessions by process and state; as many series as there are kinds of processes",
        ["application", "state"],
        [(row[:2], row[2]) for row in sessions],
    )
    yield from _of_tables(tables)
    present = [((name,), float(name in usable)) for name in INDEXES]
    yield gauge("database_index_present", "0 where the index is missing or invalid", ["index"], present)


def _skew(theirs: float, begun: float, ended: float) -> float:
    """Zero where their clock lies between our two looks at our own."""
    return theirs - ended if theirs > ended else min(theirs - begun, 0.0)


def _since_reset(state: dict[str, Any]) -> Iterator[Metric]:
    ends = [(("commit",), state["xact_commit"]), (("rollback",), state["xact_rollback"])]
    yield counter("database_transactions", "Transactions by their end", ["outcome"], ends)
    blocks = [(("memory",), state["blks_hit"]), (("disk",), state["blks_read"])]
    yield counter("database_blocks_read", "Blocks read, from shared buffers or from outside", ["source"], blocks)
    yield counter("database_deadlocks", "Deadlocks that PostgreSQL ended", [], [((), state["deadlocks"])])
    yield counter("database_temporary_bytes", "What queries wrote to disk", [], [((), state["temp_bytes"])])


def _of_tables(tables: list[tuple[Any, ...]]) -> Iterator[Metric]:
    """The hundred largest: more than there are."""
    dead = [((name,), gone / max(gone + live, 1)) for name, gone, live, _ in tables]
    yield gauge("database_dead_rows_ratio", "Dead rows of all rows of a table", ["table"], dead)
    rows = [((name,), gone) for name, gone, _, _ in tables]
    yield gauge("database_dead_rows", "Rows that wait for the vacuum", ["table"], rows)
    sizes = [((name,), size) for name, _, _, size in tables]
    yield gauge("database_table_size_bytes", "A table with its indexes", ["table"], sizes)
