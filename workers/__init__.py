"""Celery tasks, one file a queue: each calls one operation of an app."""

from workers import analytics, maintenance, risk

__all__ = ["analytics", "maintenance", "risk"]
