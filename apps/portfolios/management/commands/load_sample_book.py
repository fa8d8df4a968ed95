"""`python manage.py load_sample_book`"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.portfolios.sample_book import load_sample_book
from nautilus.api.errors import DomainError


class Command(BaseCommand):
    help = (
        "Loads the sample book once: 33 years of real daily closes of 20 US stocks and the S&P 500, three portfolios "
        "and their 172 trades. All or nothing; where the portfolios are there already it changes nothing. "
        "Members of the group 'sample_book' see the portfolios."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--folder",
            type=Path,
            default=settings.ROOT / "sample_data",
            help="Where daily_prices.csv.gz, instruments.csv, portfolios.csv and trades.csv are (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            loaded = load_sample_book(options["folder"])
        except (DomainError, OSError) as error:
            raise CommandError(f"The sample book was not loaded: {error}") from error
        self.stdout.write(
            f"Sample book loaded: {loaded.portfolios} portfolios, {loaded.trades} trades, {loaded.prices} prices."
            if loaded
            else "The sample book is loaded already; nothing was changed."
        )
