"""`python manage.py export_strategy STRATEGY_001 ./momentum`"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.strategies.repository import export_repository
from nautilus.api.errors import DomainError


class Command(BaseCommand):
    help = (
        "Writes a strategy's whole history as a Git repository: a commit for each version with strategy.py and "
        "parameters.json, `main` is the head, and each version that is not merged has a branch of its own."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("strategy_id", help="As in STRATEGY_001")
        parser.add_argument("path", type=Path, help="A folder that is new or empty")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            exported = export_repository(options["strategy_id"], options["path"])
        except DomainError as error:
            raise CommandError(f"Nothing was exported: {error.sentence}") from error
        except OSError as error:
            raise CommandError(f"Nothing was exported: {error}") from error
        beside = f"; not merged: {', '.join(exported.branches)}" if exported.branches else ""
        self.stdout.write(f"{exported.versions} versions of {options['strategy_id']} in {options['path']}{beside}.")
