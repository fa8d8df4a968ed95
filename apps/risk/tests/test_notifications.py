"""What each way to notify sends, what it answers, and which refusals are for good.

Slack itself cannot be reached from a test: a web server of this machine stands in for its API and its webhooks.
"""

import hashlib
import hmac
import json
import time
from uuid import UUID

import pytest

from apps.risk.errors_alerts import NotDeliveredError, TargetError
from apps.risk.notifications import email_service, notice_of, notifier_of, slack_service, webhook_service
from apps.risk.notifications.notice import Notice
from apps.risk.notifications.registry import Notifier, register_notifier
from apps.risk.tests.alerting import SECRET, a_breach
from apps.risk.tests.far_sides import Said

ID = UUID("11111111-2222-3333-4444-555555555555")


def a_notice(turn: int = 0, **fields: object) -> Notice:
    event = a_breach(None, pk=7, limit_id=3, portfolio_id="BOOK", **fields)
    return notice_of(event, ID, turn)


def refusal_of(send: object, *args: object) -> NotDeliveredError:
    with pytest.raises(NotDeliveredError) as refusal:
        send(*args)
    return refusal.value


# --- Webhooks ---------------------------------------------------------------------------------------------
def test_webhook_says_what_happened_under_its_id(sink):
    assert webhook_service.send(sink.url, SECRET, a_notice()) == "200 ok"
    heard = sink.heard[0]
    body = json.loads(heard.body)
    assert body.pop("timestamp").endswith("Z")
    assert body == {
        "delivery_id": str(ID),
        "event_id": 7,
        "event_type": "limit_breach",
        "severity": "critical",
        "portfolio_id": "BOOK",
        "limit_id": 3,
        "kind": "var_99",
        "symbol": None,
        "value": 61234.5,
        "threshold": 50000.0,
        "message": "var_99 is 61234.50, above its limit of 50000.00",
        "reminder": False,
    }
    assert heard.headers["Idempotency-Key"] == str(ID)
    assert heard.headers["Content-Type"] == "application/json"


def test_webhook_is_signed_over_its_time_and_body(sink):
    webhook_service.send(sink.url, SECRET, a_notice())
    heard = sink.heard[0]
    timestamp = heard.headers["X-Nautilus-Timestamp"]
    expected = hmac.new(SECRET.encode(), timestamp.encode() + b"." + heard.body, hashlib.sha256).hexdigest()
    assert heard.headers["X-Nautilus-Signature"] == f"sha256={expected}"
    assert abs(int(timestamp) - time.time()) < 5


def test_reminder_says_that_it_is_one(sink):
    webhook_service.send(sink.url, SECRET, a_notice(turn=2))
    assert json.loads(sink.heard[0].body)["reminder"] is True


def test_webhook_that_is_told_no_is_not_asked_again(sink):
    sink.answers = [Said(410, b"gone")]
    refusal = refusal_of(webhook_service.send, sink.url, SECRET, a_notice())
    assert (refusal.sentence, refusal.permanent) == ("410 gone", True)


def test_overloaded_webhook_says_when_to_come_back(sink):
    sink.answers = [Said(429, b"slow down", {"Retry-After": "17"})]
    refusal = refusal_of(webhook_service.send, sink.url, SECRET, a_notice())
    assert (refusal.permanent, refusal.retry_after_seconds) == (False, 17)


# --- Slack ------------------------------------------------------------------------------------------------
@pytest.fixture
def slack(sink, settings):
    settings.SLACK_API_URL = f"http://{sink.host}/api/"
    settings.SLACK_BOT_TOKEN = "xoxb-of-tests"
    sink.answers = [
        Said(body=b'{"ok": true, "ts": "1.2", "channel": "C1"}', headers={"Content-Type": "application/json"})
    ]
    return sink


def says(**answer: object) -> Said:
    return Said(body=json.dumps(answer).encode(), headers={"Content-Type": "application/json"})


def test_bot_posts_to_the_channel_with_its_token(slack):
    assert slack_service.send("#risk", "", a_notice()) == "200 ok, message 1.2 in C1"
    heard = slack.heard[0]
    assert heard.path == "/api/chat.postMessage"
    assert heard.headers["Authorization"] == "Bearer xoxb-of-tests"
    body = json.loads(heard.body)
    assert body["channel"] == "#risk"
    assert "[critical] BOOK: var_99 is 61234.50" in body["text"]
    assert body["metadata"]["event_payload"]["delivery_id"] == str(ID)
    assert str(ID) in json.dumps(body["blocks"])


def test_text_of_a_slack_message_cannot_mention_everybody(slack):
    slack_service.send("#risk", "", a_notice(message="<!channel> & more"))
    assert "&lt;!channel&gt; &amp; more" in json.loads(slack.heard[0].body)["text"]


@pytest.mark.parametrize(
    ("error", "permanent"),
    [("invalid_auth", True), ("channel_not_found", True), ("ratelimited", False), ("internal_error", False)],
)
def test_error_of_slack_is_for_good_where_a_person_must_mend_it(slack, error, permanent):
    slack.answers = [says(ok=False, error=error)]
    refusal = refusal_of(slack_service.send, "#risk", "", a_notice())
    assert error in refusal.sentence
    assert refusal.permanent is permanent


def test_slack_that_is_busy_says_when_to_come_back(slack):
    slack.answers = [Said(429, b'{"ok": false, "error": "ratelimited"}', {"Retry-After": "30"})]
    refusal = refusal_of(slack_service.send, "#risk", "", a_notice())
    assert (refusal.permanent, refusal.retry_after_seconds) == (False, 30)


def test_page_of_a_broken_slack_is_tried_again(slack):
    slack.answers = [Said(503, b"<html>upstream</html>")]
    assert not refusal_of(slack_service.send, "#risk", "", a_notice()).permanent


def test_channel_without_a_bot_says_what_is_missing(settings):
    settings.SLACK_BOT_TOKEN = ""
    refusal = refusal_of(slack_service.send, "#risk", "", a_notice())
    assert "NAUTILUS_SLACK_BOT_TOKEN" in refusal.sentence
    assert refusal.permanent


def test_incoming_webhook_gets_the_message(sink):
    assert slack_service.send(sink.url, "", a_notice()) == "200 ok"
    assert "[critical] BOOK" in json.loads(sink.heard[0].body)["text"]


def test_incoming_webhook_that_is_gone_is_not_asked_again(sink):
    sink.answers = [Said(404, b"no_service")]
    refusal = refusal_of(slack_service.send, sink.url, "", a_notice())
    assert (refusal.sentence, refusal.permanent) == ("404 no_service", True)


def test_slack_goes_through_the_guard(settings):
    settings.SLACK_API_URL = "https://169.254.169.254/api/"
    settings.SLACK_BOT_TOKEN = "xoxb-of-tests"
    with pytest.raises(TargetError):
        slack_service.send("#risk", "", a_notice())


@pytest.mark.parametrize(
    "target", ["#risk", "#risk-alerts_1", "#风险", "C0123456789", "https://hooks.slack.com/services/T/B/x"]
)
def test_slack_target_is_taken(target, settings):
    settings.ALERT_OPEN_HOSTS = ["hooks.slack.com"]  # its name cannot be resolved everywhere
    slack_service.check_target(target)


@pytest.mark.parametrize(
    "target",
    ["risk", "#", "#two words", "#Risk", "@boss", "https://93.184.216.34/hook", "https://hooks.slack.com.example/x"],
)
def test_slack_target_is_refused(target):
    with pytest.raises(TargetError, match=r"is no Slack channel|is not Slack's"):
        slack_service.check_target(target)


def test_url_of_an_incoming_webhook_is_not_shown():
    assert slack_service.shown("https://hooks.slack.com/services/T/B/secret") == "https://hooks.slack.com/…"


def test_operator_sends_a_test_message_from_a_shell(slack):
    assert slack_service.send_test_message("#risk") == "200 ok, message 1.2 in C1"
    assert "Test message" in json.loads(slack.heard[0].body)["text"]
    with pytest.raises(TargetError):
        slack_service.send_test_message("nowhere")


# --- Email ------------------------------------------------------------------------------------------------
def test_email_says_what_happened_under_its_id(mailbox, settings):
    settings.DEFAULT_FROM_EMAIL = "Nautilus <nautilus@desk.example>"
    assert email_service.send("risk@desk.example", "", a_notice()) == "250 2.0.0 queued as 4711"
    message = mailbox.messages[0]
    assert message["Message-ID"] == f"<{ID}@desk.example>"
    assert message["X-Nautilus-Delivery"] == str(ID)
    assert (message["From"], message["To"]) == ("Nautilus <nautilus@desk.example>", "risk@desk.example")
    assert message["Subject"].startswith("[critical] BOOK: var_99 is 61234.50")
    plain = message.get_body(("plain",)).get_content()
    assert "threshold: 50,000.00" in plain
    assert "/risk/alerts/events/7/acknowledge" in plain


def test_html_of_an_email_is_escaped(mailbox):
    email_service.send("risk@desk.example", "", a_notice(message="<script>alert(1)</script>"))
    html = mailbox.messages[0].get_body(("html",)).get_content()
    assert "&lt;script&gt;" in html
    assert "<script>" not in html


def test_reminder_by_email_belongs_to_the_same_conversation(mailbox):
    email_service.send("risk@desk.example", "", a_notice())
    email_service.send("risk@desk.example", "", a_notice(turn=1))
    first, reminder = mailbox.messages
    assert first["References"] == reminder["References"]
    assert "Reminder: " in reminder["Subject"]


def test_line_break_in_a_message_makes_no_header(mailbox):
    email_service.send("risk@desk.example", "", a_notice(message="one\r\nBcc: other@desk.example"))
    assert mailbox.messages[0]["Bcc"] is None


@pytest.mark.parametrize(("reply", "permanent"), [("550 5.1.1 no such user", True), ("451 4.7.1 greylisted", False)])
def test_recipient_that_is_refused_with_5xx_is_refused_for_good(mailbox, reply, permanent):
    mailbox.refusals = {"risk@desk.example": reply}
    refusal = refusal_of(email_service.send, "risk@desk.example", "", a_notice())
    assert (refusal.sentence, refusal.permanent) == (reply, permanent)


@pytest.mark.parametrize(("reply", "permanent"), [("554 5.6.0 not wanted", True), ("452 4.3.1 disk full", False)])
def test_message_that_is_refused_with_5xx_is_refused_for_good(mailbox, reply, permanent):
    mailbox.reply = reply
    assert refusal_of(email_service.send, "risk@desk.example", "", a_notice()).permanent is permanent


def test_mail_server_that_is_down_is_asked_again(mailbox, settings):
    settings.EMAIL_PORT = 9
    refusal = refusal_of(email_service.send, "risk@desk.example", "", a_notice())
    assert "refused" in refusal.sentence
    assert not refusal.permanent


def test_operator_sends_a_test_email_from_a_shell(mailbox):
    assert email_service.send_test_email("risk@desk.example") == "250 2.0.0 queued as 4711"
    assert "Test message" in mailbox.messages[0]["Subject"]
    with pytest.raises(TargetError, match="not an email address"):
        email_service.send_test_email("risk at desk")


# --- All of them ------------------------------------------------------------------------------------------
def test_way_to_notify_registers_once():
    with pytest.raises(ValueError, match="already"):
        register_notifier(Notifier("email", email_service.check_target, email_service.send))


def test_unknown_way_to_notify_is_refused_with_those_there_are():
    with pytest.raises(TargetError) as refusal:
        notifier_of("pigeon")
    assert refusal.value.sentence == "'pigeon' is no way to notify. Expected one of email, slack, webhook."
