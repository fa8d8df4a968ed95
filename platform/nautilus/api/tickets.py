"""Single-use tickets for WebSockets: a browser cannot send a header with one, and a token has no place in a URL."""

import hashlib
import secrets
from typing import Any

from django.contrib.auth import get_user_model

from nautilus.connections import redis_client

TICKET_LIFETIME_SECONDS = 30


def _key(ticket: str) -> str:
    return "ws-ticket:" + hashlib.sha256(ticket.encode()).hexdigest()


def issue_ticket(user: Any) -> str:
    ticket = secrets.token_urlsafe(32)
    redis_client().set(_key(ticket), user.pk, ex=TICKET_LIFETIME_SECONDS)
    return ticket


def redeem_ticket(ticket: str) -> Any | None:
    """The ticket's user, once; None where it was used, has expired or never was."""
    user_id = redis_client().getdel(_key(ticket))
    return get_user_model().objects.filter(pk=int(user_id), is_active=True).first() if user_id else None
