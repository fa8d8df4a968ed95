from typing import Any
from uuid import UUID

from django.apps import AppConfig


class TasksConfig(AppConfig):
    name = "apps.tasks"
    verbose_name = "Tasks"

    def ready(self) -> None:
        from apps.realtime.access import register_topic

        register_topic("tasks:", _may_follow)


def _may_follow(user: Any, task_id: str) -> bool:
    from apps.tasks.queries import visible_tasks

    try:
        known = UUID(task_id)
    except ValueError:
        return False
    # As it is published only: UUID takes braces, capitals and a urn too, and nothing would ever come under these.
    return str(known) == task_id and visible_tasks(user).filter(pk=known).exists()
