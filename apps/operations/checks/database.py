"""PostgreSQL: whether it answers and takes writes, and how many connections are left."""

from django.db import DatabaseError, connection

from apps.operations import machine
from apps.operations.checks.registry import register_check
from apps.operations.findings import Finding, Health, Status
from apps.operations.stores import FREE_CONNECTIONS, connections_exhausted, database_finding

# Of max_connections. Above the first the next peak may take the rest, above the second the next process cannot start.
MANY_CONNECTIONS_SHARE = 0.80
TOO_MANY_CONNECTIONS_SHARE = 0.95

# Two servers that both take writes would be worse than none.
PROMOTE = (
    "scripts/manage.sh shell -c \"from django.db import connection as c; c.cursor().execute('SELECT pg_promote()')\""
    "  # only where the primary is gone for good; else let DATABASE_URL name it, and start the processes again"
)

_LOOK = """
SELECT pg_is_in_recovery(),
       current_setting('max_connections')::int,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
       (SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%%'),
       (SELECT setting FROM pg_settings WHERE name = 'data_directory'),
       (SELECT setting FROM pg_settings WHERE name = 'server_version')
"""


@register_check("database")
def check_database() -> Health:
    try:
        with connection.cursor() as cursor:
            cursor.execute(_LOOK, [])
            in_recovery, most, open_connections, idle, folder, version = cursor.fetchone()
    except DatabaseError as error:
        return Health("not reached", (database_finding(error),))
    if folder:
        machine.remember_database_folder(folder)
    detail = f"PostgreSQL {version}; {open_connections} of {most} connections, {idle} idle in a transaction"
    found = (_of_recovery(in_recovery), _of_connections(open_connections, most, idle))
    return Health(detail, tuple(finding for finding in found if finding))


def _of_recovery(in_recovery: bool) -> Finding | None:
    if not in_recovery:
        return None
    return Finding(
        Status.UNHEALTHY,
        "The database takes no writes",
        "It is in recovery: DATABASE_URL leads to a standby, or to a server that was restored and not promoted.",
        PROMOTE,
        "database-connection-lost",
    )


def _of_connections(open_connections: int, most: int, idle: int) -> Finding | None:
    share = open_connections / most
    if share <= MANY_CONNECTIONS_SHARE:
        return None
    cause = f"{open_connections} of {most} connections are open ({share:.0%}), {idle} of them idle in a transaction."
    if share > TOO_MANY_CONNECTIONS_SHARE:
        return connections_exhausted(cause)
    symptom = "The database has few connections left"
    return Finding(Status.DEGRADED, symptom, cause, FREE_CONNECTIONS, "database-pool-exhausted")
