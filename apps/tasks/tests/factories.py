from typing import Any

from django.utils import timezone

from apps.tasks.keys import coalesce_key
from apps.tasks.models import Task


def make_task(kind: str = "tests.echo", inputs: dict[str, Any] | None = None, **fields: Any) -> Task:
    """A row as submit_task leaves it, without its message."""
    inputs = {} if inputs is None else inputs
    defaults = {
        "coalesce_key": coalesce_key(kind, inputs, None, str(timezone.now().timestamp())),
        "dispatched_at": timezone.now(),
        "dispatches": 1,
    }
    return Task.objects.create(kind=kind, inputs=inputs, **{**defaults, **fields})
