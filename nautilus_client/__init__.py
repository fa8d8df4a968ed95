"""Follows the topics of a Nautilus server: each message once and in order, or told of the gap. See docs/clients.md.

Needs nothing but the standard library and `websockets`.
"""

from nautilus_client.client import AsyncClient
from nautilus_client.errors import (
    AccessRefusedError,
    ClientClosedError,
    HistoryLostError,
    NautilusError,
    RefusedError,
    UnreachableError,
)
from nautilus_client.items import Gap, Item, Message
from nautilus_client.subscription import Subscription
from nautilus_client.sync import Client, SyncSubscription

__all__ = [
    "AccessRefusedError",
    "AsyncClient",
    "Client",
    "ClientClosedError",
    "Gap",
    "HistoryLostError",
    "Item",
    "Message",
    "NautilusError",
    "RefusedError",
    "Subscription",
    "SyncSubscription",
    "UnreachableError",
]
