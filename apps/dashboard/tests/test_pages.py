"""Who may open which page, and what stands on each whoever opens it."""

import re
from datetime import datetime

import pytest
from django.contrib.auth.models import Group
from django.http import QueryDict
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.dashboard.navigation import ENTRIES
from apps.portfolios.tests.factories import make_portfolio

pytestmark = pytest.mark.django_db


@pytest.fixture
def visitor(django_user_model):
    def sign_in(*groups: str) -> Client:
        user = django_user_model.objects.create_user(f"user of {'-'.join(groups)}", password="a-good-password")
        user.groups.set(Group.objects.get_or_create(name=name)[0] for name in groups)
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_stranger_is_led_to_the_sign_in_page_and_back(entry):
    answer = Client().get(reverse(f"dashboard:{entry.name}"))
    assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (302, "/sign-in")
    assert "next=" in answer.headers["Location"]


def test_fragment_for_a_stranger_makes_htmx_leave_for_the_sign_in_page():
    answer = Client().get("/", headers={"HX-Request": "true", "HX-Target": "alerts"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/sign-in")


@pytest.mark.parametrize(
    ("shown", "back"),
    [
        ("http://testserver/limits?view=alerts&severity=critical#x", "/limits?view=alerts&severity=critical"),
        ("http://elsewhere.example/limits", None),
        ("javascript:alert(1)", None),
    ],
)
def test_fragment_for_a_stranger_leads_back_to_the_page_around_it(shown, back):
    answer = Client().get("/", headers={"HX-Request": "true", "HX-Target": "alerts", "HX-Current-URL": shown})
    path, _, query = answer.headers["HX-Redirect"].partition("?")
    assert path == "/sign-in"
    assert QueryDict(query).get("next") == back


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_viewer_opens_every_page_without_a_portfolio(visitor, entry):
    answer = visitor("viewer").get(reverse(f"dashboard:{entry.name}"), follow=True)
    assert answer.status_code == 200, answer.content
    assert answer.headers["Cache-Control"] == "no-store"


def test_operator_reads_no_book_and_begins_with_operations(visitor):
    operator = visitor("operator")
    assert operator.get("/").headers["Location"] == reverse("dashboard:operations")
    refused = operator.get(reverse("dashboard:limits"))
    assert refused.status_code == 403
    assert b"needs the role" in refused.content
    shown = operator.get(reverse("dashboard:operations")).content.decode()
    assert 'href="/limits"' not in shown
    assert 'href="/tasks"' in shown


def test_overview_shows_the_portfolios_of_ones_own_groups_alone(visitor):
    make_portfolio("OURS", groups=["desk"])
    make_portfolio("THEIRS", groups=["others"])
    shown = visitor("viewer", "desk").get("/").content.decode()
    assert "OURS" in shown
    assert "THEIRS" not in shown


def test_pages_allow_no_script_and_no_style_but_their_own():
    policy = Client().get("/sign-in").headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy


def test_wrong_password_says_so_and_signs_nobody_in(django_user_model):
    django_user_model.objects.create_user("anna", password="a-good-password")
    answer = Client().post("/sign-in", {"username": "anna", "password": "wrong"})
    assert "No user has this name and this password" in answer.content.decode()


def test_sign_in_leads_to_the_page_that_was_asked_for_and_nowhere_else(django_user_model):
    django_user_model.objects.create_user("anna", password="a-good-password")
    fields = {"username": "anna", "password": "a-good-password"}
    assert Client().post("/sign-in", {**fields, "next": "/tasks"}).headers["Location"] == "/tasks"
    assert Client().post("/sign-in", {**fields, "next": "https://evil.example/"}).headers["Location"] == "/"


def test_page_says_when_it_was_drawn(visitor):
    """By the server's clock: a visitor's may be wrong."""
    shown = visitor("viewer").get("/").content.decode()
    drawn = datetime.fromisoformat(re.search(r'<meta name="drawn-at" content="([^"]+)">', shown)[1])
    assert abs((timezone.now() - drawn).total_seconds()) < 60
