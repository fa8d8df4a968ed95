"""Stored figures, limits and their events, pre-trade decisions, alerts."""

from apps.risk.models.alerts import AlertChannel, AlertDelivery, DeliveryAttempt
from apps.risk.models.decisions import PreTradeDecision, TradingHalt
from apps.risk.models.events import RiskEvent, Severity
from apps.risk.models.limits import LimitChange, RiskLimit
from apps.risk.models.metrics import RiskMetric
from apps.risk.models.monitoring import RiskMonitor

__all__ = [
    "AlertChannel",
    "AlertDelivery",
    "DeliveryAttempt",
    "LimitChange",
    "PreTradeDecision",
    "RiskEvent",
    "RiskLimit",
    "RiskMetric",
    "RiskMonitor",
    "Severity",
    "TradingHalt",
]
