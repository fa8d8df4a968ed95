"""`python manage.py load_sample_strategies`"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from apps.strategies.sample_strategies import Loaded, load_sample_strategies
from nautilus.api.errors import DomainError


class Command(BaseCommand):
    help = (
        "Loads the sample book where it is missing, then three sample strategies with their versions and a paper "
        "portfolio for each. All or nothing; what is there already, by its id, is left as it is. "
        "Members of the group 'sample_book' see the portfolios."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--folder",
            type=Path,
            default=settings.ROOT / "sample_data" / "strategies",
            help="Where strategies.json is, and a folder of versions for each strategy (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("load_sample_book", stdout=self.stdout)
        try:
            loaded = load_sample_strategies(options["folder"])
        except (DomainError, OSError) as error:
            raise CommandError(f"The sample strategies were not loaded: {error}") from error
        self.stdout.write(_told(loaded) if loaded else "The sample strategies are loaded already; nothing was changed.")


def _told(loaded: Loaded) -> str:
    return (
        f"Sample strategies loaded: {loaded.strategies} strategies, {loaded.versions} versions, "
        f"{loaded.merge_requests} open merge requests, {loaded.portfolios} paper portfolios."
    )
