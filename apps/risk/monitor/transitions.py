"""What is to be told of a run: limits that moved, prices that went stale or came back. One event each, one sentence."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime

from apps.risk.limit_kinds import LIMIT_KINDS
from apps.risk.models import RiskEvent, RiskLimit, Severity
from apps.risk.monitor.moment import LimitState
from apps.risk.monitor.verdicts import Standing, Verdict, is_told_elsewhere

Status = RiskLimit.Status
Type = RiskEvent.Type

_EVENT_OF = {
    Status.OK: Type.LIMIT_CLEARED,
    Status.WARNING: Type.LIMIT_WARNING,
    Status.BREACH: Type.LIMIT_BREACH,
    Status.UNKNOWN: Type.LIMIT_UNKNOWN,
}


def ends_events(verdict: Verdict) -> bool:
    """Whether what was told of the limit so far is over."""
    limit = verdict.limit
    goes_on = _is_told_unknown(limit.status, limit.reason) and _is_told_unknown(verdict.status, verdict.reason)
    is_told_anew = not limit.is_seen and verdict.status in (Status.WARNING, Status.BREACH)
    return verdict.moved or is_told_anew or (verdict.reason != limit.reason and not goes_on)


def event_of_limit(verdict: Verdict, as_of: date | None, now: datetime) -> RiskEvent | None:
    """None where nothing moved, or somebody else tells it."""
    limit = verdict.limit
    if not ends_events(verdict) or _is_silent(verdict):
        return None
    event_type = _EVENT_OF[Status(verdict.status)]
    is_warning = event_type == Type.LIMIT_WARNING
    return RiskEvent(
        portfolio_id=limit.portfolio_id,
        event_type=event_type,
        severity=_severity(verdict),
        limit_id=limit.id,
        kind=limit.kind,
        symbol=limit.symbol or "",
        value=verdict.value,
        threshold=limit.warning_threshold if is_warning else limit.threshold,
        message=_sentence(verdict, as_of),
        timestamp=now,
    )


def _is_told_unknown(status: str, reason: str) -> bool:
    """Whether a limit of this status has an event of its own that says that it is unknown."""
    return status == Status.UNKNOWN and not is_told_elsewhere(reason)


def _is_silent(verdict: Verdict) -> bool:
    limit = verdict.limit
    if verdict.status == Status.UNKNOWN:
        return is_told_elsewhere(verdict.reason)
    nothing_told = limit.status == Status.UNKNOWN and is_told_elsewhere(limit.reason)
    return verdict.status == Status.OK and nothing_told


def _severity(verdict: Verdict) -> str:
    if verdict.status == Status.BREACH:
        return verdict.limit.severity
    if verdict.status == Status.UNKNOWN:
        return severity_of_unknown([verdict.limit])
    return Severity.WARNING if verdict.status == Status.WARNING else Severity.INFO


def severity_of_unknown(limits: Sequence[LimitState]) -> str:
    """A limit that blocks and is not known lets no trade pass."""
    blocks = any(limit.in_force and limit.action == RiskLimit.Action.BLOCK for limit in limits)
    return Severity.CRITICAL if blocks else Severity.WARNING


def _sentence(verdict: Verdict, as_of: date | None) -> str:
    limit = verdict.limit
    named = f"{limit.kind} of {f'{limit.symbol} in ' if limit.symbol else ''}{limit.portfolio_id}"
    if verdict.status == Status.UNKNOWN:
        return f"{named} cannot be computed: {verdict.reason}"
    if verdict.value is None:
        return f"{named} is {verdict.reason} again"
    shown = LIMIT_KINDS[limit.kind].shown
    value, bound = shown(verdict.value), shown(limit.threshold)
    said = {
        Status.BREACH: f"above its limit of {bound}",
        Status.WARNING: f"near its limit of {bound}, warned of from {shown(limit.warning_threshold)}",
        Status.OK: f"within its limit of {bound} again",
    }
    at = f", at the closes of {as_of}" if as_of else ""
    return f"{named} is {value}, {said[Status(verdict.status)]}{at}"


def events_of_prices(
    standings: Mapping[str, Standing], limits: Mapping[str, Sequence[LimitState]], told: frozenset[str]
) -> Iterator[RiskEvent]:
    """Where prices went stale, or came back, since that was told last."""
    for portfolio_id, standing in standings.items():
        if standing.is_stale and portfolio_id not in told:
            yield _gone_stale(standing, severity_of_unknown(limits.get(portfolio_id, ())))
        elif portfolio_id in told and not standing.is_stale and not standing.book.no_value:
            yield _fresh_again(standing)


def _gone_stale(standing: Standing, severity: str) -> RiskEvent:
    return RiskEvent(
        portfolio_id=standing.book.portfolio_id,
        event_type=Type.PRICES_STALE,
        severity=severity,
        message=f"{standing.book.portfolio_id} has stale prices: {standing.stale_reason}",
        timestamp=standing.now,
    )


def _fresh_again(standing: Standing) -> RiskEvent:
    why = f"its closes are of {standing.book.as_of}" if standing.book.symbols else "it holds no position"
    return RiskEvent(
        portfolio_id=standing.book.portfolio_id,
        event_type=Type.PRICES_FRESH,
        severity=Severity.INFO,
        message=f"{standing.book.portfolio_id} has no stale prices any more: {why}",
        timestamp=standing.now,
    )
