"""`python manage.py doctor`: what is wrong, why, and what mends it."""

import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from apps.operations.diagnosis.examination import Done, examine, exit_code, mend, names
from apps.operations.diagnosis.looking import LIMIT_SECONDS, Look
from apps.operations.diagnosis.report import as_json, print_table

WIDTH_WITHOUT_TERMINAL = 160


class Command(BaseCommand):
    help = (
        "Looks at every component as /system/health does, and deeper: slow queries, indexes, sessions, locks, bloat, "
        "Redis, queues, workers, clocks, disk, versions, breaches. Each finding has a symptom, a cause, a remedy and a "
        "section of docs/runbook.md. Exit code: 0 healthy, 1 degraded, 2 unhealthy, 3 something could not be looked at."
    )
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--list", action="store_true", help="say what can be looked at, and end")
        parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="look at these alone")
        parser.add_argument("--json", action="store_true", help="for programs")
        parser.add_argument("--fix", action="store_true", help="do what is safe about what is found, and look again")
        parser.add_argument("--dry-run", action="store_true", help="with --fix: only say what would be done")
        parser.add_argument(
            "--timeout", type=float, default=LIMIT_SECONDS, metavar="SECONDS", help="for each look (%(default)s)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"]:
            self._list()
            return
        looks, done = self._examine(options)
        self._tell(looks, done, options)
        self._end(exit_code(looks))

    def _list(self) -> None:
        for name, purpose in names().items():
            self.stdout.write(f"{name:22} {purpose}")

    def _examine(self, options: dict[str, Any]) -> tuple[list[Look], list[Done]]:
        """With --fix what is found afterwards: what was mended is no finding any more."""
        try:
            looks = examine(options["only"], options["timeout"])
        except ValueError as error:
            raise CommandError(str(error), returncode=64) from error
        done = list(mend(looks, dry_run=options["dry_run"])) if options["fix"] or options["dry_run"] else []
        if done and not options["dry_run"]:
            looks = examine(options["only"], options["timeout"])
        return looks, done

    def _tell(self, looks: Sequence[Look], done: Sequence[Done], options: dict[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(as_json(looks, done), indent=1, ensure_ascii=False))
            return
        terminal = self.stdout.isatty()
        console = Console(file=self.stdout, width=None if terminal else WIDTH_WITHOUT_TERMINAL, highlight=False)  # type: ignore[arg-type]
        print_table(console, looks, done, dry_run=options["dry_run"])

    def _end(self, code: int) -> None:
        """At once: a thread that hangs in a store that hangs must not keep the process."""
        sys.stdout.flush()
        if sys.argv[1:2] == ["doctor"]:
            os._exit(code)
        raise SystemExit(code)
