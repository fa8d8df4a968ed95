"""Sessions of PostgreSQL against what it takes, and one made free where it takes none."""

import os
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from django.db import OperationalError, ProgrammingError, connection
from psycopg.errors import InsufficientPrivilege

from apps.operations.diagnosis.asking import rows, value
from apps.operations.diagnosis.fixing import Fix
from apps.operations.diagnosis.registry import Diagnosis, register_probe
from apps.operations.findings import Finding, Status
from nautilus.api.errors import is_out_of_connections
from nautilus.postgresql.naming import OURS

DEGRADED_SHARE = 0.80
UNHEALTHY_SHARE = 0.95
FOREIGN_IDLE_SECONDS = 5.0
SECTION = "database-pool-exhausted"
REMEDY = "scripts/manage.sh doctor --fix --only connections"
TRIES = 40

# Regular sessions: those that PostgreSQL keeps for superusers are not for clients.
_MOST = """
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
"""
# Of our database: what others do in theirs on the same server is theirs.
_FOREIGN_IDLE = """
FROM pg_stat_activity
WHERE backend_type = 'client backend' AND datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle'
  AND application_name NOT LIKE %s AND clock_timestamp() - state_change > make_interval(secs => %s)
"""
_FIND = f"SELECT pid {_FOREIGN_IDLE}"
_COUNT = f"SELECT count(*) {_FOREIGN_IDLE}"
_END = f"SELECT pg_terminate_backend(pid) {_FOREIGN_IDLE} AND pid = %s"


@register_probe("connections")
def look() -> Diagnosis:
    """Sessions by state and by application, against max_connections"""
    try:
        return _counted(rows("sessions.sql"), value(_MOST))
    except OperationalError as error:
        if is_out_of_connections(error):
            return _refused(error)
        raise


def _counted(sessions: list[dict[str, Any]], most: int) -> Diagnosis:
    total = sum(row["count"] for row in sessions)
    detail = f"{total} of {most} sessions. {_by('state', sessions)}. {_by('application', sessions)}."
    if total < DEGRADED_SHARE * most:
        return Diagnosis(detail)
    status = Status.UNHEALTHY if total >= UNHEALTHY_SHARE * most else Status.DEGRADED
    symptom = f"{total} of {most} sessions of PostgreSQL are taken: soon requests and tasks are refused one."
    return Diagnosis(detail, (Finding(status, symptom, f"{_by('application', sessions)}.", REMEDY, SECTION, FIX),))


def _by(name: str, sessions: list[dict[str, Any]]) -> str:
    counts: Counter[str] = Counter()
    for row in sessions:
        counts[row[name]] += row["count"]
    return f"By {name}: " + ", ".join(f"{each} {count}" for each, count in counts.most_common(8))


def _refused(error: OperationalError) -> Diagnosis:
    finding = Finding(
        Status.UNHEALTHY,
        "PostgreSQL takes no more sessions: requests are answered 503, tasks wait.",
        " ".join(str(error).split()),
        REMEDY,
        SECTION,
        FIX,
    )
    return Diagnosis("No session could be had to look by.", (finding,))


def end_foreign_idle() -> str:
    """Ends the idle sessions that none of our processes holds.

    Where not even we are given a session, and the server is on this machine, one of its processes is asked to end as
    pg_terminate_backend does it: one whose title says that it is idle, and so in no transaction. Those that have just
    become idle are waited for: whoever takes every session at once has them all from the same few seconds.
    """
    ended, settled_by = 0, time.monotonic() + FOREIGN_IDLE_SECONDS + 1
    for _ in range(TRIES):
        try:
            ended += _end_each()
            if not _others_idle() or time.monotonic() >= settled_by:
                return f"ended {ended} idle sessions of others than our processes"
            time.sleep(0.5)
        except OperationalError as error:
            if not is_out_of_connections(error):
                raise
            connection.close()
            ended += _free_one_here()
    raise OperationalError("No session became free: stop whoever opens them (docs/runbook.md#database-pool-exhausted).")


def _end_each() -> int:
    """One by one: a session that our role may not end, a superuser's say, is no reason to leave the others."""
    chosen = [f"{OURS}%", FOREIGN_IDLE_SECONDS]
    return sum(_end([*chosen, row["pid"]]) for row in rows(_FIND, chosen))


def _others_idle() -> int:
    """However short they have been idle."""
    return int(value(_COUNT, [f"{OURS}%", 0.0]))


def _end(chosen: list[Any]) -> bool:
    """False where it is not idle any more as well."""
    try:
        return bool(value(_END, chosen))
    except ProgrammingError as error:
        if isinstance(error.__cause__, InsufficientPrivilege):
            return False
        raise


def _free_one_here() -> int:
    idle = _idle_server_processes()
    if not idle:
        time.sleep(0.5)
        return 0
    with suppress(ProcessLookupError):
        os.kill(idle[0], signal.SIGTERM)
    time.sleep(0.1)
    return 1


def _idle_server_processes() -> list[int]:
    """The server's own for our database, the youngest first: they are of whoever filled it."""
    server = _server_here()
    found = [process for process in server.children() if _is_idle(process)] if server else []
    return [process.pid for process in sorted(found, key=psutil.Process.create_time, reverse=True)]


def _server_here() -> psutil.Process | None:
    """Of the UNIX socket that we connect to: its lock names the server. None where it is on another machine, say."""
    folder, port = str(connection.settings_dict["HOST"]), connection.settings_dict["PORT"] or 5432
    lock = Path(folder) / f".s.PGSQL.{port}.lock"
    if not folder.startswith("/") or not lock.exists():
        return None
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(int(lock.read_text().split()[0]))
    return None


def _is_idle(process: psutil.Process) -> bool:
    database = connection.settings_dict["NAME"]
    with suppress(psutil.NoSuchProcess):
        title = " ".join(process.cmdline()).strip()
        return title.startswith("postgres: ") and title.endswith(" idle") and f" {database} " in title
    return False


FIX = Fix(f"end idle sessions (for {FOREIGN_IDLE_SECONDS:g} s) that none of our processes holds", end_foreign_idle)
