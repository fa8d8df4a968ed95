"""How the book stands when the report is made: its positions at the latest closes, and its limits."""

from typing import Any

from apps.portfolios.holdings import Holding, Valuation, value_portfolios
from apps.portfolios.models import Portfolio
from apps.risk.limit_kinds.registry import LIMIT_KINDS
from apps.risk.limits import shown_status, utilization
from apps.risk.models import RiskLimit
from apps.risk.monitoring import Freshness, monitor_freshness


def positions_of(portfolio_id: str) -> tuple[Portfolio, dict[str, Any]]:
    """The portfolio as it is now, with value, cash and positions, the largest first; null where there is no price."""
    portfolio, valuation = _valued(portfolio_id)
    rows = [_position(holding, valuation) for holding in valuation.holdings]
    return portfolio, {
        "as_of": None if valuation.as_of is None else str(valuation.as_of),
        "ledger_version": portfolio.ledger_version,
        "value": valuation.value,
        "cash": valuation.cash,
        "cash_weight": _cash_weight(valuation),
        "gross_exposure": valuation.gross_exposure,
        "net_exposure": valuation.net_exposure,
        "reason": valuation.reason,
        "rows": sorted(rows, key=lambda row: (-abs(row["value"] or 0.0), row["symbol"])),
    }


def _valued(portfolio_id: str) -> tuple[Portfolio, Valuation]:
    """Cash and positions of one moment: read again where something was booked between the two."""
    portfolio = Portfolio.objects.get(pk=portfolio_id)
    while True:
        valuation = value_portfolios([portfolio])[portfolio.id]
        now = Portfolio.objects.get(pk=portfolio_id)
        if now.ledger_version == portfolio.ledger_version:
            return portfolio, valuation
        portfolio = now


def _position(holding: Holding, valuation: Valuation) -> dict[str, Any]:
    return {
        "symbol": holding.symbol,
        "quantity": holding.quantity,
        "average_cost": holding.average_cost,
        "price": holding.price,
        "price_date": None if holding.price_date is None else str(holding.price_date),
        "value": holding.value,
        "weight": valuation.weight(holding),
        "unrealized_pnl": holding.unrealized_pnl,
    }


def _cash_weight(valuation: Valuation) -> float | None:
    total = valuation.value
    return valuation.cash / total if total is not None and total > 0 else None


def limits_of(portfolio: Portfolio) -> dict[str, Any]:
    """Every active limit as it may be shown now: calm only where the monitor has seen it a moment ago."""
    freshness = monitor_freshness()
    rows = RiskLimit.objects.filter(portfolio=portfolio, active=True).order_by("kind", "instrument_id", "id")
    return {
        "as_of": freshness.now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "rows": [_limit(limit, freshness) for limit in rows],
    }


def _limit(limit: RiskLimit, freshness: Freshness) -> dict[str, Any]:
    shown = shown_status(limit, freshness)
    return {
        "id": limit.pk,
        "kind": limit.kind,
        "symbol": limit.instrument_id,
        "unit": LIMIT_KINDS[limit.kind].unit,
        "action": limit.action,
        "status": str(shown.status),
        "reason": shown.reason,
        "current_value": limit.current_value,
        "warning_threshold": limit.warning_threshold,
        "threshold_value": limit.threshold_value,
        "utilization": utilization(limit),
    }
