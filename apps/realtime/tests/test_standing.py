"""A socket outlives what opened it, until the server looks again."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.utils import timezone
from knox.models import AuthToken
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from apps.realtime import hub as hub_module
from apps.realtime import standing
from apps.realtime.authentication import proof_of_scope
from apps.realtime.tests.conftest import Server
from apps.realtime.tests.test_sockets import ask, close_code, hear
from nautilus.api.tickets import issue_ticket


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server looks again all the time."""
    monkeypatch.setattr(hub_module, "TURN_SECONDS", 0.05)
    monkeypatch.setattr(standing, "SUBSCRIPTION_SECONDS", 0.0)


@pytest.fixture
def dial(server: Server) -> Iterator[Callable[..., ClientConnection]]:
    with ExitStack() as open_sockets:
        yield lambda query="", **headers: open_sockets.enter_context(
            connect(server.url(f"/ws{query}"), additional_headers=headers, proxy=None)
        )


def is_alive(socket: ClientConnection) -> bool:
    try:
        return ask(socket, type="ping")["type"] == "pong"
    except ConnectionClosed:
        return False


def session_of(user: User) -> str:
    session = import_module(django_settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return str(session.session_key)


def test_revoked_token_closes_its_sockets_and_no_other(dial: Callable[..., Any], user: User, topic: str) -> None:
    (revoked, first), (_, second) = AuthToken.objects.create(user=user), AuthToken.objects.create(user=user)
    one, two = dial(Authorization=f"Bearer {first}"), dial(Authorization=f"Bearer {second}")
    ask(one, type="subscribe", topic=topic)
    assert is_alive(one)
    revoked.delete()
    assert close_code(one) == 4401
    assert is_alive(two)


def test_expired_token_closes_its_sockets(dial: Callable[..., Any], user: User, topic: str) -> None:
    token, text = AuthToken.objects.create(user=user)
    socket = dial(Authorization=f"Bearer {text}")
    ask(socket, type="subscribe", topic=topic)
    AuthToken.objects.filter(pk=token.pk).update(expiry=timezone.now() - timedelta(seconds=1))
    assert close_code(socket) == 4401


def test_session_that_ended_closes_its_sockets(dial: Callable[..., Any], user: User, topic: str) -> None:
    key = session_of(user)
    socket = dial(Cookie=f"{django_settings.SESSION_COOKIE_NAME}={key}")
    ask(socket, type="subscribe", topic=topic)
    assert is_alive(socket)
    import_module(django_settings.SESSION_ENGINE).SessionStore(key).delete()
    assert close_code(socket) == 4401


def test_user_who_is_no_longer_active_loses_the_socket_also_with_a_ticket(
    dial: Callable[..., Any], user: User, topic: str
) -> None:
    socket = dial(f"?ticket={issue_ticket(user)}")
    ask(socket, type="subscribe", topic=topic)
    assert is_alive(socket)
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert close_code(socket) == 4401


def test_topic_that_may_not_be_read_any_more_is_unsubscribed_and_the_others_stay(
    dial: Callable[..., Any], user: User, topic: str, rule: Callable[[str, Any], None]
) -> None:
    allowed = {f"{topic}-book:1", f"{topic}-book:2"}
    rule(f"{topic}-book", lambda _, name: f"{topic}-book:{name}" in allowed)
    socket = dial(f"?ticket={issue_ticket(user)}")
    for name in sorted(allowed):
        assert ask(socket, type="subscribe", topic=name)["type"] == "subscribed"
    allowed.remove(f"{topic}-book:1")
    assert hear(socket)["code"] == "not_found"
    assert hear(socket) == {"type": "unsubscribed", "topic": f"{topic}-book:1"}
    assert ask(socket, type="list")["topics"] == [f"{topic}-book:2"]


def test_change_of_password_closes_the_sockets_of_old_sessions(
    dial: Callable[..., Any], user: User, topic: str
) -> None:
    socket = dial(Cookie=f"{django_settings.SESSION_COOKIE_NAME}={session_of(user)}")
    ask(socket, type="subscribe", topic=topic)
    assert is_alive(socket)
    user.set_password("another long password")
    user.save()
    assert close_code(socket) == 4401


@pytest.mark.parametrize("query", [b"", b"xticket=1", b"ticket="])
def test_socket_that_came_by_its_session_is_known_by_it(user: User, query: bytes) -> None:
    key = session_of(user)
    cookie = f"{django_settings.SESSION_COOKIE_NAME}={key}".encode()
    proof = proof_of_scope({"headers": [(b"cookie", cookie)], "query_string": query}, user)
    assert proof.session_key == key


def test_topic_is_asked_for_with_the_rights_of_now(
    dial: Callable[..., Any], user: User, topic: str, rule: Callable[[str, Any], None]
) -> None:
    rule(f"{topic}-staff", lambda user, _: user.is_staff)
    socket = dial(f"?ticket={issue_ticket(user)}")
    assert ask(socket, type="subscribe", topic=f"{topic}-staff:a")["code"] == "not_found"
    User.objects.filter(pk=user.pk).update(is_staff=True)
    assert ask(socket, type="subscribe", topic=f"{topic}-staff:a")["type"] == "subscribed"
