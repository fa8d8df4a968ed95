"""The switch that stops all trading at once; every check on every process reads it anew."""

from typing import Any

from django.db import transaction

from apps.realtime.topics import publish_after_commit
from apps.risk.events import record_events
from apps.risk.models import RiskEvent, Severity, TradingHalt


@transaction.atomic
def set_trading_state_of_all(trading_state: str, reason: str, user: Any) -> TradingHalt:
    """In force from the next check on. Each portfolio keeps its own state, and the stricter of the two counts."""
    halt = TradingHalt.objects.create(trading_state=trading_state, reason=reason, set_by=user)
    message = f"Trading of all portfolios is {trading_state}" + (f": {reason}" if reason else "")
    severity = Severity.INFO if trading_state == "active" else Severity.CRITICAL
    event = RiskEvent(event_type=RiskEvent.Type.TRADING_STATE, severity=severity, message=message)
    record_events([event])
    publish_after_commit("trading", {"event": "trading_state", "trading_state": trading_state, "reason": reason})
    return halt


def halt_in_force() -> TradingHalt | None:
    return TradingHalt.objects.first()
