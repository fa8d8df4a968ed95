"""The admin's page of live connections, and the rows below it."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings
from django.urls import reverse

from apps.portfolios.tests.factories import make_user
from apps.realtime.metrics import record_metrics
from apps.realtime.models import WebsocketMetric
from apps.realtime.tests.said_processes import Say, report, said_processes
from apps.realtime.topics import publish
from nautilus.connections import redis_client

pytestmark = pytest.mark.django_db

LIVE = "/admin/realtime/websocketmetric/live/"
LIST = "/admin/realtime/websocketmetric/"


@pytest.fixture
def say() -> Iterator[Say]:
    with said_processes() as start:
        yield start


@pytest.fixture
def redis_away() -> Iterator[None]:
    """Nothing listens on this port."""
    with override_settings(REDIS_URL="redis://127.0.0.1:1/0"):
        redis_client.cache_clear()
        yield
    redis_client.cache_clear()


def signed_in(role: str) -> Client:
    client = Client()
    client.force_login(make_user(role, is_staff=True))
    return client


@pytest.fixture
def operator() -> Client:
    return signed_in("operator")


def shown(client: Client, path: str = LIVE) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def done(client: Client, measure: str) -> str:
    return client.post(f"{LIVE}{measure}/", follow=True).content.decode()


def test_page_shows_topics_with_subscribers_and_last_seq(operator: Client, say: Say, topic: str) -> None:
    publish(topic, {})
    say(report(topics={topic: 1_234}))
    table = operator.get(LIVE).context["topics"]
    assert table["rows"] == [[topic, "1,234", "1"]]
    assert topic in shown(operator)


def test_page_shows_each_process_and_the_users(operator: Client, say: Say) -> None:
    say(report("host-a:17", active=3, users={"ann": 2, "bob": 1}))
    say(report("host-b:18", active=1, users={"ann": 1}))
    page = operator.get(LIVE)
    assert [row[0] for row in page.context["processes"]["rows"]] == ["host-a:17", "host-b:18"]
    assert page.context["users"]["rows"] == [["ann", 3], ["bob", 1]]


def test_page_says_that_a_process_is_silent(operator: Client, say: Say) -> None:
    say(report())
    say(None)
    assert "1 process did not answer in time and is missing in all figures" in shown(operator)


def test_page_says_that_no_process_is_there(operator: Client) -> None:
    assert "No process that serves sockets is there." in shown(operator)


def test_page_opens_while_redis_is_away_and_says_so(operator: Client, redis_away: None) -> None:
    assert "Redis does not answer" in shown(operator)


def test_name_of_a_topic_is_shown_as_text(operator: Client, say: Say) -> None:
    say(report(topics={"<b>bold</b>": 1}))
    assert "<b>bold</b>" not in shown(operator)


def test_page_has_the_last_day_as_a_chart(operator: Client) -> None:
    record_metrics([report(active=5)])
    assert '"label": "Open sockets"' in operator.get(LIVE).context["chart"]
    assert 'class="chart"' in shown(operator)


@pytest.mark.parametrize("measure", ["cleanup", "restart"])
def test_button_asks_before_anything_is_done(operator: Client, say: Say, measure: str) -> None:
    process = say(report(connections_closed=1))
    assert "<form" in shown(operator, f"{LIVE}{measure}/")
    assert process.commands == []


def test_restart_is_done_once_confirmed(operator: Client, say: Say) -> None:
    process = say(report(connections_closed=12))
    assert "1 process closed 12 sockets." in done(operator, "restart")
    assert process.commands[0] == "restart"


def test_cleaning_up_is_done_once_confirmed(operator: Client, say: Say) -> None:
    process = say(report(connections_closed=2))
    assert "2 stale connections were closed" in done(operator, "cleanup")
    assert process.commands[0] == "cleanup"


def test_restart_that_no_process_hears_is_told(operator: Client) -> None:
    assert "No socket server process listens" in done(operator, "restart")


def test_restart_while_redis_is_away_is_told(operator: Client, redis_away: None) -> None:
    assert "Nothing is known to have been done" in done(operator, "restart")


def test_measure_that_does_not_exist_is_not_there(operator: Client) -> None:
    assert operator.post(f"{LIVE}nonsense/").status_code == 404


@pytest.mark.parametrize(
    ("role", "status"), [("operator", 200), ("admin", 200), ("risk_manager", 404), ("viewer", 404)]
)
def test_page_is_for_operators(role: str, status: int) -> None:
    assert signed_in(role).get(LIVE).status_code == status


def test_who_is_no_operator_restarts_nothing(say: Say) -> None:
    process = say(report(connections_closed=1))
    assert signed_in("risk_manager").post(f"{LIVE}restart/").status_code == 404
    assert process.commands == []


def test_side_bar_leads_operators_to_the_page(operator: Client) -> None:
    assert f'href="{reverse("admin:realtime_live")}"' in shown(operator, "/admin/")
    assert f'href="{LIVE}"' not in shown(signed_in("risk_manager"), "/admin/")


def test_rows_are_to_look_at(operator: Client) -> None:
    record_metrics([report("host-a:17")])
    row = WebsocketMetric.objects.get()
    root = Client()
    root.force_login(User.objects.create_superuser("root"))
    assert "host-a:17" in shown(operator, LIST)
    assert root.get(f"{LIST}{row.pk}/change/").status_code == 200
    assert root.get(f"{LIST}add/").status_code == 403
    assert root.post(f"{LIST}{row.pk}/delete/", {"post": "yes"}).status_code == 403
