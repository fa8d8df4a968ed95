"""Roles of endpoints that more than one may call; what else must hold, access.py says."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from nautilus.api.access import roles_of


class StrategistOrOperator(BasePermission):
    """Strategists do it with what is theirs, operators with anything."""

    message = "This needs the role 'strategist' or 'operator', which your user does not have."

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool({"strategist", "operator"} & roles_of(request.user))
