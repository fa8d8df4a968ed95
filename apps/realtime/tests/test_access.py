"""Who may follow what: the rules alone, and then over sockets, where no word may tell what there is."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import AnonymousUser, User
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from apps.portfolios.tests.factories import make_portfolio, make_user
from apps.realtime import access
from apps.realtime.access import may_subscribe, register_topic
from apps.realtime.tests.conftest import Server
from apps.realtime.topics import publish
from apps.strategies.tests.api_factories import make_deployment, make_versions
from apps.tasks.tests.factories import make_task
from nautilus.api.tickets import issue_ticket
from nautilus.connections import redis_client


@pytest.fixture
def someone() -> User:
    return User(username="someone")


def test_words_are_open_to_everybody_who_has_signed_in(someone: User) -> None:
    assert may_subscribe(someone, "news")
    assert may_subscribe(someone, "system:health")
    assert not may_subscribe(AnonymousUser(), "news")
    assert not may_subscribe(User(username="gone", is_active=False), "news")


def test_prefix_without_a_rule_is_refused(someone: User) -> None:
    assert not may_subscribe(someone, "nobody:owns:this")
    assert not may_subscribe(someone, "system:secrets")
    assert not may_subscribe(someone, "system:*")


def test_rule_decides_on_what_follows_the_prefix(someone: User, rule: Callable[[str, Any], None]) -> None:
    rule("test-risk:alerts", lambda user, name: name == "P1")
    assert may_subscribe(someone, "test-risk:alerts:P1")
    assert not may_subscribe(someone, "test-risk:alerts:P2")
    assert not may_subscribe(someone, "test-risk:alerts:*")


def test_pattern_needs_the_rules_word_for_the_whole_of_it(someone: User, rule: Callable[[str, Any], None]) -> None:
    rule("test-risk:alerts", lambda user, name: True)
    assert may_subscribe(someone, "test-risk:alerts:*")
    assert not may_subscribe(someone, "test-risk:al*")
    assert not may_subscribe(someone, "test-risk:alerts*")
    assert not may_subscribe(someone, "test-risk:*")


def test_longest_prefix_wins(someone: User, rule: Callable[[str, Any], None]) -> None:
    rule("test-a", lambda user, name: True)
    rule("test-a:b", lambda user, name: False)
    assert may_subscribe(someone, "test-a:c")
    assert not may_subscribe(someone, "test-a:b:c")


def test_prefix_belongs_to_one_app(rule: Callable[[str, Any], None]) -> None:
    rule("test-owned", lambda user, name: True)
    with pytest.raises(ValueError, match="have a rule already"):
        register_topic("test-owned:", lambda user, name: False)


# --- Over sockets, for every prefix that an app has registered ----------------------------------------
@dataclass(frozen=True)
class Names:
    """What follows a prefix: one's own, somebody else's, and one that there is not."""

    mine: str
    hidden: str
    missing: str

    def pair(self, form: str) -> tuple[str, str]:
        """The hidden and the missing one in a form such as `{}*`."""
        return form.format(self.hidden), form.format(self.missing)


BOOKS = Names("MY_BOOK", "YOUR_BOOK", "NONE_BOOK")
TASKS = Names(*(str(UUID(int=number)) for number in (1, 2, 3)))
DEPLOYMENTS = Names("MY_DEPLOY", "YOUR_DEPLOY", "NONE_DEPLOY")
NAMES = {
    "portfolio:updates": BOOKS,
    "analytics:updates": BOOKS,
    "risk:alerts": BOOKS,
    "tasks": TASKS,
    "deployments": DEPLOYMENTS,
    "system": Names("health", "secrets", "nothing"),
}
ROUTES = {"/ws/risk": BOOKS, "/ws/analytics": BOOKS, "/ws/tasks": TASKS}
FORMS = ["{}", "{}*", "{}:x", "{}.x", "{} ", "[{}]", "?{}", "{}\\*", "*{}", "{}\u200b", "{}/../x"]
BOOK_PREFIXES = [prefix for prefix, names in NAMES.items() if names is BOOKS]
ASKED_WITH: list[dict[str, Any]] = [
    {"type": "subscribe"},
    {"type": "subscribe", "since": 0},
    {"type": "subscribe", "since": 5, "epoch": "5f1c"},
    {"type": "subscribe", "filters": {"a": 1}},
    {"type": "subscribe", "batch": True, "id": "x"},
    {"type": "unsubscribe"},
]

Dial = Callable[..., ClientConnection]


@pytest.fixture
def viewer(transactional_db: None) -> User:
    """Sees one portfolio, one deployment and one task of two each; the other ones have a history."""
    user, somebody = make_user("viewer"), make_user("viewer", groups=["another desk"])
    (version,) = make_versions()
    make_deployment(version, make_portfolio(BOOKS.mine), DEPLOYMENTS.mine)
    make_deployment(version, make_portfolio(BOOKS.hidden, groups=["another desk"]), DEPLOYMENTS.hidden)
    make_task(id=UUID(TASKS.mine), created_by=user)
    make_task(id=UUID(TASKS.hidden), created_by=somebody)
    for prefix, names in NAMES.items():
        publish(f"{prefix}:{names.hidden}", {"secret": 1})
    return user


@pytest.fixture
def dial(server: Server, viewer: User) -> Iterator[Dial]:
    with ExitStack() as open_sockets:
        yield lambda path="/ws", user=viewer: open_sockets.enter_context(
            connect(f"{server.url(path)}?ticket={issue_ticket(user)}", proxy=None)
        )


def ask(socket: ClientConnection, **request: Any) -> dict[str, Any]:
    socket.send(json.dumps(request))
    return hear(socket)


def hear(socket: ClientConnection) -> dict[str, Any]:
    return json.loads(socket.recv(timeout=10))


def all_until_closed(socket: ClientConnection) -> tuple[list[str], int | None, str | None]:
    heard: list[str] = []
    with suppress(ConnectionClosed):
        while True:
            heard.append(str(socket.recv(timeout=10)))
    return heard, socket.protocol.close_code, socket.protocol.close_reason


def keys_of(name: str) -> dict[str, Any]:
    """What Redis holds of topics with this name, and of each head what it says."""
    redis = redis_client()
    keys = sorted(redis.scan_iter(f"topics:*{name}*"))
    return {key: redis.hgetall(key) if redis.type(key) == "hash" else redis.type(key) for key in keys}


def test_every_registered_prefix_is_looked_at_here() -> None:
    assert set(access._rules) == set(NAMES), "Give NAMES the new prefix, with names that a viewer may and may not read"


def test_ones_own_topics_are_followed(dial: Dial) -> None:
    socket = dial()
    for prefix, names in NAMES.items():
        topic = f"{prefix}:{names.mine}"
        assert ask(socket, type="subscribe", topic=topic)["type"] == "subscribed"
        publish(topic, {"mine": prefix})
        assert hear(socket)["data"] == {"mine": prefix}


def test_hidden_and_missing_topics_are_refused_alike_in_every_form(dial: Dial) -> None:
    for prefix, names in NAMES.items():
        socket = dial()  # a new one each: who does nothing but ask wrongly is closed
        for form in FORMS:
            hidden, missing = (f"{prefix}:{name}" for name in names.pair(form))
            of_hidden = ask(socket, type="subscribe", topic=hidden)
            of_missing = ask(socket, type="subscribe", topic=missing)
            assert of_hidden["type"] == "error"
            assert json.dumps(of_hidden).replace(names.hidden, names.missing) == json.dumps(of_missing)
        assert ask(socket, type="list")["topics"] == []


def test_hidden_and_missing_topics_are_refused_alike_whatever_is_asked_with_them(dial: Dial) -> None:
    for prefix, names in NAMES.items():
        socket = dial()
        for asked in ASKED_WITH:
            of_hidden = ask(socket, topic=f"{prefix}:{names.hidden}", **asked)
            of_missing = ask(socket, topic=f"{prefix}:{names.missing}", **asked)
            assert set(of_hidden) - {"id"} == {"type", "code", "detail"}
            assert json.dumps(of_hidden).replace(names.hidden, names.missing) == json.dumps(of_missing)


def test_refused_topics_leave_nothing_in_redis_and_send_nothing(dial: Dial) -> None:
    socket = dial()
    for prefix, names in NAMES.items():
        hidden, missing = f"{prefix}:{names.hidden}", f"{prefix}:{names.missing}"
        before = keys_of(names.hidden), keys_of(names.missing)
        for topic in (hidden, missing, f"{hidden}*", f"{prefix}:*"):
            since = {} if "*" in topic else {"since": 0}
            assert ask(socket, type="subscribe", topic=topic, **since)["code"] == "not_found"
        assert (keys_of(names.hidden), keys_of(names.missing)) == before
        publish(hidden, {"secret": 2})
        assert ask(socket, type="ping")["type"] == "pong"


def test_wide_patterns_bring_a_viewer_nothing_of_a_topic_that_has_a_rule(dial: Dial) -> None:
    socket = dial()
    for pattern in ("p*", "portfolio*", "risk*", "t*", "tasks*", "s*", "system*", "d*", "deployments*"):
        assert ask(socket, type="subscribe", topic=pattern)["type"] == "subscribed"
        for prefix, names in NAMES.items():
            publish(f"{prefix}:{names.hidden}", {"secret": 3})
            publish(f"{prefix}:{names.mine}", {"mine": 3})
        publish(f"{pattern[:-1]}-word", {"last": True})
        assert hear(socket)["data"] == {"last": True}
        assert ask(socket, type="unsubscribe", topic=pattern)["type"] == "unsubscribed"


def test_patterns_that_would_reach_over_several_rules_are_refused(dial: Dial) -> None:
    socket = dial()
    for pattern in ("*", "portfolio:*", "risk:*", "risk:al*", "risk:alerts*", "system:*", "system:h*", ":*"):
        assert ask(socket, type="subscribe", topic=pattern)["type"] == "error"
    assert ask(socket, type="list")["topics"] == []


def test_routes_to_ones_own_topics_are_followed(dial: Dial) -> None:
    for route, names in ROUTES.items():
        assert hear(dial(f"{route}/{names.mine}"))["type"] == "subscribed"


def test_routes_to_hidden_and_to_missing_topics_are_closed_alike(dial: Dial) -> None:
    for route, names in ROUTES.items():
        before = keys_of(names.hidden), keys_of(names.missing)
        for form in ("{}", "{}/", "{}*", "{}%20", "{}%3Ax", "%2A"):
            of_hidden, of_missing = (all_until_closed(dial(f"{route}/{name}")) for name in names.pair(form))
            assert of_hidden[:2] == ([], 4403)
            assert str(of_hidden).replace(names.hidden, names.missing) == str(of_missing)
        assert (keys_of(names.hidden), keys_of(names.missing)) == before


def test_who_sees_every_portfolio_may_follow_the_pattern_of_all(dial: Dial) -> None:
    socket = dial(user=make_user("risk_manager", groups=[]))
    for prefix in BOOK_PREFIXES:
        assert ask(socket, type="subscribe", topic=f"{prefix}:*")["type"] == "subscribed"
        publish(f"{prefix}:{BOOKS.hidden}", {"secret": prefix})
        assert hear(socket)["data"] == {"secret": prefix}


def test_nobody_else_may_follow_the_pattern_of_all(dial: Dial) -> None:
    for role in ("viewer", "trader", "strategist", "operator"):
        socket = dial(user=make_user(role))
        for prefix in NAMES:
            assert ask(socket, type="subscribe", topic=f"{prefix}:*")["code"] == "not_found"


def test_who_has_no_role_that_reads_books_sees_none(dial: Dial) -> None:
    for role in (None, "operator"):
        socket = dial(user=make_user(role))
        for prefix in BOOK_PREFIXES:
            assert ask(socket, type="subscribe", topic=f"{prefix}:{BOOKS.mine}")["code"] == "not_found"


def test_own_task_written_in_another_way_is_no_topic(dial: Dial) -> None:
    """Nothing is ever published under such a name, so nobody may wait for it."""
    socket = dial()
    for name in (f"{{{TASKS.mine}}}", f"urn:uuid:{TASKS.mine}", TASKS.mine.replace("-", "")):
        assert ask(socket, type="subscribe", topic=f"tasks:{name}")["code"] == "not_found"
