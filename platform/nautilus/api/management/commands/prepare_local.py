"""`python manage.py prepare_local`"""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

STEPS: dict[str, dict[str, Any]] = {
    "migrate": {"interactive": False},
    "load_sample_strategies": {},
    "ensure_local_users": {},
}


class Command(BaseCommand):
    help = (
        f"What a one-machine set-up needs in its database: {', '.join(STEPS)}. In one process, as each start of Django "
        "takes seconds. What is there already is left as it is. `make run` calls this."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        for step, how in STEPS.items():
            call_command(step, stdout=self.stdout, **how)
