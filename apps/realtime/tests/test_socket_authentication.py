from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from knox.models import AuthToken
from websockets.sync.client import connect

from apps.realtime.authentication import is_our_origin
from apps.realtime.tests.conftest import Server
from apps.realtime.tests.test_sockets import ask, close_code
from nautilus.api.tickets import issue_ticket


def outcome(url: str, **headers: str) -> int | str:
    """'pong' where the socket works, else the code it is closed with."""
    with connect(url, additional_headers=headers, proxy=None) as socket:
        try:
            return ask(socket, type="ping")["type"]
        except Exception:
            return close_code(socket) or 0


@pytest.fixture
def cookie(user: User) -> str:
    client = Client()
    client.force_login(user)
    return f"sessionid={client.cookies['sessionid'].value}"


@pytest.fixture
def token(user: User) -> str:
    return AuthToken.objects.create(user=user)[1]


def test_nobody_gets_in_without_credentials(server: Server) -> None:
    assert outcome(server.url("/ws")) == 4401
    assert outcome(server.url("/ws/system/health")) == 4401
    assert outcome(server.url("/ws"), Cookie="sessionid=invented") == 4401


def test_token_opens_a_socket_from_any_origin(server: Server, token: str) -> None:
    assert outcome(server.url("/ws"), Authorization=f"Bearer {token}") == "pong"
    assert outcome(server.url("/ws"), Authorization=f"Bearer {token}", Origin="https://elsewhere.example") == "pong"


def test_bad_token_is_not_helped_by_a_cookie(server: Server, token: str, cookie: str) -> None:
    for bad in ("Bearer invented", f"Basic {token}", "Bearer", f"Bearer {token}x"):
        assert outcome(server.url("/ws"), Authorization=bad, Cookie=cookie) == 4401


def test_revoked_token_and_inactive_user_are_refused(server: Server, user: User, token: str) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert outcome(server.url("/ws"), Authorization=f"Bearer {token}") == 4401
    User.objects.filter(pk=user.pk).update(is_active=True)
    AuthToken.objects.all().delete()
    assert outcome(server.url("/ws"), Authorization=f"Bearer {token}") == 4401


def test_ticket_works_once(server: Server, user: User) -> None:
    url = f"{server.url('/ws')}?ticket={issue_ticket(user)}"
    assert outcome(url, Origin=f"http://127.0.0.1:{server.port}") == "pong"
    assert outcome(url) == 4401
    assert outcome(f"{server.url('/ws')}?ticket=invented") == 4401


def test_cookie_works_from_our_own_pages_only(server: Server, cookie: str) -> None:
    url = server.url("/ws")
    assert outcome(url, Cookie=cookie, Origin=f"http://127.0.0.1:{server.port}") == "pong"
    assert outcome(url, Cookie=cookie) == "pong"  # no browser
    for foreign in ("https://evil.example", "null", "http://127.0.0.1:1", "http://localhost.evil.example"):
        assert outcome(url, Cookie=cookie, Origin=foreign) == 4403


def test_foreign_page_is_refused_as_local_operator(server: Server, settings: Any, db: Any) -> None:
    settings.LOCAL_OPERATOR = True
    Group.objects.get_or_create(name="admin")  # a transactional test before this one has emptied the tables
    assert outcome(server.url("/ws")) == "pong"
    assert outcome(server.url("/ws"), Origin="https://evil.example") == 4403
    assert outcome(server.url("/ws"), Origin=f"http://127.0.0.1:{server.port}") == 4401
    assert outcome(server.url("/ws"), **{"Sec-Fetch-Site": "same-origin"}) == 4401


def test_our_origin_is_the_allowed_host_that_was_asked_or_a_trusted_one(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["risk.example", "::1", "[::1]"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://desk.example", "https://*.team.example"]
    assert is_our_origin("https://risk.example", "risk.example")
    assert is_our_origin("http://[::1]:8001", "[::1]:8001")
    assert is_our_origin("https://desk.example", "risk.example")
    assert is_our_origin("https://a.team.example", "risk.example")
    assert not is_our_origin("http://a.team.example", "risk.example")
    assert not is_our_origin("https://evilteam.example", "risk.example")
    assert not is_our_origin("https://rebound.example", "rebound.example")
    assert not is_our_origin("null", "risk.example")
    assert not is_our_origin("", "")
