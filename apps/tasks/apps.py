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
        return visible_tasks(user).filter(pk=UUID(task_id)).exists()
    except ValueError:
        return False
