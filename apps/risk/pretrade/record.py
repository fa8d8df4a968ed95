"""Keeping decisions: the answer as it is given, with what it was decided on, and the reservations that it makes."""

from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.db import connection

from apps.realtime.topics import encode, publish_after_commit
from apps.risk.pretrade.orders import Decision
from apps.risk.pretrade.rules import trading_state
from nautilus.database import run_prepared

_SQL = Path(__file__).parents[1] / "sql"
_KEEP = (_SQL / "keep_decision.sql").read_text()
_HOLD = (_SQL / "hold_reservations.sql").read_text()


def keep_decision(decision: Decision, user_id: int | None, *, reserve: bool) -> Decision:
    """Writes the decision, and holds what it reserves; in the caller's transaction where there is one."""
    holds = bool(reserve and decision.approved)
    if holds:
        _hold(decision, user_id)
    parameters = {
        "portfolio_id": decision.portfolio_id,
        "user_id": user_id,
        "evaluated_at": decision.facts.now,
        "approved": decision.approved,
        "reserve": reserve,
        "answer": encode(answer(decision)),
        "decided_on": encode(decided_on(decision)),
        # The setting is of the whole transaction: of a caller's own, what else is in it must not be lost.
        "wait_for_disk": reserve or connection.in_atomic_block,
    }
    run_prepared(_KEEP, parameters)
    return decision


def _hold(decision: Decision, user_id: int | None) -> None:
    decision.reservation_ids = [uuid4() for _ in decision.priced]
    run_prepared(
        _HOLD,
        {
            "portfolio_id": decision.portfolio_id,
            "user_id": user_id,
            "expires_at": decision.expires_at,
            "ids": decision.reservation_ids,
            "symbols": [trade.symbol for trade in decision.priced],
            "quantities": [trade.asked.quantity for trade in decision.priced],
            "prices": [trade.price for trade in decision.priced],
            "order_ids": [trade.asked.order_id for trade in decision.priced],
        },
    )
    told = {"event": "reservation.held", "portfolio_id": decision.portfolio_id, "trades": decision.trades}
    ids = [str(each) for each in decision.reservation_ids]
    publish_after_commit(f"portfolio:updates:{decision.portfolio_id}", {**told, "reservation_ids": ids})


def answer(decision: Decision) -> dict[str, Any]:
    """As the client sees it (contract section 6); a basket's has lists where a single trade's has one."""
    ids = [str(each) for each in decision.reservation_ids]
    own: dict[str, Any] = (
        {"trades": decision.trades, "reservation_ids": ids}
        if decision.basket
        else {"trade": decision.trades[0], "reservation_id": ids[0] if ids else None}
    )
    return {
        "approved": decision.approved,
        "portfolio_id": decision.portfolio_id,
        **own,
        "checks": decision.checks,
        "reasons": [refusal.detail for refusal in decision.refusals],
        "refusals": [
            {"code": refusal.code, "detail": refusal.detail, "limit_id": refusal.limit_id}
            for refusal in decision.refusals
        ],
        "warnings": decision.warnings,
        "as_of": decision.as_of.isoformat() if decision.as_of else None,
        "trading_state": trading_state(decision.facts),
        "expires_at": _moment(decision.expires_at),
        "evaluated_at": _moment(decision.facts.now),
        "elapsed_us": decision.elapsed_us,
    }


def decided_on(decision: Decision) -> dict[str, Any]:
    facts = decision.facts
    return {
        "ledger_version": facts.ledger_version,
        "price_version": facts.price_version,
        "history_version": facts.history_version,
        "cash": facts.cash,
        "trading_state": facts.trading_state,
        "halt": facts.halt,
        "limits": [limit.id for limit in facts.limits],
        "reserved": [[leg.symbol, leg.quantity, leg.price] for leg in facts.reserved],
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None
