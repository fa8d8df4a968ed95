"""After a break, and where the server leaves something out: each message once and in order, or a gap."""

from typing import Any

import pytest

from nautilus_client.tests.reading import gap, seqs, take
from nautilus_client.tests.scripted import Peer


def close_with(code: int) -> Any:
    return lambda peer: peer.close(code)


@pytest.mark.parametrize(
    "end",
    [*(pytest.param(close_with(code), id=str(code)) for code in (1001, 1008, 1012, 1013, 4008)), Peer.break_off],
)
def test_client_goes_on_from_its_last_message_after_a_break(serve: Any, open_client: Any, end: Any):
    def before(peer: Peer) -> None:
        assert peer.accept() == {"type": "subscribe", "topic": "news"}
        peer.publish(1, 2)
        end(peer)

    def after(peer: Peer) -> None:
        assert peer.accept(3) == {"type": "subscribe", "topic": "news", "since": 2, "epoch": "e1"}
        peer.publish(3, 4)
        peer.stay()

    news = open_client(serve(before, after).url).subscribe("news")
    assert seqs(take(news, 4)) == [1, 2, 3, 4]


def test_client_that_heard_nothing_yet_goes_on_from_where_it_subscribed(serve: Any, open_client: Any):
    def before(peer: Peer) -> None:
        peer.accept(seq=7)
        peer.break_off()

    def after(peer: Peer) -> None:
        assert peer.accept(8)["since"] == 7
        peer.publish(8)
        peer.stay()

    assert seqs(take(open_client(serve(before, after).url).subscribe("news"), 1)) == [8]


def test_every_subscription_goes_on(serve: Any, open_client: Any):
    def before(peer: Peer) -> None:
        for topic in ("news", "sports"):
            peer.accept()
            peer.publish(1, topic=topic)
        peer.close(1012)

    def after(peer: Peer) -> None:
        for asked in (peer.accept(2), peer.accept(2)):
            assert asked["since"] == 1
            peer.publish(2, topic=asked["topic"])
        peer.stay()

    client = open_client(serve(before, after).url)
    news, sports = client.subscribe("news"), client.subscribe("sports")
    assert seqs(take(news, 2)) == seqs(take(sports, 2)) == [1, 2]


def test_message_that_comes_twice_is_given_once(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        peer.accept()
        peer.publish(1, 2, 2, 1, 3)
        peer.stay()

    assert seqs(take(open_client(serve(script).url).subscribe("news"), 3)) == [1, 2, 3]


@pytest.mark.parametrize(("epoch", "reason"), [("e1", "history_lost"), ("e2", "new_epoch")])
def test_what_cannot_be_brought_back_after_a_break_is_a_gap(serve: Any, open_client: Any, epoch: str, reason: str):
    def before(peer: Peer) -> None:
        peer.accept()
        peer.publish(1)
        peer.break_off()

    def after(peer: Peer) -> None:
        peer.accept(5, epoch, recovered=False)
        peer.publish(6, epoch=epoch)
        peer.stay()

    first, lost, second = take(open_client(serve(before, after).url).subscribe("news"), 3)
    assert gap(lost) == (5, epoch, reason)
    assert (first.seq, second.seq, second.epoch) == (1, 6, epoch)


def test_loss_that_the_server_tells_of_by_itself_is_a_gap(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        peer.accept()
        peer.publish(1)
        peer.say(type="subscribed", topic="news", seq=0, epoch="e2", recovered=False)
        peer.publish(1, 2, epoch="e2")
        peer.stay()

    first, lost, *rest = take(open_client(serve(script).url).subscribe("news"), 4)
    assert (first.epoch, gap(lost)) == ("e1", (0, "e2", "new_epoch"))
    assert [(item.seq, item.epoch) for item in rest] == [(1, "e2"), (2, "e2")]


def test_message_that_the_server_left_out_is_asked_for(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        peer.accept()
        peer.publish(1, 3, 4)
        assert peer.hear()["type"] == "unsubscribe"
        assert peer.accept(4)["since"] == 1
        peer.publish(2, 3, 4)
        peer.stay()

    assert seqs(take(open_client(serve(script).url).subscribe("news"), 4)) == [1, 2, 3, 4]


def test_message_that_the_server_leaves_out_again_is_a_gap(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        peer.accept()
        peer.publish(1, 3)
        peer.accept(3)
        peer.publish(3, 4)
        peer.stay()

    first, lost, *rest = take(open_client(serve(script).url).subscribe("news"), 4)
    assert (first.seq, gap(lost), seqs(rest)) == (1, (2, "e1", "messages_missing"), [3, 4])


def test_message_of_another_epoch_is_not_mixed_in(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        peer.accept()
        peer.publish(1)
        peer.publish(2, epoch="e2")
        assert peer.accept(2, "e2", recovered=False)["epoch"] == "e1"
        peer.publish(3, epoch="e2")
        peer.stay()

    first, lost, second = take(open_client(serve(script).url).subscribe("news"), 3)
    assert (first.epoch, gap(lost), second.epoch) == ("e1", (2, "e2", "new_epoch"), "e2")


def test_pattern_is_not_read_back_and_says_so(serve: Any, open_client: Any):
    def before(peer: Peer) -> None:
        peer.accept()
        peer.publish(41, topic="news:a")
        peer.publish(7, topic="news:b")
        peer.break_off()

    def after(peer: Peer) -> None:
        assert "since" not in peer.accept()
        peer.publish(45, topic="news:a")
        peer.stay()

    *first, lost, last = take(open_client(serve(before, after).url).subscribe("news:*"), 4)
    assert [(item.topic, item.seq) for item in first] == [("news:a", 41), ("news:b", 7)]
    assert (gap(lost), last.seq) == ((None, None, "pattern_not_resumed"), 45)


def test_frame_that_is_none_of_the_protocol_ends_the_connection_and_loses_nothing(serve: Any, open_client: Any):
    def before(peer: Peer) -> None:
        peer.accept()
        peer.publish(1)
        peer.send("no json")
        peer.stay()

    def after(peer: Peer) -> None:
        assert peer.accept(2)["since"] == 1
        peer.publish(2)
        peer.stay()

    assert seqs(take(open_client(serve(before, after).url).subscribe("news"), 2)) == [1, 2]


def test_subscription_of_an_earlier_run_goes_on_from_what_it_is_given(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        assert peer.accept(9) == {"type": "subscribe", "topic": "news", "since": 8, "epoch": "e1"}
        peer.publish(9)
        peer.stay()

    assert seqs(take(open_client(serve(script).url).subscribe("news", since=8, epoch="e1"), 1)) == [9]
