"""Django's `migrate`, whose statements take what they take (docs/database.md)."""

from typing import Any

from django.core.management.commands import migrate

from nautilus.postgresql.limits import without_limits


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        with without_limits():
            super().handle(*args, **options)
