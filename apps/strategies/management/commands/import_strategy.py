"""`python manage.py import_strategy ./momentum --strategy-id MOMENTUM_COPY`"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from apps.strategies.models import MergeRequest
from apps.strategies.repository import import_repository
from nautilus.api.errors import DomainError


class Command(BaseCommand):
    help = (
        "Reads a Git repository as a new strategy: a version for each commit of its branches that has a strategy.py "
        "(and parameters.json, or none: {}). `main` or `master` becomes the main line; every other branch that is not "
        "merged becomes a merge request. All or nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, help="The repository's folder, bare or with a working tree")
        parser.add_argument("--strategy-id", help="Of a new strategy, or one without versions (default: the next)")
        parser.add_argument("--user", help="The name of the user who is said to have imported it (default: nobody)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            strategy = import_repository(options["path"], options["strategy_id"], _user(options["user"]))
        except DomainError as error:
            raise CommandError(f"Nothing was imported: {error.sentence}") from error
        except OSError as error:
            raise CommandError(f"Nothing was imported: {error}") from error
        waiting = strategy.merge_requests.filter(status=MergeRequest.Status.OPEN).count()
        self.stdout.write(f"{strategy.versions.count()} versions in {strategy.pk}, {waiting} merge requests are open.")


def _user(name: str | None) -> Any:
    if name is None:
        return None
    user = get_user_model().objects.filter(username=name).first()
    if user is None:
        raise CommandError(f"There is no user '{name}'. Name one who is there, or none.")
    return user
