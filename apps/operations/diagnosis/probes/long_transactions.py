"""Transactions that are open for long, and sessions that wait for what others hold."""

from functools import partial
from typing import Any

from django.conf import settings

from apps.operations.diagnosis.asking import rows, shortened
from apps.operations.diagnosis.fixing import Fix
from apps.operations.diagnosis.registry import Diagnosis, Store, register_probe
from apps.operations.findings import Finding, Status

LONG_WITHOUT_A_LIMIT_SECONDS = 60.0
LONG_WAIT_SECONDS = 5.0
SECTION = "database-long-transaction"
REMEDY = "scripts/manage.sh doctor --fix --only long-transactions"

_END = """
SELECT pid FROM pg_stat_activity
WHERE pid = %s AND state LIKE 'idle in transaction%%'
  AND clock_timestamp() - state_change > make_interval(secs => %s) AND pg_terminate_backend(pid)
"""


@register_probe("long-transactions", Store.POSTGRESQL)
def look() -> Diagnosis:
    """Transactions that are open for long, and who holds what others wait for"""
    long_seconds = settings.IDLE_IN_TRANSACTION_SECONDS or LONG_WITHOUT_A_LIMIT_SECONDS
    opened = rows("long_transactions.sql", {"least_seconds": long_seconds})
    blocked = rows("blocked_sessions.sql", {"least_seconds": LONG_WAIT_SECONDS})
    detail = (
        f"{len(opened)} transactions are open for more than {long_seconds:g} s, "
        f"{len(blocked)} sessions wait for a lock for more than {LONG_WAIT_SECONDS:g} s."
    )
    return Diagnosis(detail, (*(_open(row, long_seconds) for row in opened), *map(_blocked, blocked)))


def _open(row: dict[str, Any], long_seconds: float) -> Finding:
    idle = row["state"].startswith("idle in transaction") and row["in_state_seconds"] > long_seconds
    who = f"{row['application_name'] or 'an unnamed session'} (pid {row['pid']}, {row['usename']})"
    return Finding(
        Status.DEGRADED,
        f"A transaction of {who} is open for {row['seconds']:.0f} s.",
        f"It is {row['state']} for {row['in_state_seconds']:.0f} s; its last statement: {shortened(row['query'])}",
        REMEDY if idle and row["is_ours"] else f"scripts/manage.sh end_session {row['pid']}",
        SECTION,
        _end_of(row["pid"], long_seconds) if idle and row["is_ours"] else None,
    )


def _end_of(pid: int, long_seconds: float) -> Fix:
    """Nothing of it was committed, and nobody works on it: what is lost, the next attempt does again."""
    return Fix(f"end session {pid}, idle in its transaction", partial(end_idle, pid, long_seconds))


def end_idle(pid: int, long_seconds: float) -> str:
    """Only where it is still so: the session may have gone on, or its number be another's by now."""
    ended = rows(_END, [pid, long_seconds])
    return f"ended session {pid}" if ended else f"session {pid} is not idle in a transaction any more: left alone"


def _blocked(row: dict[str, Any]) -> Finding:
    return Finding(
        Status.DEGRADED,
        f"{row['application_name'] or 'A session'} (pid {row['pid']}) waits for a lock for {row['seconds']:.0f} s.",
        f"Held by {row['held_by'] or 'an unnamed session'} (pid {row['held_by_pid']}, {row['held_by_state']}): "
        f"{shortened(row['held_by_query'])}",
        f"scripts/manage.sh end_session {row['held_by_pid']}",
        SECTION,
    )
