"""One run at a time, across machines: a lease on the monitor's row, and a number that a run writes under.

Whoever dies stops renewing, and the next run takes over when the lease is out. One that was only slow, and is awake
again, finds that the number is no longer its own: it writes nothing.
"""

import logging
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import QuerySet
from django.db.models.functions import Now

from apps.risk.models import RiskMonitor
from apps.risk.monitoring import monitor_row
from nautilus.api.errors import DomainError

logger = logging.getLogger(__name__)

_TAKE = (Path(__file__).parents[1] / "sql" / "monitor_take_turn.sql").read_text()


class TurnLostError(Exception):
    """Another run has taken over, or monitoring was stopped: nothing of this one may be written."""


@dataclass(frozen=True, slots=True)
class Turn:
    epoch: int
    began: datetime

    @property
    def row(self) -> QuerySet[RiskMonitor]:
        """The monitor's row while this turn goes on, else nothing."""
        return RiskMonitor.objects.filter(epoch=self.epoch)


def lease_seconds() -> float:
    """One interval, so that a dead run is replaced within two; a renewal needs some time to arrive, too."""
    return max(settings.MONITOR_INTERVAL_SECONDS, 2)


def take_turn(holder: str) -> Turn | None:
    """None where another run goes on."""
    monitor_row()
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, {"holder": holder, "lease_seconds": lease_seconds()})
        taken = cursor.fetchone()
    return Turn(*taken) if taken else None


def give_up(turn: Turn) -> None:
    turn.row.update(lease_expires_at=None)


def end_turn(turn: Turn, seconds: float, portfolios: int, limits: int) -> None:
    """Keeps that a whole run was done, in its transaction. Raises TurnLostError, so that the rest is rolled back.

    The row is held from here to the commit: who stops monitoring meanwhile waits for that.
    """
    ended = turn.row.filter(enabled=True).update(
        last_run_at=turn.began,
        last_run_seconds=seconds,
        portfolios_monitored=portfolios,
        limits_monitored=limits,
        lease_expires_at=None,
    )
    if not ended:
        raise TurnLostError


def fail_turn(turn: Turn, error: Exception) -> None:
    """Keeps why there is no run; the next one starts afresh."""
    said = error.sentence if isinstance(error, DomainError) else f"{type(error).__name__}: {error}"
    turn.row.update(lease_expires_at=None, last_error=said, last_error_at=Now())


class Renewal:
    """Renews the lease from a thread of its own while a run computes.

    The thread touches the database only after a third of the lease: a short run never pays for its connection.
    """

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._pause = lease_seconds() / 3
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"monitor-{turn.epoch}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _keep(self) -> None:
        try:
            while not self._done.wait(self._pause):
                self._renew()
        finally:
            connection.close()

    def _renew(self) -> None:
        # Whether the turn is still this run's is decided when it writes; until then the work goes on.
        try:
            self._turn.row.update(lease_expires_at=Now() + timedelta(seconds=lease_seconds()))
        except DatabaseError as error:
            logger.warning("The monitor's lease could not be renewed: %s", error)
            connection.close()
