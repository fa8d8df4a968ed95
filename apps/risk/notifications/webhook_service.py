"""Webhooks: one POST of JSON, signed, to a URL of the client's (docs/alerts.md)."""

import hashlib
import hmac
import json
import time

from apps.risk.notifications.answers import refuse_unless_taken, said_by
from apps.risk.notifications.notice import Notice
from apps.risk.notifications.outgoing import check_url, post, shown_url
from apps.risk.notifications.registry import Notifier, register_notifier


def send(target: str, secret: str, notice: Notice) -> str:
    body = json.dumps(notice.as_dict(), allow_nan=False, separators=(",", ":")).encode()
    timestamp = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": str(notice.delivery_id),
        "X-Nautilus-Timestamp": timestamp,
        "X-Nautilus-Signature": f"sha256={signature(secret, timestamp, body)}",
    }
    answer = post(target, body, headers)
    refuse_unless_taken(answer)
    return said_by(answer)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Hex HMAC-SHA256 of the time, a full stop and the body: an old message with a new time does not verify."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


register_notifier(Notifier("webhook", check_url, send, takes_secret=True, shown=shown_url))
