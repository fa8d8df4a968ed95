"""What the apps share about PostgreSQL."""

from collections.abc import Mapping
from typing import Any

import psycopg
from django.db import connection, models
from psycopg.pq import ExecStatus
from psycopg.rows import dict_row

# Django turns prepared statements off by None, and with them those that are asked for one by one.
_ONLY_WHEN_ASKED = 2**31


class LongNamedIndex(models.Index):
    """An index whose name may fill PostgreSQL's 63 bytes; Django keeps to Oracle's 30.

    The names are part of the contract (section 11): operators' runbooks look for them.
    """

    max_name_length = 63


def run_prepared(statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a statement that is planned once a connection; in the caller's transaction where there is one.

    For what every request runs: Django's cursor writes the values into the text, so that PostgreSQL plans it anew each
    time, which for a long statement takes longer than to run it. Raises Django's database errors.
    """
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    connection.connection.prepare_threshold = _ONLY_WHEN_ASKED
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection, row_factory=dict_row) as cursor:
        cursor.execute(statement, parameters, prepare=True)
        # Not cursor.description, which makes an object of each column.
        has_rows = cursor.pgresult is not None and cursor.pgresult.status == ExecStatus.TUPLES_OK
        return cursor.fetchall() if has_rows else []
