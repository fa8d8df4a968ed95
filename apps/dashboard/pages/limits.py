"""Limits and alerts: what is allowed, what happened, who is told. Three views of one page, chosen by `?view=`."""

from collections.abc import Callable, Iterable
from typing import Any

from django.http import Http404, HttpRequest

from apps.dashboard.pages.alert_channels import channel_form, shown_channels
from apps.dashboard.pages.alert_list import shown_alerts
from apps.dashboard.pages.limit_forms import limit_form, limit_history
from apps.dashboard.pages.limit_list import shown_limits, waiting_changes
from apps.dashboard.pages.page import Page
from apps.portfolios.access import visible_portfolios
from apps.risk.halting import halt_in_force
from apps.risk.monitoring import monitor_freshness, shown_counts
from nautilus.api.access import sees_every_portfolio

VIEWS = {"limits": "Limits", "alerts": "Alerts", "channels": "Channels"}
PARTS_OF = {
    "limits": ("standing", "changes", "limits"),
    "alerts": ("standing", "alerts"),
    "channels": ("standing", "channels"),
}
# One socket follows so many topics at most (NAUTILUS_MAX_SUBSCRIPTIONS is 200); the others are asked for by time.
MOST_FOLLOWED = 150


class LimitsPage(Page):
    title = "Limits and alerts"
    entry = "limits"
    roles = ("viewer",)
    template_name = "dashboard/limits.html"
    fragments = {
        "standing": "dashboard/limits/standing.html",
        "changes": "dashboard/limits/changes.html",
        "limits": "dashboard/limits/limits.html",
        "limit-history": "dashboard/limits/history.html",
        "limit-form": "dashboard/limits/limit_form.html",
        "alerts": "dashboard/limits/alerts.html",
        "channels": "dashboard/limits/channels.html",
        "channel-form": "dashboard/limits/channel_form.html",
    }

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        view = self.request.GET.get("view") or "limits"
        if view not in VIEWS:
            raise Http404(f"There is no view '{view[:40]}' here; expected one of {', '.join(VIEWS)}.")
        context = super().get_context_data(**kwargs) | {"view": view, "views": VIEWS, "asked": self.request.GET}
        if self._target() not in self.fragments:
            context |= {"to_follow": _to_follow(self.request.user, view)}
            context |= {"chosen_besides": self._chosen_besides(context["portfolios_to_choose"])}
        for part in self._parts(view):
            context |= _PARTS[part](self.request)
        return context

    def _chosen_besides(self, portfolios: Iterable[dict[str, Any]]) -> str:
        """A portfolio that the address names and the filter does not offer: one that is closed, say."""
        chosen = self.request.GET.get("portfolio_id", "")
        return "" if any(each["id"] == chosen for each in portfolios) else chosen

    def _target(self) -> str:
        return self.request.headers.get("HX-Target", "") if self.request.headers.get("HX-Request") else ""

    def _parts(self, view: str) -> tuple[str, ...]:
        """A fragment needs its own figures alone."""
        return (self._target(),) if self._target() in self.fragments else PARTS_OF[view]


def standing(request: HttpRequest) -> dict[str, Any]:
    """Whether limits are looked at, how many stand how, and whether anybody may trade."""
    freshness = monitor_freshness()
    portfolios = visible_portfolios(request.user).filter(closed_at=None)
    return {"monitor": freshness, "counts": shown_counts(portfolios, freshness), "halt": halt_in_force()}


def _to_follow(user: Any, view: str) -> dict[str, list[str]]:
    """The topics: a pattern is for those who see every portfolio, and covers what is about all of them."""
    if sees_every_portfolio(user):
        names = ["*"]
    else:
        portfolios = visible_portfolios(user).filter(closed_at=None).order_by("id")
        names = [*portfolios.values_list("id", flat=True)[:MOST_FOLLOWED]]
    about_all = ["risk:alerts:all"]
    alerts = [f"risk:alerts:{name}" for name in names]
    return {
        "updates": [f"portfolio:updates:{name}" for name in names] if view == "limits" else [],
        "alerts": (alerts if "*" in names else alerts + about_all) if view == "alerts" else about_all,
    }


_PARTS: dict[str, Callable[[HttpRequest], dict[str, Any]]] = {
    "standing": standing,
    "changes": waiting_changes,
    "limits": shown_limits,
    "limit-history": limit_history,
    "limit-form": limit_form,
    "alerts": shown_alerts,
    "channels": shown_channels,
    "channel-form": channel_form,
}
