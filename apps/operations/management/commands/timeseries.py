"""`python manage.py timeseries`: the tables that grow with time, and what is done with their old rows."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError
from rich.console import Console
from rich.table import Table

from apps.operations.timeseries.extension import Extension, create_extension, look
from apps.operations.timeseries.hypertables import apply_all
from apps.operations.timeseries.retention import Swept, enforce_retention
from apps.operations.timeseries.status import Standing, standings
from nautilus.postgresql.limits import without_limits

WIDTH_WITHOUT_TERMINAL = 160
_COLUMNS = ("table", "kind", "rows", "MB", "oldest", "newest", "chunks", "compressed", "kept", "last run")


class Command(BaseCommand):
    help = (
        "Says how each table that grows with time stands: plain or hypertable, rows, size, from when to when, how long "
        "rows are kept, and when old ones were looked for (docs/time-series.md). --apply makes hypertables where the "
        "server has TimescaleDB loaded; each table is locked meanwhile. --enforce-retention does what every night does."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--status", action="store_true", help="how the tables stand (the default)")
        what.add_argument("--apply", action="store_true", help="create the extension, convert tables, set policies")
        what.add_argument("--enforce-retention", action="store_true", help="delete what is older than it is kept, once")
        parser.add_argument("--json", action="store_true", help="for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["apply"]:
                self._apply()
            elif options["enforce_retention"]:
                self._retain(options["json"])
            else:
                self._status(options["json"])
        except DatabaseError as error:
            raise CommandError(
                f"PostgreSQL refused: {str(error).strip()}. A table is changed whole or not at all."
            ) from error

    def _apply(self) -> None:
        extension = create_extension()
        if not extension.version:
            raise CommandError(
                "This server does not have TimescaleDB loaded, so the tables stay plain: retention works all the same. "
                "Expected the extension installed and timescaledb in shared_preload_libraries."
            )
        with without_limits():
            done = apply_all(extension)
        self.stdout.write(f"TimescaleDB {extension.version}")
        for line in done:
            self.stdout.write(line)

    def _retain(self, as_json: bool) -> None:
        swept = enforce_retention()
        if as_json:
            self._json([_dict_of(each) for each in swept])
        else:
            for each in swept:
                self.stdout.write(_told(each))
        if not swept:
            self.stdout.write("Another process is at it; nothing was done.")
        if failed := [each.table for each in swept if each.error]:
            raise CommandError(f"Not done for {', '.join(failed)}: see above, and the log.")

    def _status(self, as_json: bool) -> None:
        extension, found = look(), standings()
        if as_json:
            self._json({"timescaledb": extension.version or None, "tables": [each.as_dict() for each in found]})
        else:
            self._print(extension, found)

    def _json(self, value: Any) -> None:
        self.stdout.write(json.dumps(value, cls=DjangoJSONEncoder, indent=1))

    def _print(self, extension: Extension, found: list[Standing]) -> None:
        width = None if self.stdout.isatty() else WIDTH_WITHOUT_TERMINAL
        console = Console(file=self.stdout, width=width)  # type: ignore[arg-type] # a TextIO all but in name
        table = Table(*_COLUMNS, box=None, title=f"TimescaleDB {extension.version or 'is not here: plain tables'}")
        for standing in found:
            table.add_row(*_row(standing))
        console.print(table)


def _row(of: Standing) -> tuple[str, ...]:
    rows = f"{'about ' if of.rows_are_estimated else ''}{of.rows:,}"
    days = [f"{moment:%Y-%m-%d}" if moment else "" for moment in (of.oldest, of.newest)]
    chunks = f"{of.chunks} of {of.chunk_interval}" if of.chunks is not None else ""
    compressed = f"{of.compressed_chunks}, after {of.compress_after_days} days" if of.compress_after_days else ""
    kept = f"{of.keep_days} days" if of.keep_days else "for ever"
    last = f"{of.last_run_at:%Y-%m-%d %H:%M}: {of.last_run_error or of.last_run_deleted}" if of.last_run_at else ""
    return (of.table, of.kind, rows, f"{of.size_bytes / 2**20:.1f}", *days, chunks, compressed, kept, last)


def _told(swept: Swept) -> str:
    rest = "" if swept.is_done else "; there are more" if not swept.error else f"; failed: {swept.error}"
    compressed = f", {swept.compressed} chunks compressed" if swept.compressed else ""
    return f"{swept.table}: {swept.deleted} deleted{compressed}{rest}"


def _dict_of(swept: Swept) -> dict[str, Any]:
    return {name: getattr(swept, name) for name in ("table", "deleted", "compressed", "is_done", "error")}
