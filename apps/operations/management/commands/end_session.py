"""`python manage.py end_session PID`: what the doctor names where a person must decide."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.operations.diagnosis.asking import rows, shortened

_END = """
SELECT coalesce(nullif(application_name, ''), 'no name') AS application, state, query, pg_terminate_backend(pid)
FROM pg_stat_activity WHERE pid = %s AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


class Command(BaseCommand):
    help = "Ends one session of PostgreSQL: its open transaction is rolled back, its locks are free."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("pid", type=int, help="of PostgreSQL's session, as doctor says it")

    def handle(self, *args: Any, **options: Any) -> None:
        found = rows(_END, [options["pid"]])
        if not found:
            raise CommandError(
                f"PostgreSQL has no session with the pid {options['pid']}. "
                "`doctor --only long-transactions slow-queries` names those that are in the way."
            )
        row = found[0]
        self.stdout.write(
            f"Ended session {options['pid']} ({row['application']}, {row['state']}): {shortened(row['query'])}"
        )
