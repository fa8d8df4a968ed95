"""The checks of components. To add one: its name in registry.py, a file here, its section in docs/health.md."""

from apps.operations.checks import (
    analytics_streaming,
    database,
    deployments,
    disk,
    limit_monitoring,
    market_data,
    notifications,
    queues,
    redis,
    risk_monitoring,
    scheduler,
    websocket,
    workers,
)

__all__ = [
    "analytics_streaming",
    "database",
    "deployments",
    "disk",
    "limit_monitoring",
    "market_data",
    "notifications",
    "queues",
    "redis",
    "risk_monitoring",
    "scheduler",
    "websocket",
    "workers",
]
