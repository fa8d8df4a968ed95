"""The admin's pages about strategies; importing them registers them."""

from apps.strategies.admin import deployments, merge_requests, orders, strategies, versions

__all__ = ["deployments", "merge_requests", "orders", "strategies", "versions"]
