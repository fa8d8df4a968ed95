"""Who may ask for what, where it is more than a role at one portfolio."""

from typing import Any

from rest_framework.exceptions import PermissionDenied

from nautilus.api.access import has_role


def check_may_analyze_all(user: Any, portfolio_id: str | None = None) -> None:
    if not has_role(user, "risk_manager"):
        raise PermissionDenied("This needs the role 'risk_manager', which your user does not have.")
