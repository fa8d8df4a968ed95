"""Who may ask for what, where it is more than a role at one portfolio."""

from typing import Any

from rest_framework.exceptions import PermissionDenied

from apps.portfolios.access import may_read_portfolio
from nautilus.api.access import has_role


def check_may_analyze_all(user: Any, portfolio_id: str | None = None) -> None:
    if not has_role(user, "risk_manager"):
        raise PermissionDenied("This needs the role 'risk_manager', which your user does not have.")


def may_read_alerts(user: Any, name: str) -> bool:
    """The rule of `risk:alerts:{portfolio_id}`; what is about all portfolios names none of them."""
    if name == "all":
        return has_role(user, "viewer") or has_role(user, "operator")
    return may_read_portfolio(user, name)
