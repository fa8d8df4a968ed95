"""Live connections: what the hubs say at this moment, the last day as a chart, and two buttons. And the rows of it."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import pluralize
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from redis.exceptions import RedisError

from apps.realtime import statistics
from apps.realtime.control import Answers
from apps.realtime.metrics import last_day
from apps.realtime.models import WebsocketMetric
from apps.realtime.websocket_manager import WebSocketManager
from nautilus.api.admin import ReadOnlyAdmin
from nautilus.api.errors import DomainError
from nautilus.connections import redis_client

LISTED = 50
LIVE = "admin:realtime_live"
NO_REDIS = "Redis does not answer, so the processes cannot be asked. Sockets come back to it by themselves."

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Measure:
    """What a button does, once it was confirmed."""

    title: str
    effect: str
    carry_out: Callable[[WebSocketManager], str]


def _clean_up(manager: WebSocketManager) -> str:
    closed = manager.cleanup_stale_connections()
    return f"{closed} stale connection{pluralize(closed, ' was,s were')} closed."


def _restart(manager: WebSocketManager) -> str:
    done = manager.restart()
    processes, closed, silent = done["processes"], done["connections_closed"], done["silent_processes"]
    and_silent = f"; {silent} did not answer" if silent else ""
    return f"{processes} process{pluralize(processes, 'es')} closed {closed} socket{pluralize(closed)}{and_silent}."


MEASURES = {
    "cleanup": Measure(
        "Clean up stale connections",
        "Closes the sockets of clients that are not there any more, in all processes. The others notice nothing.",
        _clean_up,
    ),
    "restart": Measure(
        "Restart sockets",
        "Closes every socket of every process with 1012 and starts the hubs' connections to Redis anew. Clients come "
        "back by themselves within seconds and get what they missed.",
        _restart,
    ),
}


@admin.register(WebsocketMetric)
class WebsocketMetricAdmin(ReadOnlyAdmin):
    readers = ("operator",)
    list_display = [
        "timestamp",
        "process",
        "active",
        "messages_per_second",
        "latency_p50_ms",
        "latency_p99_ms",
        "queue_depth",
        "dropped",
        "slow_consumers",
    ]
    list_filter = ["process"]
    date_hierarchy = "timestamp"

    def get_urls(self) -> list[URLPattern]:
        live, measure = self.admin_site.admin_view(self.live), self.admin_site.admin_view(self.measure)
        ours = [
            path("live/", live, name="realtime_live"),
            path("live/<slug:name>/", measure, name="realtime_measure"),
        ]
        return [*ours, *super().get_urls()]

    def live(self, request: HttpRequest) -> HttpResponse:
        self._check(request)
        manager = WebSocketManager()
        try:
            figures = _figures(manager.ask())
        except RedisError as error:
            logger.warning("The page of live connections could not ask the hubs: %s", error)
            figures = {"unavailable": NO_REDIS}
        chart = {"chart": json.dumps(_chart()), "chart_options": json.dumps(CHART_OPTIONS)}
        rows_url = reverse("admin:realtime_websocketmetric_changelist")
        more = {"measures": MEASURES, "rows_url": rows_url, **chart}
        return self._page(request, "live.html", "Live connections", {**figures, **more})

    def measure(self, request: HttpRequest, name: str) -> HttpResponse:
        """Asks first; a POST does it."""
        self._check(request)
        if name not in MEASURES:
            raise Http404(f"There is no measure '{name}'; expected one of {', '.join(MEASURES)}.")
        measure = MEASURES[name]
        if request.method != "POST":
            return self._page(request, "confirm.html", measure.title, {"measure": measure})
        self._carry_out(request, measure)
        return HttpResponseRedirect(reverse(LIVE))

    def _carry_out(self, request: HttpRequest, measure: Measure) -> None:
        logger.warning("User %s asked in the admin: %s", request.user.pk, measure.title)
        try:
            self.message_user(request, measure.carry_out(WebSocketManager()), messages.SUCCESS)
        except DomainError as error:
            self.message_user(request, error.sentence, messages.ERROR)
        except RedisError:
            self.message_user(request, f"{NO_REDIS} Nothing is known to have been done.", messages.ERROR)

    def _check(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise Http404("There is no such page for you.")

    def _page(self, request: HttpRequest, template: str, title: str, context: dict[str, Any]) -> HttpResponse:
        request.current_app = self.admin_site.name  # unfold's header asks for it
        around = {**self.admin_site.each_context(request), "title": title, "live_url": reverse(LIVE)}
        return TemplateResponse(request, f"admin/realtime/{template}", {**around, **context})


# --- What the page shows ------------------------------------------------------------------------------
CHART_OPTIONS = {
    "maintainAspectRatio": False,
    "plugins": {"legend": {"display": True, "align": "end"}},
    "scales": {
        "x": {"ticks": {"maxTicksLimit": 9, "maxRotation": 0}, "grid": {"display": False}},
        "y": {"beginAtZero": True, "ticks": {"display": True}},
        "rate": {"beginAtZero": True, "position": "right", "grid": {"display": False}},
    },
}


def _chart() -> dict[str, Any]:
    """Chart.js's data. A quarter of an hour in which nothing was recorded is a hole in the lines."""
    day = last_day()
    line = {"borderWidth": 2, "pointRadius": 0, "tension": 0}
    return {
        "labels": [f"{quarter:%H:%M}" for quarter, _, _ in day],
        "datasets": [
            {**line, "label": "Open sockets", "data": [open_ for _, open_, _ in day], "borderColor": "#2563eb"},
            {
                **line,
                "label": "Messages/s",
                "data": [rate for _, _, rate in day],
                "borderColor": "#d97706",
                "yAxisID": "rate",
            },
        ],
    }


def _figures(reports: Answers) -> dict[str, Any]:
    stats = statistics.connection_stats(reports)
    followed = statistics.subscriptions(reports, redis_client())
    users = statistics.sockets_of_users(reports).most_common()
    return {
        "stats": stats,
        "cards": _cards(stats),
        "processes": _table(_PROCESS_COLUMNS, stats["processes"]),
        "topics": _table(_TOPIC_COLUMNS, followed["topics"][:LISTED]),
        "topics_total": followed["total"],
        "users": {"headers": ["User", "Sockets"], "rows": [list(user) for user in users[:LISTED]]},
        "users_total": len(users),
        "listed": LISTED,
    }


def _cards(stats: dict[str, Any]) -> list[tuple[str, str, str]]:
    rate = sum(process["messages_per_second"] for process in stats["processes"])
    return [
        ("Open sockets", f"{stats['active']:,}", f"of {stats['max']:,} that may be open"),
        ("Messages/s", f"{rate:,.1f}", f"{stats['messages_sent']:,} since the start"),
        ("Refused", f"{stats['rejected']:,}", f"{stats['accepted']:,} accepted"),
        ("Closed as too slow", f"{stats['slow_consumers']:,}", f"{stats['dropped']:,} messages given up"),
    ]


Columns = dict[str, Callable[[dict[str, Any]], str]]

_PROCESS_COLUMNS: Columns = {
    "Process": lambda row: row["process"],
    "Up": lambda row: _duration(row["uptime_seconds"]),
    "Sockets": lambda row: f"{row['active']:,} of {row['max']:,}",
    "Topics": lambda row: f"{row['topics']:,}",
    "Messages/s": lambda row: f"{row['messages_per_second']:,.1f}",
    "Waiting": lambda row: f"{row['queue_depth']:,}",
    "p50 / p99": lambda row: f"{_milliseconds(row['latency_ms']['p50'])} / {_milliseconds(row['latency_ms']['p99'])}",
    "Too slow": lambda row: f"{row['slow_consumers']:,}",
    "Refused": lambda row: f"{row['rejected']:,}",
}
_TOPIC_COLUMNS: Columns = {
    "Topic": lambda row: row["topic"],
    "Subscribers": lambda row: f"{row['subscribers']:,}",
    "Last seq": lambda row: "-" if row["last_seq"] is None else f"{row['last_seq']:,}",
}


def _table(columns: Columns, rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {"headers": list(columns), "rows": [[shown(row) for shown in columns.values()] for row in rows]}


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f} ms"


def _duration(seconds: float) -> str:
    minutes, _ = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes} min" if hours else f"{minutes} min"
