"""Email, by Django's backend: NAUTILUS_EMAIL_URL says through which server, NAUTILUS_EMAIL_FROM from whom.

from apps.risk.notifications import email_service
email_service.send_test_email("you@example.com")
"""

import smtplib
import uuid
from contextlib import suppress
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.smtp import EmailBackend
from django.core.validators import validate_email
from django.utils.html import format_html, format_html_join

from apps.risk.errors_alerts import NotDeliveredError, TargetError
from apps.risk.notifications.notice import Notice, notice_for_test
from apps.risk.notifications.registry import Notifier, register_notifier

_SMTP = "django.core.mail.backends.smtp.EmailBackend"
_LONGEST_SUBJECT = 200


def send_test_email(address: str) -> str:
    """Sends a test message to an address, and answers with what the mail server said.

    Raises TargetError, NotDeliveredError.
    """
    check_target(address)
    return send(address, "", notice_for_test(uuid.uuid4()))


def check_target(target: str) -> None:
    try:
        validate_email(target)
    except ValidationError as error:
        raise TargetError(
            f"'{target:.80}' is not an email address.", "Expected one such as risk@example.com."
        ) from error


def send(target: str, secret: str, notice: Notice) -> str:
    """Raises NotDeliveredError, for good where the server refuses the address or the message with a 5xx."""
    connection = _connection()
    try:
        _email(target, notice, connection).send()
    except smtplib.SMTPRecipientsRefused as error:
        raise _refused(*next(iter(error.recipients.values()))) from error
    except smtplib.SMTPDataError as error:
        raise _refused(error.smtp_code, error.smtp_error) from error
    except smtplib.SMTPResponseException as error:  # the server refuses us, not the message: an operator mends that
        raise NotDeliveredError(_said(error.smtp_code, error.smtp_error)) from error
    except (smtplib.SMTPException, OSError) as error:
        raise NotDeliveredError(f"The mail server gave no answer: {error or type(error).__name__}.") from error
    return getattr(connection, "last_reply", None) or f"Handed to {settings.EMAIL_BACKEND}."


def _refused(code: int, words: bytes | str) -> NotDeliveredError:
    return NotDeliveredError(_said(code, words), permanent=code >= 500)


def _said(code: int, words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return f"{code} {' '.join(text.split())[:500]}"


# --- What the server answers to a message: smtplib knows it, Django throws it away -------------------------
class _RemembersReply:
    last_reply = ""

    def data(self, msg: Any) -> tuple[int, bytes]:
        code, words = super().data(msg)  # type: ignore[misc]
        self.last_reply = _said(code, words)
        return code, words


class _SMTPConnection(_RemembersReply, smtplib.SMTP):
    pass


class _SMTPConnectionByTLS(_RemembersReply, smtplib.SMTP_SSL):
    pass


class SMTPBackend(EmailBackend):
    last_reply = ""

    @property
    def connection_class(self) -> Any:
        return _SMTPConnectionByTLS if self.use_ssl else _SMTPConnection

    def close(self) -> None:
        self.last_reply = getattr(self.connection, "last_reply", "")
        with suppress(OSError):  # the message is in, or has failed already: how the farewell goes is no matter
            super().close()


def _connection() -> Any:
    return SMTPBackend() if settings.EMAIL_BACKEND == _SMTP else get_connection()


# --- The message ------------------------------------------------------------------------------------------
def _email(target: str, notice: Notice, connection: Any) -> EmailMultiAlternatives:
    message = EmailMultiAlternatives(
        subject=notice.headline[:_LONGEST_SUBJECT],
        body=_text(notice),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[target],
        connection=connection,
        headers=_headers(notice),
    )
    message.attach_alternative(_html(notice), "text/html")
    return message


def _headers(notice: Notice) -> dict[str, str]:
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    return {
        "Message-ID": f"<{notice.delivery_id}@{domain}>",
        "X-Nautilus-Delivery": str(notice.delivery_id),
        # Mail programs show an event and its reminders as one conversation.
        "References": f"<event-{notice.event_id or notice.delivery_id}@{domain}>",
        "Auto-Submitted": "auto-generated",
    }


def _rows(notice: Notice) -> list[tuple[str, str]]:
    told = {name: value for name, value in notice.as_dict().items() if name not in ("message", "reminder")}
    return [(name.replace("_", " "), _shown(value)) for name, value in told.items() if value is not None]


def _shown(value: Any) -> str:
    return f"{value:,.2f}" if isinstance(value, float) and abs(value) >= 1000 else f"{value}"


def _text(notice: Notice) -> str:
    rows = "\n".join(f"{name}: {value}" for name, value in _rows(notice))
    return f"{notice.message}\n\n{rows}\n\n{_how_to_stop(notice)}\n"


def _html(notice: Notice) -> str:
    rows = format_html_join("", "<tr><td>{}</td><td>{}</td></tr>", _rows(notice))
    return format_html("<p><b>{}</b></p><table>{}</table><p>{}</p>", notice.message, rows, _how_to_stop(notice))


def _how_to_stop(notice: Notice) -> str:
    if notice.event_id is None or notice.event_type == "test":
        return "This is a test; nothing has happened."
    return f"To acknowledge: POST /api/v1/sprint3/risk/alerts/events/{notice.event_id}/acknowledge, or in the admin."


register_notifier(Notifier("email", check_target, send))
