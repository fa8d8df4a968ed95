"""A pattern: of each topic every message once and in order, or a gap; and a topic of it that is followed by itself."""

from typing import Any

import pytest

from nautilus_client import place
from nautilus_client.tests.reading import gap, seqs, take
from nautilus_client.tests.scripted import Peer


def test_message_that_a_pattern_misses_is_a_gap_of_its_topic(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        peer.accept()
        peer.publish(7, 8, 11, 12, topic="news:a")
        peer.publish(1, topic="news:b")
        peer.stay()

    *before, lost, third, fourth, other = take(open_client(serve(script).url).subscribe("news:*"), 6)
    assert (seqs(before), lost.topic, gap(lost)) == ([7, 8], "news:a", (10, "e1", "messages_missing"))
    assert (seqs([third, fourth]), other.topic) == ([11, 12], "news:b")


def test_topic_of_a_pattern_that_began_anew_is_a_gap_of_its_topic(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        peer.accept()
        peer.publish(7, topic="news:a")
        peer.publish(1, 2, topic="news:a", epoch="e2")
        peer.stay()

    first, lost, *rest = take(open_client(serve(script).url).subscribe("news:*"), 4)
    assert (first.seq, lost.topic, gap(lost)) == (7, "news:a", (0, "e2", "new_epoch"))
    assert [(item.seq, item.epoch) for item in rest] == [(1, "e2"), (2, "e2")]


def test_message_that_comes_twice_by_a_pattern_is_given_once(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        peer.accept()
        peer.publish(1, 2, 2, 1, 3, topic="news:a")
        peer.stay()

    assert seqs(take(open_client(serve(script).url).subscribe("news:*"), 3)) == [1, 2, 3]


def test_seq_that_the_filter_of_a_pattern_left_out_is_no_gap(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        peer.accept()
        peer.publish(2, 2, 9, topic="news:a")
        peer.stay()

    assert seqs(take(open_client(serve(script).url).subscribe("news:*", filters={"a": 1}), 2)) == [2, 9]


def test_pattern_forgets_the_topic_that_was_quiet_longest(
    serve: Any, open_client: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(place, "MAX_KNOWN_TOPICS", 2)

    def script(peer: Peer) -> None:
        peer.accept()
        for seq, topic in [(1, "news:a"), (1, "news:b"), (2, "news:a"), (1, "news:c"), (9, "news:a"), (9, "news:b")]:
            peer.publish(seq, topic=topic)
        peer.stay()

    *read, lost, known, forgotten = take(open_client(serve(script).url).subscribe("news:*"), 7)
    assert (seqs(read), lost.topic, known.topic) == ([1, 1, 2, 1], "news:a", "news:a")
    assert (forgotten.topic, forgotten.seq) == ("news:b", 9)


# --- Beside a topic of it that is followed by itself -------------------------------------------------------
def test_messages_of_a_topic_come_by_the_pattern_until_the_server_follows_it_by_itself(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        peer.accept()
        peer.publish(5, topic="news:a")
        asked = peer.hear_of("subscribe")
        peer.publish(6, topic="news:a")
        peer.say(type="subscribed", topic="news:a", seq=8, epoch="e1", recovered=True, id=asked["id"])
        peer.publish(7, 8, 9, topic="news:a")
        peer.publish(1, topic="news:b")
        peer.stay()

    client = open_client(serve(script).url)
    pattern = client.subscribe("news:*")
    own = client.subscribe("news:a")
    assert seqs(take(own, 1)) == [9]
    assert [(item.topic[-1], item.seq) for item in take(pattern, 5)] == [*(("a", n) for n in (5, 6, 7, 8)), ("b", 1)]


def test_what_comes_twice_to_a_topic_is_no_news_to_the_pattern(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        peer.accept()
        peer.publish(1, topic="news:a")
        peer.accept(1)
        peer.publish(2, 3, 4, 3, 4, 1, topic="news:a")
        peer.publish(1, topic="news:b")
        peer.stay()

    client = open_client(serve(script).url)
    pattern, own = client.subscribe("news:*"), client.subscribe("news:a")
    assert seqs(take(own, 3)) == [2, 3, 4]
    assert [item.topic for item in take(pattern, 2)] == ["news:a", "news:b"]


def test_what_a_topic_took_by_itself_is_no_gap_of_the_pattern_that_gets_it_afterwards(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        peer.accept()
        peer.publish(1, topic="news:a")
        peer.accept(1)
        peer.publish(2, 3, topic="news:a")
        peer.hear_of("unsubscribe")
        peer.publish(1, 4, 5, 7, topic="news:a")
        peer.stay()

    client = open_client(serve(script).url)
    pattern = client.subscribe("news:*")
    with client.subscribe("news:a") as own:
        assert seqs(take(own, 2)) == [2, 3]
    *read, lost, last = take(pattern, 5)
    assert (seqs(read), gap(lost), last.seq) == ([1, 4, 5], (6, "e1", "messages_missing"), 7)


def test_topic_that_is_asked_for_again_loses_nothing_to_the_pattern(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        peer.accept()
        peer.accept(1)
        peer.publish(2, 4, topic="news:a")
        asked = peer.hear_of("subscribe")
        peer.publish(4, topic="news:a")
        peer.say(type="subscribed", topic="news:a", seq=4, epoch="e1", recovered=True, id=asked["id"])
        peer.publish(3, 4, 5, topic="news:a")
        peer.publish(1, topic="news:b")
        peer.stay()

    client = open_client(serve(script).url)
    pattern, own = client.subscribe("news:*"), client.subscribe("news:a")
    assert seqs(take(own, 4)) == [2, 3, 4, 5]
    assert [item.topic for item in take(pattern, 1)] == ["news:b"]


def test_pattern_of_a_word_stands_beside_one_of_a_prefix(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        peer.accept()
        peer.accept()
        peer.publish(1, topic="tasks:1")
        peer.publish(2, topic="tests")
        peer.stay()

    client = open_client(serve(script).url)
    words, tasks = client.subscribe("t*"), client.subscribe("tasks:*")
    assert (seqs(take(words, 1)), seqs(take(tasks, 1))) == ([2], [1])
