"""What one asks for: topics, patterns, filters, batches, tasks; and what is refused."""

import asyncio
from typing import Any

import pytest

from nautilus_client import AsyncClient, ClientClosedError, HistoryLostError, RefusedError, connection
from nautilus_client.tests.conftest import QUICK
from nautilus_client.tests.reading import seqs, take
from nautilus_client.tests.scripted import Peer, message


def test_refused_subscription_says_why_and_the_others_go_on(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        peer.accept()
        peer.refuse("not_found")
        peer.publish(1)
        peer.stay()

    client = open_client(serve(script).url)
    news = client.subscribe("news")
    with pytest.raises(RefusedError) as refused:
        client.subscribe("secret")
    assert (refused.value.code, refused.value.detail) == ("not_found", "not_found for this test")
    assert seqs(take(news, 1)) == [1]


def test_topic_that_was_refused_can_be_asked_for_again(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        peer.refuse("not_found")
        peer.accept()
        peer.publish(1)
        peer.stay()

    client = open_client(serve(script).url)
    with pytest.raises(RefusedError):
        client.subscribe("news")
    assert seqs(take(client.subscribe("news"), 1)) == [1]


def test_subscription_that_the_server_ends_because_rights_were_lost_is_refused(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        peer.accept()
        peer.accept()
        peer.publish(1)
        peer.say(type="error", code="not_found", detail="no more")
        peer.say(type="unsubscribed", topic="news")
        peer.publish(1, topic="sports")
        peer.stay()

    client = open_client(serve(script).url)
    news, sports = client.subscribe("news"), client.subscribe("sports")
    assert seqs(take(news, 1)) == [1]
    with pytest.raises(RefusedError) as refused:
        news.receive(10)
    assert refused.value.code == "not_found"
    assert seqs(take(sports, 1)) == [1]


@pytest.mark.parametrize("code", ["unavailable", "rate_limited"])
def test_refusal_that_passes_is_asked_again(serve: Any, open_client: Any, code: str):
    def script(peer: Peer) -> None:
        peer.refuse(code)
        peer.refuse(code)
        peer.accept()
        peer.publish(1)
        peer.stay()

    assert seqs(take(open_client(serve(script).url).subscribe("news"), 1)) == [1]


def test_topic_that_the_server_still_follows_is_left_and_joined_again(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        peer.refuse("already_subscribed")
        assert peer.hear()["type"] == "unsubscribe"
        peer.accept()
        peer.publish(1)
        peer.stay()

    assert seqs(take(open_client(serve(script).url).subscribe("news"), 1)) == [1]


def test_topic_that_one_may_not_read_any_more_after_a_break_ends_its_reading(serve: Any, open_client: Any):
    def before(peer: Peer) -> None:
        peer.accept()
        peer.publish(1)
        peer.close(1012)

    def after(peer: Peer) -> None:
        peer.refuse("not_found")
        peer.stay()

    news = open_client(serve(before, after).url).subscribe("news")
    assert seqs(take(news, 1)) == [1]
    with pytest.raises(RefusedError):
        news.receive(10)


def test_request_that_is_never_answered_ends_the_connection(
    serve: Any, open_client: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.05)

    def after(peer: Peer) -> None:
        peer.accept()
        monkeypatch.undo()
        peer.publish(1)
        peer.stay()

    assert seqs(take(open_client(serve(Peer.stay, after).url).subscribe("news"), 1)) == [1]


def test_messages_go_to_their_own_topic_and_else_to_the_pattern(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        for _ in range(3):
            peer.accept()
        for topic in ("risk:a", "risk:b", "news", "nobody"):
            peer.publish(1, topic=topic)
        peer.publish(2, topic="risk:b")
        peer.stay()

    client = open_client(serve(script).url)
    own, pattern, news = (client.subscribe(topic) for topic in ("risk:a", "risk:*", "news"))
    assert [item.topic for item in take(own, 1)] == ["risk:a"]
    assert [item.topic for item in take(pattern, 2)] == ["risk:b", "risk:b"]
    assert [item.topic for item in take(news, 1)] == ["news"]


@pytest.mark.parametrize("second", ["risk:*", "risk:alerts:*", "risk:a*"])
def test_overlapping_patterns_are_refused_by_the_client(serve: Any, open_client: Any, second: str):
    def script(peer: Peer) -> None:
        peer.accept()
        peer.stay()

    client = open_client(serve(script).url)
    client.subscribe("risk:*")
    with pytest.raises(ValueError, match="use a second client"):
        client.subscribe(second)


def test_topic_that_is_followed_already_is_refused_by_the_client(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        peer.accept()
        peer.stay()

    client = open_client(serve(script).url)
    client.subscribe("news")
    with pytest.raises(ValueError, match="subscribed to already"):
        client.subscribe("news")


def test_pattern_with_a_since_is_refused_by_the_client(open_client: Any, dead_port: int):
    with pytest.raises(ValueError, match="leave out since"):
        open_client(f"ws://127.0.0.1:{dead_port}").subscribe("risk:*", since=1)


@pytest.mark.parametrize("size", [0, -1])
def test_queue_without_room_is_refused_by_the_client(open_client: Any, size: int):
    with pytest.raises(ValueError, match=f"queue_size is {size}; expected 1 or more"):
        open_client("ws://127.0.0.1:9", queue_size=size)


def test_batches_are_unpacked_in_order(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        assert peer.accept()["batch"] is True
        peer.say(type="batch", messages=[message(1, data={"n": 1}), message(2)])
        peer.say(type="batch", messages=[message(2), message(3)])
        peer.stay()

    items = take(open_client(serve(script).url).subscribe("news", batch=True), 3)
    assert (seqs(items), items[0].data) == ([1, 2, 3], {"n": 1})


def test_seq_that_a_filter_left_out_is_no_gap(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        assert peer.accept()["filters"] == {"severity": "critical"}
        peer.publish(2, 2, 9)
        peer.stay()

    news = open_client(serve(script).url).subscribe("news", filters={"severity": "critical"})
    assert seqs(take(news, 2)) == [2, 9]


def test_pong_tells_where_a_filtered_topic_stands(serve: Any, open_client: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connection, "PING_SECONDS", 0.01)

    def before(peer: Peer) -> None:
        peer.accept()
        peer.publish(2)
        peer.hear_of("ping")
        peer.say(type="pong", timestamp="", positions={"news": 40, "other": 3})
        peer.close(1012)

    def after(peer: Peer) -> None:
        assert peer.accept(41)["since"] == 40
        peer.publish(41)
        peer.stay()

    news = open_client(serve(before, after).url).subscribe("news", filters={"severity": "critical"})
    assert seqs(take(news, 2)) == [2, 41]


def test_message_that_a_pong_has_overtaken_is_given_all_the_same(
    serve: Any, open_client: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connection, "PING_SECONDS", 0.01)

    def script(peer: Peer) -> None:
        peer.accept()
        peer.hear_of("ping")
        peer.say(type="pong", timestamp="", positions={"news": 40})
        peer.publish(39, 41)
        peer.stay()

    news = open_client(serve(script).url).subscribe("news", filters={"severity": "critical"}, batch=True)
    assert seqs(take(news, 2)) == [39, 41]


def test_subscription_that_is_closed_leaves_its_topic(serve: Any, open_client: Any):
    left = []

    def script(peer: Peer) -> None:
        peer.accept()
        left.append(peer.hear_of("unsubscribe")["topic"])
        peer.accept()
        peer.publish(1)
        peer.stay()

    client = open_client(serve(script).url)
    with client.subscribe("news"):
        pass
    assert seqs(take(client.subscribe("news"), 1)) == [1]
    assert left == ["news"]


# --- Tasks -------------------------------------------------------------------------------------------------
def test_task_is_waited_for_from_its_beginning_to_its_end(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        assert peer.accept(1)["since"] == 0
        peer.publish(1, topic="tasks:t1", data={"status": "processing"})
        peer.publish(2, topic="tasks:t1", data={"status": "succeeded", "result": {"var": 1.5}})
        peer.stay()

    task = open_client(serve(script).url).wait_for_task("t1", timeout=10)
    assert task == {"status": "succeeded", "result": {"var": 1.5}}


def test_task_that_does_not_end_in_time_is_said(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        peer.accept()
        peer.stay()

    with pytest.raises(TimeoutError, match=r"task t1 had not ended after 0\.2 s"):
        open_client(serve(script).url).wait_for_task("t1", timeout=0.2)


def test_task_whose_history_is_lost_is_not_waited_for(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        peer.accept(2, recovered=False)
        peer.stay()

    with pytest.raises(HistoryLostError, match="GET /api/v1/tasks/t1"):
        open_client(serve(script).url).wait_for_task("t1", timeout=10)


# --- asyncio -----------------------------------------------------------------------------------------------
def test_subscriptions_are_read_side_by_side_in_asyncio(serve: Any):
    def script(peer: Peer) -> None:
        for topic in ("news", "sports"):
            peer.accept()
            peer.publish(1, 2, topic=topic)
        peer.stay()

    async def first_two(client: AsyncClient, topic: str) -> list[int | None]:
        async with client.subscribe(topic) as items:
            return [(await anext(items)).seq for _ in range(2)]

    async def story() -> list[list[int | None]]:
        async with asyncio.timeout(10), AsyncClient(serve(script).url, **QUICK) as client:
            first = await first_two(client, "news")
            return [first, await first_two(client, "sports")]

    assert asyncio.run(story()) == [[1, 2], [1, 2]]


def test_client_that_was_closed_takes_no_subscription(dead_port: int):
    async def story() -> None:
        client = AsyncClient(f"ws://127.0.0.1:{dead_port}", **QUICK)
        with pytest.raises(ClientClosedError, match="not open"):
            await client.subscribe("news").start()
        async with client:
            pass
        with pytest.raises(ClientClosedError, match="was closed"):
            await client.subscribe("news").start()

    asyncio.run(asyncio.wait_for(story(), 10))


def test_subscription_that_was_closed_before_it_began_does_not_occupy_its_topic(serve: Any):
    def script(peer: Peer) -> None:
        peer.accept()
        peer.publish(1)
        peer.stay()

    async def story() -> list[Any]:
        async with asyncio.timeout(10), AsyncClient(serve(script).url, **QUICK) as client:
            closed = client.subscribe("news")
            closed.close()
            assert [item async for item in closed] == []
            return [await anext(client.subscribe("news"))]

    assert seqs(asyncio.run(story())) == [1]


def test_subscription_that_is_given_up_while_it_waits_leaves_nothing_behind(serve: Any):
    def script(peer: Peer) -> None:
        peer.hear_of("subscribe")
        peer.hear_of("unsubscribe")
        peer.accept()
        peer.publish(1)
        peer.stay()

    async def story() -> Any:
        async with AsyncClient(serve(script).url, **QUICK) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.subscribe("news").start(), 0.3)
            async with asyncio.timeout(10), client.subscribe("news") as news:
                return await anext(news)

    assert asyncio.run(story()).seq == 1
