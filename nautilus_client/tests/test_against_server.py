"""The client and the real server: uvicorn with our application, the Valkey of REDIS_URL."""

import threading
from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import Any

import pytest
from django.contrib.auth.models import User

from apps.realtime import hub, standing
from apps.realtime.control import ask_hubs
from apps.realtime.tests.conftest import Server, rule, server, topic, user
from apps.realtime.topics import head_key, publish, stream_key
from nautilus.api.tickets import issue_ticket
from nautilus.connections import redis_client
from nautilus_client import AccessRefusedError, Client, HistoryLostError, RefusedError, connection
from nautilus_client.tests.reading import gap, seqs, take
from tests.running import wait_until

__all__ = ["rule", "server", "topic", "user"]  # fixtures


@pytest.fixture
def other_server(transactional_db: None) -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


@pytest.fixture
def looks_again_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server, at whether those who listen still may; it has to be asked for before the server is."""
    monkeypatch.setattr(hub, "TURN_SECONDS", 0.05)
    monkeypatch.setattr(standing, "SUBSCRIPTION_SECONDS", 0.0)


@pytest.fixture
def enter(server: Server, user: User, open_client: Any) -> Callable[..., Client]:
    """A client of the server, as `user`."""
    return lambda *more: open_client([server.url("/ws"), *more], ticket=lambda: issue_ticket(user))


def test_messages_of_a_topic_come_in_order(enter: Any, topic: str):
    items = enter().subscribe(topic)
    for n in range(3):
        publish(topic, {"n": n})
    first, *_ = read = take(items, 3)
    assert seqs(read) == [1, 2, 3]
    assert (first.topic, first.data, first.timestamp[-1]) == (topic, {"n": 0}, "Z")
    assert first.epoch


def test_earlier_messages_come_with_since(enter: Any, topic: str):
    for n in range(3):
        publish(topic, {"n": n})
    assert seqs(take(enter().subscribe(topic, since=1), 2)) == [2, 3]


def test_since_of_another_epoch_is_a_gap(enter: Any, topic: str):
    publish(topic, {})
    (lost,) = take(enter().subscribe(topic, since=1, epoch="of another life"), 1)
    assert gap(lost)[2] == "new_epoch"


def test_client_goes_on_at_another_server_when_its_own_ends(
    enter: Any, server: Server, other_server: Server, topic: str
):
    items = enter(other_server.url("/ws")).subscribe(topic)
    publish(topic, {"n": 1})
    assert seqs(take(items, 1)) == [1]
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    for n in range(2, 50):
        publish(topic, {"n": n})
    stopping.join()
    publish(topic, {"n": 50})
    assert seqs(take(items, 49)) == list(range(2, 51))


def test_reader_that_is_slower_than_its_topic_loses_nothing(server: Server, user: User, open_client: Any, topic: str):
    client = open_client(server.url("/ws"), ticket=lambda: issue_ticket(user), queue_size=10)
    items, beside = client.subscribe(topic), client.subscribe(f"{topic}-beside")
    for n in range(200):
        publish(topic, {"n": n})
    publish(f"{topic}-beside", {})
    assert seqs(take(beside, 1)) == [1]
    assert seqs(take(items, 200)) == list(range(1, 201))


def test_filter_lets_through_what_it_names_and_pongs_tell_where_its_topic_stands(
    enter: Any, topic: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connection, "PING_SECONDS", 0.05)
    client = enter()
    items = client.subscribe(topic, filters={"severity": "critical", "var": {"gt": 10}})
    everything = client.subscribe(f"{topic}-beside")
    for severity, var in [("critical", 11), ("warning", 11), ("critical", 10), ("critical", 12), ("info", 0)]:
        publish(topic, {"severity": severity, "var": var})
    publish(f"{topic}-beside", {})
    assert seqs(take(everything, 1)) == [1]
    assert seqs(take(items, 2)) == [1, 4]
    wait_until(lambda: items.position == (5, items.position[1]), 10, "a pong")


def test_batches_are_unpacked(enter: Any, topic: str):
    items = enter().subscribe(topic, batch=True)
    for _ in range(250):
        publish(topic, {})
    assert seqs(take(items, 250)) == list(range(1, 251))


def test_filter_that_the_server_does_not_know_is_refused(enter: Any, topic: str):
    with pytest.raises(RefusedError) as refused:
        enter().subscribe(topic, filters={"var": {"about": 10}})
    assert refused.value.code == "invalid_filter"


def test_restart_of_the_hubs_loses_nothing(enter: Any, topic: str):
    items = enter().subscribe(topic)
    for n in range(1, 101):
        publish(topic, {"n": n})
        if n == 50:
            assert sum(answer["connections_closed"] for answer in ask_hubs("restart")) == 1
    assert seqs(take(items, 100)) == list(range(1, 101))


def test_pattern_covers_topics_that_begin_alike(enter: Any, topic: str):
    items = enter().subscribe(f"{topic}*")
    for name in ("a", "b"):
        publish(f"{topic}-{name}", {})
    assert [item.topic for item in take(items, 2)] == [f"{topic}-a", f"{topic}-b"]


def test_topic_that_is_followed_by_itself_beside_its_pattern_loses_nothing(enter: Any, topic: str):
    client = enter()
    pattern = client.subscribe(f"{topic}*")
    publishing = threading.Thread(target=lambda: [publish(topic, {}) for _ in range(500)])
    publishing.start()
    (first,) = take(pattern, 1)
    own = client.subscribe(topic)
    publishing.join()
    for name in (topic, f"{topic}-end"):
        publish(name, {})
    before = [first, *takewhile(lambda item: item.topic == topic, pattern)]
    after = take(own, 501 - len(before))
    assert seqs(before + after) == list(range(1, 502))


def test_topic_that_one_may_not_read_any_more_ends_and_the_others_go_on(
    looks_again_often: None, enter: Any, rule: Any, topic: str
):
    allowed = {f"{topic}-book:1", f"{topic}-book:2"}
    rule(f"{topic}-book", lambda _, name: f"{topic}-book:{name}" in allowed)
    client = enter()
    lost, kept = (client.subscribe(name) for name in sorted(allowed))
    allowed.remove(lost.topic)
    with pytest.raises(RefusedError) as refused:
        lost.receive(10)
    assert refused.value.code == "not_found"
    publish(kept.topic, {})
    assert seqs(take(kept, 1)) == [1]


def test_task_is_waited_for_though_it_has_ended_before(enter: Any, rule: Any, topic: str):
    rule("tasks", lambda user, name: True)
    publish(f"tasks:{topic}", {"status": "processing"})
    publish(f"tasks:{topic}", {"status": "succeeded", "result": 1})
    assert enter().wait_for_task(topic, timeout=10)["result"] == 1


def test_task_whose_messages_have_gone_by_is_said(enter: Any, rule: Any, topic: str):
    rule("tasks", lambda user, name: True)
    publish(f"tasks:{topic}", {"status": "succeeded"})
    redis_client().delete(stream_key(f"tasks:{topic}"))
    assert redis_client().exists(head_key(f"tasks:{topic}"))
    with pytest.raises(HistoryLostError):
        enter().wait_for_task(topic, timeout=10)


def test_topic_that_one_may_not_read_is_refused(enter: Any, rule: Any):
    rule("test:secret", lambda user, name: False)
    with pytest.raises(RefusedError) as refused:
        enter().subscribe("test:secret:x")
    assert refused.value.code == "not_found"


@pytest.mark.parametrize("credentials", [{"token": "nobody's"}, {"ticket": "used"}])
def test_wrong_credentials_end_the_client(server: Server, open_client: Any, credentials: dict[str, str]):
    with pytest.raises(AccessRefusedError) as refused:
        open_client(server.url("/ws"), **credentials).subscribe("news")
    assert refused.value.code == 4401


def test_path_without_a_socket_ends_the_client(server: Server, user: User, open_client: Any):
    client = open_client(server.url("/nothing/here"), ticket=lambda: issue_ticket(user))
    with pytest.raises(AccessRefusedError) as refused:
        client.subscribe("news")
    assert refused.value.code == 4404
