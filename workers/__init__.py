"""Celery tasks, one file a queue: each calls one operation of an app."""

from workers import alerts, analytics, maintenance, monitoring, risk, strategies

__all__ = ["alerts", "analytics", "maintenance", "monitoring", "risk", "strategies"]
