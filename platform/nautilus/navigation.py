"""The admin's name and its side bar."""

from typing import Any

from django.urls import reverse_lazy

# Title, icon and model of each list, by section; and the page, where it is another one than the list.
SECTIONS: dict[str, tuple[tuple[str, ...], ...]] = {
    "Books": (
        ("Portfolios", "account_balance_wallet", "portfolios.portfolio"),
        ("Trades", "swap_horiz", "portfolios.trade"),
        ("Cash flows", "payments", "portfolios.cashflow"),
        ("Positions", "stacked_bar_chart", "portfolios.position"),
        ("Daily values", "show_chart", "portfolios.portfoliodata"),
        ("Daily returns", "percent", "portfolios.portfolioreturn"),
    ),
    "Market data": (
        ("Instruments", "category", "portfolios.instrument"),
        ("Prices", "candlestick_chart", "portfolios.dailyprice"),
        ("Price versions", "history", "portfolios.priceversion"),
    ),
    "Limits and alerts": (
        ("Limits", "speed", "risk.risklimit"),
        ("Changes that wait", "how_to_reg", "risk.limitchange"),
        ("Events", "notifications_active", "risk.riskevent"),
        ("Alert channels", "alternate_email", "risk.alertchannel"),
        ("Alert deliveries", "outgoing_mail", "risk.alertdelivery"),
        ("Reservations", "lock_clock", "portfolios.reservation"),
        ("Pre-trade decisions", "rule", "risk.pretradedecision"),
        ("Halts of all trading", "front_hand", "risk.tradinghalt"),
        ("Monitor", "monitor_heart", "risk.riskmonitor"),
    ),
    "Strategies": (
        ("Strategies", "psychology", "strategies.strategy"),
        ("Versions", "commit", "strategies.strategyversion"),
        ("Merge requests", "merge", "strategies.mergerequest"),
        ("Deployments", "rocket_launch", "strategies.deployment"),
        ("Orders", "receipt_long", "strategies.deploymentorder"),
    ),
    "Work": (
        ("Tasks", "task_alt", "tasks.task"),
        ("Risk figures", "warning", "risk.riskmetric"),
        ("Performance", "monitoring", "analytics.analyticsmetric"),
        ("Tear sheets", "description", "analytics.report"),
        ("Snapshots", "photo_camera", "portfolios.snapshot"),
    ),
    "Sockets": (("Live connections", "sensors", "realtime.websocketmetric", "admin:realtime_live"),),
    "Access": (
        ("Users", "person", "auth.user"),
        ("Roles and desks", "groups", "auth.group"),
        ("Tokens", "key", "knox.authtoken"),
    ),
}


def _nav(title: str, icon: str, model: str, page: str = "") -> dict[str, Any]:
    """A link to a model's list, or to a page about it, for those who may see that list."""
    app, name = model.split(".")

    def may_see(request: Any) -> bool:
        from django.apps import apps
        from django.contrib.admin import site

        return site.get_model_admin(apps.get_model(model)).has_view_permission(request)

    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(page or f"admin:{app}_{name}_changelist"),
        "permission": may_see,
    }


def admin_site(flower_url: str | None) -> dict[str, Any]:
    """django-unfold's settings."""
    lists = [{"title": title, "items": [_nav(*item) for item in items]} for title, items in SECTIONS.items()]
    return {
        "SITE_TITLE": "Nautilus",
        "SITE_HEADER": "Nautilus",
        "SITE_SUBHEADER": "Risk and analytics",
        "SITE_SYMBOL": "sailing",
        "SITE_URL": "/",
        "SIDEBAR": {"navigation": [*lists, {"title": "Elsewhere", "items": _elsewhere(flower_url)}]},
    }


def _elsewhere(flower_url: str | None) -> list[dict[str, Any]]:
    links = [{"title": "API documentation", "icon": "api", "link": "/api/docs"}]
    if flower_url:
        links.append({"title": "Flower", "icon": "local_florist", "link": flower_url})
    return links
