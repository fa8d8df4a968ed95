"""A worker holds a task by a lease that it renews; one that dies stops renewing, and the task is free again."""

import ctypes
import logging
import threading
from datetime import timedelta
from types import TracebackType
from typing import Self
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone

from apps.tasks.errors import JobStoppedError
from apps.tasks.models import Task

logger = logging.getLogger(__name__)


class Lease:
    """Renews the lease from a thread of its own, and stops the job where the row is no longer this attempt's.

    The thread touches the database only after a third of the lease: a short job never pays for its connection.
    """

    def __init__(self, task_id: UUID, attempt: int) -> None:
        self._task_id = task_id
        self._attempt = attempt
        self._interval = settings.TASK_LEASE_SECONDS / 3
        self._released = threading.Event()
        self._lost = False
        self._owner = threading.get_ident()
        self._thread = threading.Thread(target=self._keep, name=f"lease-{task_id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        self._thread.join()
        if self._lost:
            self._raise_in_owner(None)  # one that has not struck yet must not strike later
            raise JobStoppedError

    def _keep(self) -> None:
        try:
            while not self._released.wait(self._interval):
                if not self._renewed():
                    self._lost = True
                    self._raise_in_owner(JobStoppedError)
                    return
        finally:
            connection.close()

    def _renewed(self) -> bool:
        expiry = timezone.now() + timedelta(seconds=settings.TASK_LEASE_SECONDS)
        try:
            mine = Task.objects.filter(pk=self._task_id, status=Task.Status.PROCESSING, attempts=self._attempt)
            return bool(mine.update(lease_expires_at=expiry))
        except DatabaseError as error:
            # Whether the row is still ours is decided when the job ends; until then the work goes on.
            logger.warning("task %s: its lease could not be renewed: %s", self._task_id, error)
            connection.close()
            return True

    def _raise_in_owner(self, exception: type[BaseException] | None) -> None:
        target = ctypes.py_object(exception) if exception else None
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._owner), target)
