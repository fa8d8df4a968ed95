"""What a user may do with a deployment, to show no button that would be refused. The rules are those of access.py."""

from dataclasses import dataclass
from typing import Any

from apps.strategies.models import IN_PIPELINE, Deployment
from apps.strategies.states import active
from nautilus.api.access import ADMIN, has_role

Status = Deployment.Status

MAY, FORCED = "may", "forced"


@dataclass(frozen=True, slots=True)
class Rights:
    """`roll_back` is MAY, FORCED where by force alone, or ""; `own` says why somebody else has to approve."""

    roll_back: str
    approve: bool
    own: bool


def rights(user: Any, deployment: Deployment, *, returns: bool = False) -> Rights:
    """`returns`: it was rolled back, and what was to come back failed (returns_to_nothing)."""
    ends = returns or deployment.status in (*IN_PIPELINE, Status.ACTIVE)
    waits = deployment.status == Status.AWAITING_APPROVAL and _approves(user)
    own = deployment.created_by_id == user.pk
    return Rights(_roll_back(user, deployment) if ends else "", waits and not own, waits and own)


def _approves(user: Any) -> bool:
    return has_role(user, "risk_manager") or has_role(user, ADMIN)


def _roll_back(user: Any, deployment: Deployment) -> str:
    """Strategists what they deployed, operators any by force, admins all."""
    theirs = has_role(user, "strategist") and deployment.created_by_id == user.pk
    if has_role(user, ADMIN) or theirs:
        return MAY
    return FORCED if has_role(user, "operator") else ""


def returns_to_nothing(deployment: Deployment) -> bool:
    """Whether it was rolled back and nothing runs in its place: it may be rolled back once more."""
    if not (deployment.status == Status.ROLLED_BACK and deployment.activated_at and deployment.previous_id):
        return False
    return active(deployment.portfolio_id, deployment.environment) is None
