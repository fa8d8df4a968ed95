"""Slack: through an incoming webhook, whose URL is all that it takes, or as a bot in a #channel.

    from apps.risk.notifications import slack_service
    slack_service.send_test_message("#risk")

Slack's own client builds the messages; what it would send goes through the guard of outgoing.py, with its time limit.
"""

import html
import re
import uuid
from typing import Any, NoReturn
from urllib.request import Request

import httpx
from django.conf import settings
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.webhook import WebhookClient, WebhookResponse

from apps.risk.errors_alerts import NotDeliveredError, TargetError
from apps.risk.notifications.answers import Answer, refuse_unless_taken, retry_after, said_by
from apps.risk.notifications.notice import Notice, notice_for_test
from apps.risk.notifications.outgoing import check_url, is_open_url, post, shown_url
from apps.risk.notifications.registry import Notifier, register_notifier

_CHANNEL = re.compile(r"#[^\s#,@A-Z]{1,80}|[CDGU][A-Z0-9]{6,20}")
_EXPECTED = "Expected an incoming webhook's https://hooks.slack.com/services/…, a #channel or a channel's id (C…)."
# Slack's errors that a person has to mend: https://docs.slack.dev/reference/methods/chat.postMessage#errors
_PERMANENT = frozenset(
    {
        *("account_inactive", "invalid_auth", "not_authed", "token_expired", "token_revoked", "missing_scope"),
        *("channel_not_found", "is_archived", "not_in_channel", "no_permission", "restricted_action"),
        *("messages_tab_disabled", "msg_too_long", "no_text", "org_login_required", "user_not_found"),
    }
)
_ICONS = {"critical": ":rotating_light:", "warning": ":warning:", "info": ":information_source:"}


def send_test_message(channel: str) -> str:
    """Sends a test message to a #channel or an incoming webhook, and answers with what Slack said.

    Raises TargetError, NotDeliveredError.
    """
    check_target(channel)
    return send(channel, "", notice_for_test(uuid.uuid4()))


def check_target(target: str) -> None:
    """Raises TargetError for what is neither an incoming webhook nor a channel."""
    if "://" not in target:
        if not _CHANNEL.fullmatch(target):
            raise TargetError(f"'{target:.80}' is no Slack channel.", _EXPECTED)
        return
    if not target.startswith("https://hooks.slack.com/") and not is_open_url(target):
        raise TargetError(f"'{shown(target)}' is not Slack's.", _EXPECTED)
    check_url(target)


def send(target: str, secret: str, notice: Notice) -> str:
    return _send_by_webhook(target, notice) if "://" in target else _send_as_bot(target, notice)


def shown(target: str) -> str:
    return shown_url(target) if "://" in target else target


def _send_by_webhook(url: str, notice: Notice) -> str:
    answered = _GuardedWebhookClient(url, retry_handlers=[]).send_dict(_message(notice))
    answer = Answer(answered.status_code, answered.headers, answered.body)
    refuse_unless_taken(answer)
    return said_by(answer)


def _send_as_bot(channel: str, notice: Notice) -> str:
    if not settings.SLACK_BOT_TOKEN:
        raise NotDeliveredError(
            "There is no bot to write to Slack's channels.",
            "Set NAUTILUS_SLACK_BOT_TOKEN, or give the channel an incoming webhook's URL.",
            permanent=True,
        )
    client = _GuardedWebClient(settings.SLACK_BOT_TOKEN, settings.SLACK_API_URL, retry_handlers=[])
    try:
        answered = client.chat_postMessage(channel=channel, **_message(notice))
    except SlackApiError as error:
        _refuse(error.response)
    return f"{answered.status_code} ok, message {answered.get('ts')} in {answered.get('channel')}"


def _refuse(answered: Any) -> NoReturn:
    said = str(answered.get("error") or "no reason given")
    raise NotDeliveredError(
        f"{answered.status_code} {said[:500]}",
        permanent=said in _PERMANENT,
        retry_after_seconds=retry_after(httpx.Headers(answered.headers)),
    )


def _message(notice: Notice) -> dict[str, Any]:
    told = {name: value for name, value in notice.as_dict().items() if value is not None}
    text = f"{_ICONS.get(notice.severity, '')} {_escaped(notice.headline)}".strip()
    return {
        "text": text,
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": text[:3000]}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": _escaped(_small_print(notice))}]},
        ],
        # For whoever sorts out repeats by program: an app that reads the channel gets it with the message.
        "metadata": {"event_type": "nautilus_alert", "event_payload": told},
        "unfurl_links": False,
    }


def _small_print(notice: Notice) -> str:
    event = f"event {notice.event_id} · " if notice.event_id else ""
    return f"{notice.timestamp:%Y-%m-%d %H:%M:%S} UTC · {event}delivery {notice.delivery_id}"


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)


class _GuardedWebhookClient(WebhookClient):
    def _perform_http_request_internal(self, url: str, req: Request) -> WebhookResponse:
        answer = post(url, _body(req), _headers(req))
        return WebhookResponse(url=url, status_code=answer.status, body=answer.text, headers=dict(answer.headers))


class _GuardedWebClient(WebClient):
    def _perform_urllib_http_request_internal(self, url: str, req: Request) -> dict[str, Any]:
        answer = post(url, _body(req), _headers(req))
        return {"status": answer.status, "headers": dict(answer.headers), "body": answer.text}


def _body(request: Request) -> bytes:
    assert isinstance(request.data, bytes)
    return request.data


def _headers(request: Request) -> dict[str, str]:
    return {name: str(value) for name, value in request.header_items()}


register_notifier(Notifier("slack", check_target, send, shown=shown))
