"""The alerts and channels of the page Limits and alerts."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.dashboard.tests.test_limits import fragment, signed_in
from apps.portfolios.models import Portfolio
from apps.portfolios.tests.factories import make_portfolio, make_user
from apps.risk.alerts import acknowledge_event
from apps.risk.models import AlertDelivery, RiskEvent
from apps.risk.tests.alerting import a_breach, make_channel, make_delivery

pytestmark = pytest.mark.django_db


@pytest.fixture
def book() -> Portfolio:
    return make_portfolio("BOOK")


def happened(portfolio: Portfolio | None, message: str, **fields) -> RiskEvent:
    event = a_breach(portfolio, message=message, **fields)
    event.save()
    return event


# --- Alerts ------------------------------------------------------------------------------------------------------


def test_alerts_of_ones_own_portfolios_and_of_all_stand_there_the_newest_first(book):
    happened(book, "ours is breached", timestamp=timezone.now() - timedelta(hours=1))
    happened(make_portfolio("THEIRS", groups=["others"]), "theirs is breached")
    happened(None, "trading is halted", event_type="trading_state")
    shown = signed_in("viewer").get("/limits?view=alerts").content.decode()
    assert "theirs is breached" not in shown
    assert shown.index("trading is halted") < shown.index("ours is breached")
    assert "goes on" in shown


def test_alerts_are_acknowledged_by_risk_managers(book):
    event = happened(book, "breached")
    happened(book, "cleared", event_type="limit_cleared", severity="info")
    assert "acknowledge-" not in fragment(signed_in("viewer"), "alerts")
    shown = fragment(signed_in("risk_manager"), "alerts")
    assert f'id="acknowledge-{event.pk}"' in shown
    assert "Acknowledge all 1 shown" in shown
    acknowledge_event(event, make_user("risk_manager", username="anna"))
    shown = fragment(signed_in("risk_manager"), "alerts")
    assert "Acknowledged by anna" in shown
    assert "data-action" not in shown


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("portfolio_id=BOOK", {"open", "over", "mild"}),
        ("severity=warning", {"mild"}),
        ("event_type=limit_warning", {"mild"}),
        ("open=false", {"over"}),
        ("acknowledged=true", {"over"}),
        ("acknowledged=false&open=true&portfolio_id=OTHER", {"other"}),
    ],
)
def test_alerts_are_filtered(book, query, found):
    over = {"closed_at": timezone.now(), "acknowledged_at": timezone.now()}
    happened(book, "it is open")
    happened(book, "it is over", **over)
    happened(book, "it is mild", event_type="limit_warning", severity="warning")
    happened(make_portfolio("OTHER"), "it is other")
    shown = fragment(signed_in("viewer"), "alerts", query)
    assert {name for name in ("open", "over", "mild", "other") if f"it is {name}" in shown} == found


@pytest.mark.parametrize("query", ["severity=mild", "portfolio_id=%00", "open=perhaps", "acknowledged=1"])
def test_alert_filter_that_there_is_not_is_refused(book, query):
    assert query.partition("=")[0] in fragment(signed_in("viewer"), "alerts", query, 400)


def test_deliveries_say_to_whom_how_often_and_what_came_back(book):
    channel = make_channel(book)
    delivery = make_delivery(channel=channel, status="dead", attempts=3, last_answer="410 <gone>")
    shown = fragment(signed_in("risk_manager"), "alerts")
    for words in ("1 dead", "3 attempts", "410 &lt;gone&gt;", channel.target, f'data-delivery="{delivery.pk}"'):
        assert words in shown, words
    reader = fragment(signed_in("viewer"), "alerts")
    assert "410 &lt;gone&gt;" in reader
    assert channel.target not in reader
    assert "resend-" not in reader


def test_of_many_deliveries_the_newest_are_drawn_and_all_are_counted(book):
    channel = make_channel(book)
    first = make_delivery(channel=channel, status="dead", last_answer="answer 0")
    reminded = {"event": first.event, "channel": channel, "kind": channel.kind, "target": channel.target}
    AlertDelivery.objects.bulk_create(
        AlertDelivery(**reminded, turn=turn, status="delivered", last_answer=f"answer {turn}") for turn in range(1, 25)
    )
    make_delivery(channel=channel, status="dead", last_answer="of another")
    shown = fragment(signed_in("risk_manager"), "alerts")
    assert "25 messages: 1 dead, 24 delivered" in shown
    assert "and 5 older" in shown
    assert "1 message: 1 dead" in shown
    assert re.findall(r"answer (\d+)<", shown) == [str(turn) for turn in range(24, 4, -1)]


def test_delivery_of_a_deleted_channel_cannot_be_sent_again(book):
    make_delivery(channel=make_channel(book), status="dead")
    AlertDelivery.objects.update(channel=None)
    shown = fragment(signed_in("risk_manager"), "alerts")
    assert "the channel was deleted" in shown
    assert "resend-" not in shown


def test_who_was_told_of_what_is_about_all_is_not_for_every_desk(book):
    delivery = make_delivery(channel=make_channel(make_portfolio("THEIRS", groups=["others"])), last_answer="secret")
    RiskEvent.objects.filter(pk=delivery.event_id).update(portfolio=None)
    assert "secret" not in fragment(signed_in("viewer"), "alerts")
    assert "secret" in fragment(signed_in("risk_manager"), "alerts")


def test_alerts_of_a_closed_portfolio_are_found_and_the_filter_names_it(book):
    happened(book, "ours is breached")
    Portfolio.objects.update(closed_at=timezone.now())
    shown = signed_in("viewer").get("/limits?view=alerts&portfolio_id=BOOK").content.decode()
    assert "ours is breached" in shown
    assert '<option value="BOOK" selected>BOOK</option>' in shown


def test_page_without_alerts_says_when_some_come(book):
    assert "Nothing has happened yet." in fragment(signed_in("viewer"), "alerts")
    assert "No alert is of this choice." in fragment(signed_in("viewer"), "alerts", "open=true")


def test_more_alerts_need_no_more_queries(book, django_assert_max_num_queries):
    client, channel = signed_in("risk_manager"), make_channel(book)
    for _ in range(20):
        make_delivery(channel=channel)
    with django_assert_max_num_queries(18):
        client.get("/limits?view=alerts")


# --- Channels ----------------------------------------------------------------------------------------------------


def test_channels_stand_there_with_their_last_message(book):
    channel = make_channel(book, kind="email", target="risk@example.com", secret="", min_severity="critical")
    make_delivery(channel=channel, status="delivered", last_answer="250 OK", delivered_at=timezone.now())
    shown = signed_in("viewer").get("/limits?view=channels").content.decode()
    for words in ("email", "critical, at once", "delivered", "250 OK"):
        assert words in shown, words
    assert "data-action" not in shown.replace('data-action="close"', "")
    assert "Add a channel" not in shown


def test_risk_manager_tests_what_is_switched_on(book):
    channel = make_channel(book)
    manager = signed_in("risk_manager")
    for words in ('data-action="test-channels"', "Switch off", 'data-action="delete-channel"', "Add a channel"):
        assert words in fragment(manager, "channels"), words
    channel.enabled = False
    channel.save()
    shown = fragment(manager, "channels")
    assert "Switch on" in shown
    assert "test-channels" not in shown


def test_portfolio_without_channels_says_that_nobody_is_told(book):
    make_channel(make_portfolio("TOLD"))
    viewer = signed_in("viewer")
    assert "Nobody is told" in fragment(viewer, "channels")
    assert "/portfolios/TOLD" not in fragment(viewer, "channels", "told=no")
    assert "/portfolios/BOOK" not in fragment(viewer, "channels", "told=yes")
    assert "No portfolio is of this choice." in fragment(viewer, "channels", "portfolio_id=NONE")
    assert "There is no portfolio that you may see." in fragment(signed_in("viewer", ()), "channels")


def test_form_of_a_channel_hides_the_secret_of_slack(book):
    url = "https://hooks.slack.com/services/T000/B000/verysecret"
    channel = make_channel(book, kind="slack", target=url, secret="")
    shown = fragment(signed_in("risk_manager"), "channel-form", f"portfolio_id=BOOK&channel={channel.pk}")
    assert "verysecret" not in shown
    assert 'name="secret"' not in shown
    assert "incoming webhook" in shown


def test_form_of_a_new_channel_offers_every_kind(book):
    shown = fragment(signed_in("risk_manager"), "channel-form", "portfolio_id=BOOK")
    for kind in ("email", "slack", "webhook"):
        assert f'<option value="{kind}"' in shown
    assert 'data-traits="secret">webhook' in shown


@pytest.mark.parametrize("query", ["portfolio_id=NONE", "portfolio_id=BOOK&channel=999", ""])
def test_form_of_what_there_is_not_says_so(book, query):
    assert 'class="failed"' in fragment(signed_in("risk_manager"), "channel-form", query, 404)


def test_form_of_channels_is_for_risk_managers(book):
    assert "needs the role" in fragment(signed_in("viewer"), "channel-form", "portfolio_id=BOOK", 403)


def test_more_channels_need_no_more_queries(book, django_assert_max_num_queries):
    client = signed_in("risk_manager")
    for number in range(20):
        make_delivery(channel=make_channel(make_portfolio(f"BOOK_{number}")))
    with django_assert_max_num_queries(18):
        client.get("/limits?view=channels")
