"""What a message says, whichever way it goes."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from apps.risk.models import RiskEvent, Severity


@dataclass(frozen=True, slots=True)
class Notice:
    """One event for one channel. `delivery_id` stays the same however often it is tried; `turn` 0 is the first telling.

    `event_id` is None in a message that an operator sends from a shell.
    """

    delivery_id: UUID
    event_id: int | None
    event_type: str
    severity: str
    message: str
    timestamp: datetime
    portfolio_id: str | None = None
    limit_id: int | None = None
    kind: str = ""
    symbol: str = ""
    value: float | None = None
    threshold: float | None = None
    turn: int = 0

    @property
    def headline(self) -> str:
        """One line: a subject, the text of a chat message."""
        about = f"{self.portfolio_id}: " if self.portfolio_id else ""
        reminder = "Reminder: " if self.turn else ""
        return " ".join(f"[{self.severity}] {reminder}{about}{self.message}".split())

    def as_dict(self) -> dict[str, Any]:
        """The body of a webhook, and what the other ways show of it."""
        return {
            "delivery_id": str(self.delivery_id),
            "event_id": self.event_id,
            "event_type": self.event_type,
            "severity": self.severity,
            "portfolio_id": self.portfolio_id,
            "limit_id": self.limit_id,
            "kind": self.kind or None,
            "symbol": self.symbol or None,
            "value": self.value,
            "threshold": self.threshold,
            "message": self.message,
            "timestamp": self.timestamp.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "reminder": self.turn > 0,
        }


def notice_of(event: RiskEvent, delivery_id: UUID, turn: int = 0) -> Notice:
    return Notice(
        delivery_id=delivery_id,
        event_id=event.pk,
        event_type=event.event_type,
        severity=event.severity,
        message=event.message,
        timestamp=event.timestamp,
        portfolio_id=event.portfolio_id,
        limit_id=event.limit_id,
        kind=event.kind,
        symbol=event.symbol,
        value=event.value,
        threshold=event.threshold,
        turn=turn,
    )


def notice_for_test(delivery_id: UUID) -> Notice:
    """What an operator sends from a shell: it is about no event."""
    return Notice(
        delivery_id=delivery_id,
        event_id=None,
        event_type=RiskEvent.Type.TEST,
        severity=Severity.INFO,
        message="Test message: alerts from Nautilus arrive here.",
        timestamp=timezone.now(),
    )
