"""Every change of a task is pushed on its topic, and on those of the tasks that share its computation."""

from collections.abc import Iterable

from django.db import transaction

from apps.realtime.topics import publish
from apps.tasks.models import Task
from apps.tasks.representation import task_as_dict


def publish_tasks(tasks: Iterable[Task]) -> None:
    for task in tasks:
        publish(task.topic, task_as_dict(task))


def publish_tasks_after_commit(tasks: Iterable[Task]) -> None:
    transaction.on_commit(lambda: publish_tasks(tasks), robust=True)
