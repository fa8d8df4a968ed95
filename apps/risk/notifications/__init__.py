"""The ways to notify, by name.

To add one: a file here that registers it, its choice in `AlertChannel.Kind`, its line in docs/alerts.md.
"""

from apps.risk.notifications import email_service, slack_service, webhook_service
from apps.risk.notifications.notice import Notice, notice_of
from apps.risk.notifications.registry import Notifier, notifier_of, register_notifier

__all__ = [
    "Notice",
    "Notifier",
    "email_service",
    "notice_of",
    "notifier_of",
    "register_notifier",
    "slack_service",
    "webhook_service",
]
