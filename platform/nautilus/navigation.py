"""The admin's name and its side bar."""

from typing import Any

from django.urls import reverse_lazy


def _nav(title: str, icon: str, model: str) -> dict[str, Any]:
    """A link to a model's list, for those who may see that list."""
    app, name = model.split(".")

    def may_see(request: Any) -> bool:
        from django.apps import apps
        from django.contrib.admin import site

        return site.get_model_admin(apps.get_model(model)).has_view_permission(request)

    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{name}_changelist"),
        "permission": may_see,
    }


def admin_site(flower_url: str | None) -> dict[str, Any]:
    """django-unfold's settings."""
    return {
        "SITE_TITLE": "Nautilus",
        "SITE_HEADER": "Nautilus",
        "SITE_SUBHEADER": "Risk and analytics",
        "SITE_SYMBOL": "sailing",
        "SITE_URL": "/api/docs",
        "SIDEBAR": {
            "navigation": [
                {
                    "title": "Books",
                    "items": [
                        _nav("Portfolios", "account_balance_wallet", "portfolios.portfolio"),
                        _nav("Trades", "swap_horiz", "portfolios.trade"),
                        _nav("Cash flows", "payments", "portfolios.cashflow"),
                        _nav("Positions", "stacked_bar_chart", "portfolios.position"),
                        _nav("Daily values", "show_chart", "portfolios.portfoliodata"),
                        _nav("Daily returns", "percent", "portfolios.portfolioreturn"),
                    ],
                },
                {
                    "title": "Market data",
                    "items": [
                        _nav("Instruments", "category", "portfolios.instrument"),
                        _nav("Prices", "candlestick_chart", "portfolios.dailyprice"),
                        _nav("Price versions", "history", "portfolios.priceversion"),
                    ],
                },
                {
                    "title": "Limits and alerts",
                    "items": [
                        _nav("Limits", "speed", "risk.risklimit"),
                        _nav("Changes that wait", "how_to_reg", "risk.limitchange"),
                        _nav("Events", "notifications_active", "risk.riskevent"),
                        _nav("Alert channels", "alternate_email", "risk.alertchannel"),
                        _nav("Alert deliveries", "outgoing_mail", "risk.alertdelivery"),
                        _nav("Reservations", "lock_clock", "portfolios.reservation"),
                        _nav("Pre-trade decisions", "rule", "risk.pretradedecision"),
                        _nav("Halts of all trading", "front_hand", "risk.tradinghalt"),
                        _nav("Monitor", "monitor_heart", "risk.riskmonitor"),
                    ],
                },
                {
                    "title": "Work",
                    "items": [
                        _nav("Tasks", "task_alt", "tasks.task"),
                        _nav("Risk figures", "warning", "risk.riskmetric"),
                        _nav("Performance", "monitoring", "analytics.analyticsmetric"),
                        _nav("Snapshots", "photo_camera", "portfolios.snapshot"),
                    ],
                },
                {
                    "title": "Access",
                    "items": [
                        _nav("Users", "person", "auth.user"),
                        _nav("Roles and desks", "groups", "auth.group"),
                        _nav("Tokens", "key", "knox.authtoken"),
                    ],
                },
                {
                    "title": "Elsewhere",
                    "items": [
                        {"title": "API documentation", "icon": "api", "link": "/api/docs"},
                        *([{"title": "Flower", "icon": "local_florist", "link": flower_url}] if flower_url else []),
                    ],
                },
            ]
        },
    }
