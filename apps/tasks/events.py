"""Every change of a task is pushed on its topic, and on those of the tasks that share its computation."""

from collections.abc import Iterable

from django.db import transaction

from apps.realtime.topics import Encoded, encode, publish_all
from apps.tasks.models import Task
from apps.tasks.representation import task_as_dict

# What is pushed stays in Redis for ten minutes, and the queues live there as well.
PUSHED_MAX_CHARACTERS = 256 * 1024


def publish_tasks(tasks: Iterable[Task]) -> None:
    publish_all([(task.topic, _encoded(task)) for task in tasks])


def _encoded(task: Task) -> Encoded:
    """As the API shows it; a result that is too long to push is left out, and `result_url` says where it is."""
    shown = task_as_dict(task)
    text = encode(shown)
    if len(text) > PUSHED_MAX_CHARACTERS:
        text = encode({**shown, "result": None, "result_url": f"/api/v1/tasks/{task.id}"})
    return Encoded(text)


def publish_tasks_after_commit(tasks: Iterable[Task]) -> None:
    transaction.on_commit(lambda: publish_tasks(tasks), robust=True)
