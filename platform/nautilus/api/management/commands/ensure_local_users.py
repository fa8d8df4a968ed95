"""The admin of a one-machine set-up, with the password that `make run` generated and prints."""

import os
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand, CommandError

from nautilus.api.access import ADMIN


class Command(BaseCommand):
    help = "Makes the user 'admin', or gives it the password of NAUTILUS_ADMIN_PASSWORD again. `make run` calls this."

    def handle(self, *args: Any, **options: Any) -> None:
        password = os.environ.get("NAUTILUS_ADMIN_PASSWORD", "")
        if len(password) < 12:
            raise CommandError(f"NAUTILUS_ADMIN_PASSWORD has {len(password)} characters; expected 12 or more.")
        user, _ = get_user_model().objects.get_or_create(
            username="admin", defaults={"is_staff": True, "is_superuser": True}
        )
        if not user.check_password(password):
            user.set_password(password)
            user.save()
        user.groups.add(Group.objects.get(name=ADMIN))
        self.stdout.write("The user 'admin' is ready.")
