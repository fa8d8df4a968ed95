"""The ids on their way with Celery's messages, and Celery's own lines in our form."""

from typing import Any

from celery import signals

from nautilus.logs.ids import begin_ids, current_request_id, forget_ids
from nautilus.logs.process import set_process_name

HEADER = "nautilus_request_id"


def tie_to_celery() -> None:
    """Once a process, where the Celery application is made."""
    signals.setup_logging.connect(_set_up)
    signals.celeryd_after_setup.connect(_name_worker)
    signals.before_task_publish.connect(_send_ids)
    signals.task_prerun.connect(_take_ids)
    signals.task_postrun.connect(_forget)


def _set_up(**_: Any) -> None:
    """Instead of Celery's own: with a receiver it leaves the handlers, the formats and the levels alone."""
    from django.conf import settings

    from nautilus.logs.configuration import configure

    configure(settings.LOGGING)


def _name_worker(sender: str, instance: Any, **_: Any) -> None:
    """The banner of thirty lines is left out where lines are JSON."""
    from django.conf import settings

    set_process_name(sender)
    instance.quiet = instance.quiet or settings.LOG_FORMAT == "json"


def _send_ids(headers: dict[str, Any] | None = None, **_: Any) -> None:
    request_id = current_request_id()
    if request_id and headers is not None:
        headers[HEADER] = request_id


def _take_ids(task_id: str, task: Any, **_: Any) -> None:
    begin_ids(request_id=getattr(task.request, HEADER, None), task_id=task_id)


def _forget(**_: Any) -> None:
    forget_ids()
