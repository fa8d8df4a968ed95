"""Alerts in the admin: acknowledged, channels with a secret that is not shown, dead letters sent again."""

import pytest
from django.test import Client

from apps.portfolios.tests.factories import make_user
from apps.risk.models import AlertChannel, AlertDelivery, RiskEvent
from apps.risk.tests.alerting import HOOK, SECRET, a_portfolio, make_channel, make_delivery

pytestmark = pytest.mark.django_db

CHANNEL = "/admin/risk/alertchannel/"
FORM = {"kind": "webhook", "target": HOOK, "secret": "", "min_severity": "warning", "escalate_after_minutes": "0"}


def signed_in(role: str) -> Client:
    client = Client()
    client.force_login(make_user(role, is_staff=True))
    return client


@pytest.fixture
def manager():
    return signed_in("risk_manager")


def act(client: Client, page: str, action: str, *keys: object) -> str:
    answer = client.post(page, {"action": action, "_selected_action": [str(key) for key in keys]}, follow=True)
    return answer.content.decode()


@pytest.mark.parametrize("model", [RiskEvent, AlertChannel, AlertDelivery])
def test_pages_open_with_rows_in_them(manager, model):
    make_delivery(status="dead")
    page = f"/admin/risk/{model._meta.model_name}/"
    assert manager.get(page).status_code == 200
    assert manager.get(f"{page}?q=BOOK").status_code == 200
    shown = manager.get(f"{page}{model.objects.get().pk}/change/")
    assert shown.status_code == 200
    assert SECRET not in shown.content.decode()


def test_risk_manager_acknowledges_from_the_list(manager):
    event = make_delivery().event
    assert "1 acknowledged" in act(manager, "/admin/risk/riskevent/", "acknowledge", event.pk)
    event.refresh_from_db()
    assert event.acknowledged_by.username.startswith("risk_manager")


def test_channel_that_is_added_gets_a_secret_that_is_shown_once(manager):
    a_portfolio()
    answer = manager.post(f"{CHANNEL}add/", {**FORM, "portfolio": "BOOK", "enabled": "on"}, follow=True)
    channel = AlertChannel.objects.get()
    assert channel.secret in answer.content.decode()
    assert channel.created_by.username.startswith("risk_manager")
    assert channel.secret not in manager.get(CHANNEL).content.decode()


def test_channel_that_could_not_work_is_refused_beside_its_field(manager):
    a_portfolio()
    answer = manager.post(f"{CHANNEL}add/", {**FORM, "portfolio": "BOOK", "target": "https://10.0.0.1/"})
    assert "not in the public Internet" in answer.content.decode()
    assert not AlertChannel.objects.exists()


def test_secret_stays_where_none_is_given_and_changes_where_one_is(manager):
    channel = make_channel()
    page = f"{CHANNEL}{channel.pk}/change/"
    assert manager.post(page, {**FORM, "min_severity": "critical"}).status_code == 302
    channel.refresh_from_db()
    assert (channel.secret, channel.min_severity) == (SECRET, "critical")
    manager.post(page, {**FORM, "secret": "another-secret-of-ours"})
    channel.refresh_from_db()
    assert channel.secret == "another-secret-of-ours"


def test_risk_manager_deletes_a_channel(manager):
    channel = make_channel()
    manager.post(f"{CHANNEL}{channel.pk}/delete/", {"post": "yes"})
    assert not AlertChannel.objects.exists()


def test_dead_delivery_is_sent_again_and_another_is_not(manager):
    dead, pending = make_delivery(status="dead"), make_delivery()
    said = act(manager, "/admin/risk/alertdelivery/", "send_again", dead.pk, pending.pk)
    assert f"{dead.pk} is due again" in said
    assert "is pending, not dead" in said
    assert AlertDelivery.objects.get(pk=dead.pk).status == "pending"


@pytest.mark.parametrize("role", ["trader", "operator"])
def test_others_see_none_of_it(role):
    make_delivery()
    client = signed_in(role)
    for name in ("riskevent", "alertchannel", "alertdelivery"):
        assert client.get(f"/admin/risk/{name}/").status_code == 403


def test_lists_take_no_query_a_row(manager, django_assert_max_num_queries):
    channel = make_channel()
    for _ in range(20):
        make_delivery(channel=channel)
    for name in ("riskevent", "alertchannel", "alertdelivery"):
        with django_assert_max_num_queries(16):
            assert manager.get(f"/admin/risk/{name}/").status_code == 200
