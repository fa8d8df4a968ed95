"""Whether the monitor shall run, and whether it does: start, stop, and how fresh what it says is.

PostgreSQL has the last word; Redis holds the same under `risk_monitoring_enabled`, for operators' hands. A Redis that
was wiped is told again, and an operator who sets the key there is obeyed, with an event that says so.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Now
from redis.exceptions import RedisError

from apps.portfolios.models import Portfolio
from apps.risk.events import close_portfolio_events, record_events
from apps.risk.models import RiskEvent, RiskLimit, RiskMonitor, Severity
from nautilus.connections import redis_client

FLAG = "risk_monitoring_enabled"
INTERVALS_UNTIL_STALE = 3

_SAID = {"1": True, "true": True, "on": True, "0": False, "false": False, "off": False}

logger = logging.getLogger(__name__)


def monitor_row() -> RiskMonitor:
    return RiskMonitor.objects.get_or_create(pk=1)[0]


@dataclass(frozen=True, slots=True)
class Freshness:
    """The monitor's row as it is `now`, by the database's clock: true also when everything else is dead."""

    monitor: RiskMonitor
    now: datetime

    @property
    def patience(self) -> timedelta:
        """How long ago the last whole run may have begun."""
        seconds = INTERVALS_UNTIL_STALE * settings.MONITOR_INTERVAL_SECONDS + (self.monitor.last_run_seconds or 0.0)
        return timedelta(seconds=seconds)

    @property
    def lag_seconds(self) -> float | None:
        last = self.monitor.last_run_at
        return None if last is None else (self.now - last).total_seconds()

    @property
    def expected_from(self) -> datetime:
        """Since when the next run is waited for: the last one, or the start where that came later."""
        return max(filter(None, (self.monitor.last_run_at, self.monitor.changed_at)))

    @property
    def stalled(self) -> bool:
        """It shall run and does not; one that was started just now has its time."""
        return self.monitor.enabled and self.now - self.expected_from > self.patience

    @property
    def running(self) -> bool:
        return self.monitor.enabled and not self.stalled

    @property
    def next_run_at(self) -> datetime | None:
        interval = timedelta(seconds=settings.MONITOR_INTERVAL_SECONDS)
        return self.expected_from + interval if self.running else None

    @property
    def interval_seconds(self) -> int:
        return settings.MONITOR_INTERVAL_SECONDS

    @property
    def last_error(self) -> str | None:
        return self.monitor.last_error or None

    @property
    def failure(self) -> str | None:
        """Why there was no whole run since the last one, where a run has said so."""
        last, failed = self.monitor.last_run_at, self.monitor.last_error_at
        return self.last_error if failed and (last is None or failed > last) else None

    @property
    def stale_reason(self) -> str | None:
        """Why the status of a limit may not be what it is now; None while it is."""
        last = self.monitor.last_run_at
        if not self.monitor.enabled:
            return f"monitoring is stopped since {_moment(self.monitor.changed_at)}"
        if last is None:
            return "not evaluated yet: the monitor has not run"
        if self.now - last <= self.patience:
            return None
        return f"not evaluated since {_moment(last)}: the monitor has not run for {self.lag_seconds:.0f} s"


def monitor_freshness() -> Freshness:
    monitor_row()
    monitor = RiskMonitor.objects.annotate(now=Now()).get()
    return Freshness(monitor, monitor.now)


def in_force(now: datetime | Now) -> Q:
    """The limits that bind at this moment."""
    begun = Q(effective_from=None) | Q(effective_from__lte=now)
    not_over = Q(effective_to=None) | Q(effective_to__gt=now)
    return Q(begun, not_over, active=True)


def count_limits(portfolios: QuerySet[Portfolio]) -> dict[str, int]:
    """Limits in force of these portfolios, by status, and their `total`."""
    open_portfolios = portfolios.filter(closed_at=None)
    limits = RiskLimit.objects.filter(in_force(Now()), portfolio__in=open_portfolios)
    counted = dict(limits.order_by().values_list("status").annotate(Count("pk")))
    return {**{status: counted.get(status, 0) for status in RiskLimit.Status.values}, "total": sum(counted.values())}


def shown_counts(portfolios: QuerySet[Portfolio], freshness: Freshness) -> dict[str, int]:
    """As the limits are shown: where the monitor is late or stopped, only a breach stays what it was."""
    counts = count_limits(portfolios)
    if freshness.stale_reason:
        counts |= {"unknown": counts["total"] - counts["breach"], "ok": 0, "warning": 0}
    return counts


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def start_monitoring(user: Any) -> None:
    """From the next interval on. Raises RedisError, and changes nothing, where the flag in Redis cannot be set."""
    _set_enabled(True, user)


def stop_monitoring(user: Any) -> None:
    """At once: a run that is under way writes nothing any more. Raises RedisError as start_monitoring does."""
    _set_enabled(False, user)


@transaction.atomic
def _set_enabled(enabled: bool, user: Any) -> None:
    monitor = hold_monitor()
    if monitor.enabled != enabled:
        _change(enabled, user, f"by {user}" if user else "from a shell")
    redis_client().set(FLAG, _text(enabled))


def hold_monitor() -> RiskMonitor:
    """The row, held until the transaction ends, so that the flag in Redis follows it in the same order."""
    monitor_row()
    return RiskMonitor.objects.select_for_update().get()


def _change(enabled: bool, user: Any, by_whom: str) -> None:
    RiskMonitor.objects.filter(enabled=not enabled).update(enabled=enabled, changed_at=Now(), changed_by=user)
    close_portfolio_events([None], [RiskEvent.Type.MONITORING_STOPPED, RiskEvent.Type.MONITORING_STALLED])
    record_events([_event_of_start(by_whom) if enabled else _event_of_stop(by_whom)])


def _event_of_start(by_whom: str) -> RiskEvent:
    return RiskEvent(
        event_type=RiskEvent.Type.MONITORING_STARTED,
        severity=Severity.INFO,
        message=f"The monitoring of limits was started {by_whom}",
    )


def _event_of_stop(by_whom: str) -> RiskEvent:
    return RiskEvent(
        event_type=RiskEvent.Type.MONITORING_STOPPED,
        severity=Severity.CRITICAL,
        message=f"The monitoring of limits was stopped {by_whom}: no limit is evaluated until it is started again",
    )


def _text(enabled: bool) -> str:
    return "1" if enabled else "0"


@transaction.atomic
def agree_on_flag() -> bool:
    """Whether monitoring is enabled, once PostgreSQL and Redis say the same; PostgreSQL's word where Redis is away."""
    monitor = hold_monitor()
    try:
        said = redis_client().get(FLAG)
        wanted = _wanted(said)
        if wanted is None:
            redis_client().set(FLAG, _text(monitor.enabled))
    except RedisError as error:
        logger.warning("The flag '%s' could not be read: %s; the database's is taken", FLAG, error)
        return monitor.enabled
    if wanted is None or wanted == monitor.enabled:
        return monitor.enabled
    _change(wanted, None, f"by setting {FLAG} to {said!r} in Redis")
    return wanted


@transaction.atomic
def restore_flag() -> bool:
    """Writes PostgreSQL's word, which it returns, where Redis says nothing usable; what somebody has set stays.

    Raises RedisError.
    """
    enabled = hold_monitor().enabled
    if _wanted(redis_client().get(FLAG)) is None:
        redis_client().set(FLAG, _text(enabled))
    return enabled


def _wanted(said: Any) -> bool | None:
    """None where the key says nothing, or nothing that means anything."""
    if said is None:
        logger.info("The flag '%s' is not in Redis: it is written again", FLAG)
        return None
    wanted = _SAID.get(str(said).strip().lower())
    if wanted is None:
        logger.warning("The flag '%s' is %.60r; expected 1 or 0: it is written again", FLAG, said)
    return wanted
