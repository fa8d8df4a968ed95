"""Who may do what (contract section 2): roles are Django groups; every rule about objects stands here."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

if TYPE_CHECKING:  # rest_framework.views reads our settings, which name this module
    from rest_framework.views import APIView

ADMIN = "admin"
ROLES = ("viewer", "trader", "risk_manager", "strategist", "operator", ADMIN)

# What holding a role lets one do besides. An operator runs the system and reads no book.
_IMPLIED = {
    "viewer": {"viewer"},
    "trader": {"viewer", "trader"},
    "risk_manager": {"viewer", "risk_manager"},
    "strategist": {"viewer", "strategist"},
    "operator": {"operator"},
    ADMIN: set(ROLES),
}


def roles_of(user: Any) -> frozenset[str]:
    """The roles a user may act in; read once a request, as the user object lives no longer."""
    if not user.is_authenticated or not user.is_active:
        return frozenset()
    if user.is_superuser:
        return frozenset(ROLES)
    if not hasattr(user, "_nautilus_roles"):
        remember_roles(user, user.groups.filter(name__in=ROLES).values_list("name", flat=True))
    return user._nautilus_roles


def remember_roles(user: Any, groups: Iterable[str]) -> None:
    """Spares the question for as long as the object lives; `groups` may name desks as well."""
    user._nautilus_roles = frozenset(role for name in groups for role in _IMPLIED.get(name, ()))


def has_role(user: Any, role: str) -> bool:
    return role in roles_of(user)


def sees_every_portfolio(user: Any) -> bool:
    """Risk managers and admins read all portfolios; everybody else those of their own groups."""
    return bool({"risk_manager", ADMIN} & roles_of(user))


def sees_every_task(user: Any) -> bool:
    return bool({"risk_manager", ADMIN} & roles_of(user))


class RolePermission(BasePermission):
    role = ""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        self.message = f"This needs the role '{self.role}', which your user does not have."
        return has_role(request.user, self.role)


class Viewer(RolePermission):
    role = "viewer"


class Trader(RolePermission):
    role = "trader"


class RiskManager(RolePermission):
    role = "risk_manager"


class Strategist(RolePermission):
    role = "strategist"


class Operator(RolePermission):
    role = "operator"


class Admin(RolePermission):
    role = ADMIN


class ViewerOrOperator(BasePermission):
    """Tasks: viewers follow their own, operators all."""

    message = "This needs the role 'viewer' or 'operator', which your user does not have."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        return bool({"viewer", "operator"} & roles_of(request.user))
