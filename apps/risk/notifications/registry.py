"""What a way to notify is, and where it registers."""

from collections.abc import Callable
from dataclasses import dataclass

from apps.risk.errors_alerts import TargetError
from apps.risk.notifications.notice import Notice


@dataclass(frozen=True, slots=True)
class Notifier:
    """`check_target(target)` raises TargetError. `send(target, secret, notice)` answers with what the far side said.

    `send` raises NotDeliveredError where the far side did not take the message, TargetError where the target may not
    be reached; it ends within some ALERT_TIMEOUT_SECONDS by itself, because nothing else ends it.
    `takes_secret`: messages are signed. `shown(target)` is the target without what would let a reader write to it.
    """

    kind: str
    check_target: Callable[[str], None]
    send: Callable[[str, str, Notice], str]
    takes_secret: bool = False
    shown: Callable[[str], str] = str


_notifiers: dict[str, Notifier] = {}


def register_notifier(notifier: Notifier) -> None:
    if notifier.kind in _notifiers:
        raise ValueError(f"There is a way to notify by '{notifier.kind}' already")
    _notifiers[notifier.kind] = notifier


def notifier_of(kind: str) -> Notifier:
    """Raises TargetError for a kind that no file here registers."""
    if kind not in _notifiers:
        raise TargetError(f"'{kind}' is no way to notify.", f"Expected one of {', '.join(sorted(_notifiers))}.")
    return _notifiers[kind]
