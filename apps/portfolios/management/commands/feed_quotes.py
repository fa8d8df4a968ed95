"""`python manage.py feed_quotes replay`"""

import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.portfolios.feeds import FEEDS, run_feed
from nautilus.api.errors import DomainError
from nautilus.stopping import on_stop_signals


class Command(BaseCommand):
    help = (
        "Brings live prices in: runs a feed until SIGTERM or Ctrl-C, or until the feed ends. Of several processes with "
        "the same feed one plays and the others wait. While Redis is away the newest quote of each symbol is kept back."
    )

    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        feeds = parser.add_subparsers(dest="feed", required=True, metavar="feed")
        for name, kind in FEEDS.items():
            kind.add_arguments(feeds.add_parser(name, help=kind.help, description=kind.help))

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        on_stop_signals(stop.set)
        try:
            feed = FEEDS[options["feed"]].make(options)
        except (DomainError, ValueError, OSError) as error:
            raise CommandError(f"The feed was not started: {error}") from error
        run = run_feed(feed, stop)
        self.stdout.write(f"{run.accepted} quotes accepted, {run.older} older, {run.refused} refused.")
