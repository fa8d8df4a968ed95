"""Limits: made, changed and deleted, with a second pair of eyes on what loosens a limit that blocks (docs/limits.md).

Whoever writes a limit holds its portfolio's row, as whoever reserves does: a reservation is decided either before a
change or after it, never across it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Prefetch, Q, QuerySet
from django.utils import timezone

from apps.portfolios.booking import lock_portfolio, raise_all, refuse_closed
from apps.realtime.topics import publish_after_commit
from apps.risk.errors import (
    ChangeDecidedError,
    ChangeNotFoundError,
    ChangePendingError,
    LimitExistsError,
    LimitNotFoundError,
    OwnChangeError,
)
from apps.risk.limit_terms import (
    COLUMNS,
    Terms,
    as_json,
    changed_terms,
    differences,
    faults_of,
    from_json,
    loosens,
    new_terms,
    terms_of,
)
from apps.risk.models import LimitChange, RiskEvent, RiskLimit
from apps.risk.monitoring import Freshness, in_force

Decision = LimitChange.Status


def limits_as_shown() -> QuerySet[RiskLimit]:
    """With who made them, and what waits for approval in `pending_changes`: one at most."""
    waiting = LimitChange.objects.filter(status=Decision.PENDING).select_related("requested_by")
    waiting_changes: Prefetch = Prefetch("changes", waiting, to_attr="pending_changes")
    return RiskLimit.objects.select_related("created_by").prefetch_related(waiting_changes)


# --- Made, changed, deleted --------------------------------------------------------------------------------------


@transaction.atomic
def create_limit(
    portfolio_id: str, kind: str, asked: Mapping[str, Any], *, user: Any = None, reason: str = ""
) -> RiskLimit:
    """Makes a limit of the terms asked for, `threshold_value` at least; new_terms has what stands for the others.

    Raises PortfolioNotFoundError, PortfolioClosedError, LimitExistsError, DomainErrors with every fault.
    """
    portfolio = lock_portfolio(portfolio_id)
    refuse_closed(portfolio)
    limit = RiskLimit(portfolio=portfolio, kind=kind, created_by=user)
    _write(limit, new_terms(asked), user, reason)
    _announce("limit.created", limit, limit.pk)
    return limit


@transaction.atomic
def change_limit(
    limit_id: int, changes: Mapping[str, Any], *, user: Any = None, reason: str = ""
) -> tuple[RiskLimit, LimitChange | None]:
    """The limit as it is afterwards, and the change that waits for approval where it could not take effect at once.

    Raises LimitNotFoundError, PortfolioClosedError, LimitExistsError, ChangePendingError, DomainErrors.
    """
    limit = _held_limit(limit_id)
    before, after = terms_of(limit), changed_terms(terms_of(limit), changes)
    if after == before:
        return limit, None
    if _needs_approval(limit) and loosens(before, after):
        _refuse_faults(limit, after)
        return limit, _ask(limit, user, reason, changes=as_json(differences(before, after)))
    _change(limit, after, user, reason)
    return limit, None


@transaction.atomic
def delete_limit(limit_id: int, *, user: Any = None, reason: str = "") -> LimitChange | None:
    """Deletes it and gives None, or the change that waits for approval. Its history stays, its open events are closed.

    Raises LimitNotFoundError, PortfolioClosedError, ChangePendingError.
    """
    limit = _held_limit(limit_id)
    if _needs_approval(limit):
        return _ask(limit, user, reason, deletes=True)
    _delete(limit, user, reason)
    return None


def _held_limit(limit_id: int) -> RiskLimit:
    """The limit, its portfolio's row held until the transaction ends."""
    portfolio_id = RiskLimit.objects.filter(pk=limit_id).values_list("portfolio_id", flat=True).first()
    if portfolio_id is None:
        raise LimitNotFoundError(limit_id)
    portfolio = lock_portfolio(portfolio_id)
    limit = RiskLimit.objects.filter(pk=limit_id).first()  # as it is now that nobody else writes it
    if limit is None:
        raise LimitNotFoundError(limit_id)
    refuse_closed(portfolio)
    return limit


def _change(limit: RiskLimit, terms: Terms, user: Any, reason: str) -> None:
    _write(limit, terms, user, reason)
    _announce("limit.changed", limit, limit.pk)


def _write(limit: RiskLimit, terms: Terms, user: Any, reason: str) -> None:
    """The terms alone: what the monitor saw of the limit is the monitor's, also while this is under way."""
    _refuse_faults(limit, terms)
    for column, value in terms.as_columns().items():
        setattr(limit, column, value)
    _sign(limit, user, reason)
    limit.save(update_fields=[*COLUMNS, "updated_at"] if limit.pk else None)


def _delete(limit: RiskLimit, user: Any, reason: str) -> None:
    limit_id = limit.pk
    for change in limit.changes.filter(status=Decision.PENDING):  # asked for before four eyes were switched off
        _decide(change, Decision.REJECTED, user)
    _sign(limit, user, reason)
    limit.delete()
    # After it: a monitor that was about to say something of the limit has said it by now, and will say no more.
    RiskEvent.objects.filter(limit=limit_id, closed_at=None).update(closed_at=timezone.now())
    _announce("limit.deleted", limit, limit_id)


def _sign(limit: Any, user: Any, reason: str) -> None:
    """Who and why, for the history; said, as the API's users are not known to the middleware that would guess it."""
    limit._history_user = user
    limit._change_reason = reason or None


def _refuse_faults(limit: RiskLimit, terms: Terms) -> None:
    raise_all(list(faults_of(limit.kind, terms)))
    twin = _twin_of(limit, terms)
    if twin is not None:
        raise LimitExistsError(
            f"Limit {twin.pk} on {limit.portfolio_id} is the same: {limit.kind}, {terms.action} at"
            f" {terms.threshold_value:.15g}, active at the same time.",
            "Change that one, or choose another threshold.",
        )


def _twin_of(limit: RiskLimit, terms: Terms) -> RiskLimit | None:
    if not terms.active:
        return None
    twins = RiskLimit.objects.filter(
        active=True,
        portfolio=limit.portfolio_id,
        kind=limit.kind,
        instrument=terms.symbol,
        action=terms.action,
        threshold_value=terms.threshold_value,
    ).exclude(pk=limit.pk)
    if terms.effective_from is not None:
        twins = twins.filter(Q(effective_to=None) | Q(effective_to__gt=terms.effective_from))
    if terms.effective_to is not None:
        twins = twins.filter(Q(effective_from=None) | Q(effective_from__lt=terms.effective_to))
    return twins.first()


def _announce(event: str, limit: RiskLimit, limit_id: int) -> None:
    named = {"id": limit_id, "portfolio_id": limit.portfolio_id, "kind": limit.kind}
    message = {"event": event, "portfolio_id": limit.portfolio_id, "limit": {**named, **asdict(terms_of(limit))}}
    publish_after_commit(f"portfolio:updates:{limit.portfolio_id}", message)


# --- Four eyes ---------------------------------------------------------------------------------------------------


@transaction.atomic
def approve_change(change_id: int, *, user: Any) -> LimitChange:
    """Lets a change that waits take effect, by somebody other than who asked for it; two at once apply it once.

    It is held against the limit as it is now. Raises ChangeNotFoundError, ChangeDecidedError, OwnChangeError and what
    change_limit raises; the change then still waits.
    """
    change = _waiting_change(change_id, user)
    assert change.limit_id is not None  # nothing waits of a limit that is deleted
    limit = _held_limit(change.limit_id)
    _decide(change, Decision.APPROVED, user)
    if change.deletes:
        _delete(limit, user, _reason_of(change))
    else:
        _change(limit, changed_terms(terms_of(limit), from_json(change.changes)), user, _reason_of(change))
    return change


@transaction.atomic
def reject_change(change_id: int, *, user: Any) -> LimitChange:
    """Drops a change that waits: the limit stays as it is. Raises as approve_change does."""
    change = _waiting_change(change_id, user)
    _decide(change, Decision.REJECTED, user)
    return change


def _needs_approval(limit: RiskLimit) -> bool:
    return settings.LIMIT_FOUR_EYES and limit.action == RiskLimit.Action.BLOCK


def _ask(limit: RiskLimit, user: Any, reason: str, **what: Any) -> LimitChange:
    earlier = limit.changes.filter(status=Decision.PENDING).first()
    if earlier is not None:
        raise ChangePendingError(
            f"Change {earlier.pk} of limit {limit.pk} waits for approval already.",
            f"Have it decided first: POST …/risk/limits/{limit.pk}/changes/{earlier.pk}/approve or /reject.",
        )
    return LimitChange.objects.create(
        limit=limit, limit_name=str(limit), requested_by=user, reason=reason, **{"changes": {}, **what}
    )


def _waiting_change(change_id: int, user: Any) -> LimitChange:
    """The change, where this user may decide on it."""
    change = LimitChange.objects.select_related("requested_by").filter(pk=change_id).first()
    if change is None:
        raise ChangeNotFoundError(change_id)
    if change.status != Decision.PENDING:
        raise _decided_already(change)
    if change.requested_by_id == getattr(user, "pk", None):
        raise OwnChangeError(
            f"Change {change.pk} was asked for by {change.requested_by or 'nobody known'}.",
            "Somebody else with the role 'risk_manager' decides on it.",
        )
    return change


def _decide(change: LimitChange, decision: str, user: Any) -> None:
    waiting = LimitChange.objects.filter(pk=change.pk, status=Decision.PENDING)
    decided = waiting.update(status=decision, decided_at=timezone.now(), decided_by=user)
    change.refresh_from_db()
    if not decided:
        raise _decided_already(change)


def _decided_already(change: LimitChange) -> ChangeDecidedError:
    return ChangeDecidedError(
        f"Change {change.pk} is {change.status} since {change.decided_at:%Y-%m-%dT%H:%M:%SZ}.",
        "Ask for the change anew where it is still wanted.",
    )


def _reason_of(change: LimitChange) -> str:
    asked_by = f"asked for by {change.requested_by}" if change.requested_by else "asked for from a shell"
    return f"{change.reason} ({asked_by})" if change.reason else asked_by


# --- How it stands -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShownStatus:
    status: str
    reason: str


def shown_status(limit: RiskLimit, freshness: Freshness) -> ShownStatus:
    """What may be said of a limit now: calm only where it was seen to be so, as it stands, a moment ago.

    A breach that nobody has looked at since stays a breach, with the reason why it may be over.
    """
    if idle := _idle_reason(limit, freshness):
        return ShownStatus(RiskLimit.Status.UNKNOWN, idle)
    stale = freshness.stale_reason or _unseen_reason(limit)
    if stale is None:
        return ShownStatus(limit.status, limit.status_reason)
    if limit.status in (RiskLimit.Status.OK, RiskLimit.Status.WARNING):
        return ShownStatus(RiskLimit.Status.UNKNOWN, stale)
    return ShownStatus(limit.status, "; ".join(filter(None, [limit.status_reason, stale])))


def shown_as(status: str, freshness: Freshness) -> Q:
    """The limits of which shown_status says this status, as a condition for the database."""
    calm = (RiskLimit.Status.OK, RiskLimit.Status.WARNING)
    binds = in_force(freshness.now)
    seen = Q(pk__in=[]) if freshness.stale_reason else Q(evaluated_at=None) | Q(evaluated_at__gte=F("updated_at"))
    if status == RiskLimit.Status.UNKNOWN:
        return ~binds | Q(status=status) | (Q(status__in=calm) & ~seen)
    return binds & Q(status=status) & (seen if status in calm else Q())


def _idle_reason(limit: RiskLimit, freshness: Freshness) -> str | None:
    if not limit.active:
        return "the limit is not active"
    if limit.effective_from is not None and freshness.now < limit.effective_from:
        return f"the limit is effective from {limit.effective_from:%Y-%m-%dT%H:%M:%SZ} on"
    if limit.effective_to is not None and freshness.now >= limit.effective_to:
        return f"the limit was effective until {limit.effective_to:%Y-%m-%dT%H:%M:%SZ}"
    return None


def _unseen_reason(limit: RiskLimit) -> str | None:
    """A status is of the terms that it was found by: those of before a change say nothing of those after it."""
    if limit.evaluated_at is not None and limit.evaluated_at < limit.updated_at:
        return "not evaluated since the limit was changed"
    return None


def utilization(limit: RiskLimit) -> float | None:
    """How much of the threshold is used: 1 at the limit."""
    return None if limit.current_value is None else limit.current_value / limit.threshold_value
