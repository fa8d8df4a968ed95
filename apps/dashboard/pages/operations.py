"""Operations: what is wrong and what mends it, and what runs. Each section is asked for by itself, and fails by itself.

It is for the night on which things are broken: nothing here needs the database to be there (operations_access.py).
"""

import time
from http import HTTPStatus
from typing import Any, ClassVar

from django.conf import settings
from django.db.utils import Error as DatabaseError
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from redis.exceptions import RedisError

from apps.analytics.real_time_engine import BOOKS_STALE_SECONDS
from apps.analytics.streaming.status import streaming_status
from apps.dashboard.pages.health_figures import health_figures
from apps.dashboard.pages.operations_access import check_database_answers, user_of
from apps.dashboard.pages.page import EVERYBODY, Page, finding_of
from apps.dashboard.pages.queue_figures import queue_figures
from apps.dashboard.pages.runbook import read_section
from apps.operations.api.credentials import AUTHENTICATION_SECONDS
from apps.operations.running import CHECK_SECONDS
from apps.operations.sections import SECTIONS
from apps.portfolios.feed import FeedState, feed_state, feed_status
from apps.realtime import statistics
from apps.realtime.websocket_manager import WebSocketManager
from apps.risk.monitoring import monitor_freshness
from nautilus.api.access import has_role, sees_every_portfolio
from nautilus.cache import control
from nautilus.cache.keys import PREFIXES
from nautilus.connections import redis_client

TOPICS_SHOWN = 25
# A moment gets older by so much until its section is asked for again: it is no staler by that.
BETWEEN_LOOKS_SECONDS = 10


class OperationsView(Page):
    """What the pages under /operations share: a store that is away keeps nobody out."""

    title = "Operations"
    entry = "operations"
    roles: ClassVar[tuple[str, ...]] = EVERYBODY
    user_within_seconds: ClassVar[float | None] = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.began = time.monotonic()
        try:
            request.user = user_of(request, self.user_within_seconds)
        except DatabaseError as error:
            return Page.store_failed(self, request, error)  # to somebody unknown no more is said than the symptom
        return super().dispatch(request, *args, **kwargs)


class OperationsPage(OperationsView):
    template_name = "dashboard/operations.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {"prefixes": PREFIXES}


class Section(OperationsView):
    """One card of the page. Where its store is away it says so, and what mends it."""

    def figures(self) -> dict[str, Any]:
        """What its template shows. Raises the stores' errors."""
        raise NotImplementedError

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | self.figures() | {"now": timezone.now()}

    def store_failed(self, request: HttpRequest, error: DatabaseError | RedisError) -> HttpResponseBase:
        finding = finding_of(error)
        said = {"finding": finding.as_dict(), "section": finding.section, "now": timezone.now()}
        return render(request, "dashboard/operations/failed.html", said, status=HTTPStatus.SERVICE_UNAVAILABLE)


class HealthSection(Section):
    """Among the quick paths: it answers within two seconds, whatever hangs."""

    template_name = "dashboard/operations/health.html"
    user_within_seconds = AUTHENTICATION_SECONDS

    def figures(self) -> dict[str, Any]:
        user = self.request.user
        with_names = has_role(user, "operator") or sees_every_portfolio(user)
        left_seconds = CHECK_SECONDS - (time.monotonic() - self.began)
        return {"health": health_figures(seconds=left_seconds, with_names=with_names)}


class QueuesSection(Section):
    roles = ("operator",)
    template_name = "dashboard/operations/queues.html"

    def figures(self) -> dict[str, Any]:
        return {"figures": queue_figures(redis_client())}


class SocketsSection(Section):
    roles = ("operator",)
    template_name = "dashboard/operations/sockets.html"

    def figures(self) -> dict[str, Any]:
        """The hubs are asked once for all three answers of the API."""
        client = redis_client()
        reports = WebSocketManager(client).ask()
        subscriptions = statistics.subscriptions(reports, client)
        return {
            "stats": statistics.connection_stats(reports),
            "performance": statistics.performance(reports, client),
            "topics": subscriptions["topics"][:TOPICS_SHOWN],
            "topics_total": subscriptions["total"],
        }


class MarketDataSection(Section):
    template_name = "dashboard/operations/market_data.html"

    def figures(self) -> dict[str, Any]:
        return {
            "state": _feed_state(),
            "engine": streaming_status(redis_client()),
            "feed_stale_seconds": settings.FEED_STALE_SECONDS + BETWEEN_LOOKS_SECONDS,
            "books_stale_seconds": BOOKS_STALE_SECONDS + BETWEEN_LOOKS_SECONDS,
        }


def _feed_state() -> FeedState:
    """Without the database, what Redis knows of the live prices."""
    try:
        check_database_answers()
        return feed_state()
    except DatabaseError:
        return FeedState(feed_status(), 0)


class MonitoringSection(Section):
    """Of the monitor alone: an operator may start and stop it, and need not read any book."""

    roles = ("operator",)
    template_name = "dashboard/operations/monitoring.html"

    def figures(self) -> dict[str, Any]:
        check_database_answers()
        return {"monitor": monitor_freshness()}


class CacheSection(Section):
    roles = ("operator",)
    template_name = "dashboard/operations/cache.html"

    def figures(self) -> dict[str, Any]:
        return {"cache": control.status()}


class RunbookPage(OperationsView):
    """A section of docs/runbook.md, or the list of all of them."""

    title = "Runbook"
    template_name = "dashboard/operations/runbook.html"

    def get_context_data(self, section: str = "", **kwargs: Any) -> dict[str, Any]:
        if section and section not in SECTIONS:
            raise Http404(f"docs/runbook.md has no section '{section}'.")
        return super().get_context_data(**kwargs) | {
            "title": SECTIONS.get(section, self.title),
            "section": section,
            "sections": SECTIONS,
            "blocks": read_section(section) if section else (),
        }
