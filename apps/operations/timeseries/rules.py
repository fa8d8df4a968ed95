"""What is deleted once it is old, table by table. What no rule names is kept for ever (docs/time-series.md)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.realtime.models import WebsocketMetric
from apps.risk.models import AlertDelivery, RiskMetric
from apps.tasks.models import Task


@dataclass(frozen=True, slots=True)
class Rule:
    """`old` takes the moment before which rows are old; `setting` names the days, 0 for ever."""

    table: str
    setting: str
    old: Callable[[datetime], QuerySet[Any]]

    @property
    def keep_days(self) -> int:
        return getattr(settings, self.setting)


def _old_websocket_metrics(before: datetime) -> QuerySet[WebsocketMetric]:
    return WebsocketMetric.objects.filter(timestamp__lt=before).order_by("timestamp")


def _old_tasks(before: datetime) -> QuerySet[Task]:
    """Ended, whole (a part goes with its task), and not what a stored figure, report or deployment came of."""
    ended = Task.objects.exclude(status=Task.Status.PROCESSING).filter(finished_at__lt=before, part_of=None)
    for model, name in _referring_to_tasks():
        of_task = Q(**{name: OuterRef("pk")}) | Q(**{f"{name}__part_of": OuterRef("pk")})
        ended = ended.exclude(Exists(model._base_manager.filter(of_task)))
    return ended.order_by("finished_at")


def _referring_to_tasks() -> list[tuple[Any, str]]:
    relations = [each for each in Task._meta.get_fields(include_hidden=True) if each.auto_created and each.is_relation]
    others = [each for each in relations if each.related_model is not Task and not each.concrete]
    return [(each.related_model, each.field.name) for each in others]  # type: ignore[union-attr]


def _old_deliveries(before: datetime) -> QuerySet[AlertDelivery]:
    """Of events that are over: an open one is told again, and by what was told the last time."""
    ended = AlertDelivery.objects.filter(status__in=[AlertDelivery.Status.DELIVERED, AlertDelivery.Status.DEAD])
    return ended.filter(created_at__lt=before, event__closed_at__isnull=False).order_by("created_at")


def _old_monitor_figures(before: datetime) -> QuerySet[RiskMetric]:
    """The monitor's own; what somebody asked for has a task."""
    return RiskMetric.objects.filter(task=None, timestamp__lt=before).order_by("timestamp")


def _old_sessions(before: datetime) -> QuerySet[Session]:
    return Session.objects.filter(expire_date__lt=before).order_by("expire_date")


RULES = (
    Rule("websocket_metrics", "WEBSOCKET_METRICS_DAYS", _old_websocket_metrics),
    Rule("tasks_task", "TASKS_DAYS", _old_tasks),
    Rule("risk_alert_deliveries", "ALERT_DELIVERIES_DAYS", _old_deliveries),
    Rule("risk_metrics", "MONITOR_FIGURES_DAYS", _old_monitor_figures),
    Rule("django_session", "SESSIONS_DAYS", _old_sessions),
)
