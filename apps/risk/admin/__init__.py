"""The admin's pages about risk; importing them registers them."""

from apps.risk.admin import alerts, limit_changes, limits, metrics, monitoring, pretrade

__all__ = ["alerts", "limit_changes", "limits", "metrics", "monitoring", "pretrade"]
