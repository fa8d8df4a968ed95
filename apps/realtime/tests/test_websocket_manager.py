"""What the hubs of several processes say, added up: processes that tests speak for, over the Valkey of REDIS_URL."""

from collections.abc import Iterator

import pytest
from redis import Redis
from redis.exceptions import RedisError

from apps.realtime.latency import Latencies
from apps.realtime.tests.said_processes import Say, report, said_processes
from apps.realtime.topics import publish, publish_many
from apps.realtime.websocket_manager import NoServerProcessError, WebSocketManager
from nautilus.connections import redis_client


@pytest.fixture
def say() -> Iterator[Say]:
    with said_processes() as start:
        yield start


def took(*milliseconds: float) -> dict[str, int]:
    latencies = Latencies()
    for each in milliseconds:
        latencies.add(each)
    return latencies.counts()


# --- Connections --------------------------------------------------------------------------------------
def test_stats_are_the_sums_over_all_processes(say: Say) -> None:
    say(report("b:2", active=3, accepted=10, rejected=1, messages_sent=100, bytes_sent=9_000))
    say(report("a:1", active=4, accepted=20, dropped=7, slow_consumers=2))
    stats = WebSocketManager().get_connection_stats()
    assert (stats["active"], stats["accepted"], stats["rejected"], stats["max"]) == (7, 30, 1, 4_000)
    assert (stats["messages_sent"], stats["bytes_sent"], stats["dropped"], stats["slow_consumers"]) == (
        100,
        9_000,
        7,
        2,
    )
    assert [process["process"] for process in stats["processes"]] == ["a:1", "b:2"]


def test_uptime_of_all_is_that_of_the_oldest_process(say: Say) -> None:
    say(report("a:1", uptime_seconds=5.5))
    say(report("b:2", uptime_seconds=90_000.0))
    assert WebSocketManager().get_connection_stats()["uptime_seconds"] == 90_000.0


def test_user_with_sockets_on_two_processes_is_one_user(say: Say) -> None:
    say(report("a:1", users={"ann": 2, "bob": 1}))
    say(report("b:2", users={"ann": 1}))
    assert WebSocketManager().get_connection_stats()["users"] == 2


def test_process_that_does_not_answer_is_counted_as_silent(say: Say) -> None:
    say(report("a:1", active=4))
    say(None)
    stats = WebSocketManager(timeout_seconds=0.2).get_connection_stats()
    assert (stats["active"], stats["silent_processes"], len(stats["processes"])) == (4, 1, 1)


def test_stats_without_any_process_are_zero() -> None:
    stats = WebSocketManager().get_connection_stats()
    assert (stats["active"], stats["max"], stats["uptime_seconds"], stats["processes"]) == (0, 0, 0, [])


def test_a_process_takes_two_thousand_sockets_by_default() -> None:
    assert WebSocketManager.MAX_CONNECTIONS == 2_000


def test_redis_away_is_an_error_and_not_zero_sockets() -> None:
    with pytest.raises(RedisError):
        WebSocketManager(Redis(port=1)).get_connection_stats()


# --- Topics -------------------------------------------------------------------------------------------
def test_subscribers_of_all_processes_are_added_and_the_most_followed_topic_is_first(say: Say, topic: str) -> None:
    say(report("a:1", topics={f"{topic}-few": 2, f"{topic}-many": 2}))
    say(report("b:2", topics={f"{topic}-many": 3}))
    listed = WebSocketManager().get_subscriptions()
    assert [(row["topic"], row["subscribers"]) for row in listed["topics"]] == [
        (f"{topic}-many", 5),
        (f"{topic}-few", 2),
    ]
    assert listed["total"] == 2


def test_last_seq_is_that_of_the_last_message_and_null_for_a_pattern(say: Say, topic: str) -> None:
    publish(topic, {"n": 1})
    publish(topic, {"n": 2})
    say(report(topics={topic: 1, f"{topic}*": 1}))
    seqs = {row["topic"]: row["last_seq"] for row in WebSocketManager().get_subscriptions()["topics"]}
    assert seqs == {topic: 2, f"{topic}*": None}


def test_topic_that_redis_knows_nothing_of_has_no_last_seq(say: Say, topic: str) -> None:
    say(report(topics={topic: 1}))
    assert WebSocketManager().get_subscriptions()["topics"][0]["last_seq"] is None


def test_topics_are_chosen_by_how_they_begin(say: Say) -> None:
    say(report(topics={"risk:alerts:A": 1, "risk:alerts:*": 1, "tasks:1": 9}))
    listed = WebSocketManager().get_subscriptions("risk:")
    assert {row["topic"] for row in listed["topics"]} == {"risk:alerts:A", "risk:alerts:*"}
    assert listed["total"] == 2


def test_at_most_five_hundred_topics_are_listed_and_all_are_counted(say: Say) -> None:
    say(report(topics={f"word-{number}": 1 for number in range(600)}))
    listed = WebSocketManager().get_subscriptions()
    assert (len(listed["topics"]), listed["total"]) == (500, 600)


# --- Performance --------------------------------------------------------------------------------------
def test_percentiles_are_those_of_all_processes_together(say: Say) -> None:
    say(report("a:1", latency_counts=took(*[1.0] * 98)))
    say(report("b:2", latency_counts=took(100.0, 100.0)))
    latency_ms = WebSocketManager().get_performance()["latency_ms"]
    # Of 100 messages the 50th and the 95th took 1 ms, the 99th 100 ms; buckets are 5 % wide.
    assert latency_ms == pytest.approx({"p50": 1.0, "p95": 1.0, "p99": 100.0}, rel=0.05)


def test_figures_without_a_sample_are_null_with_a_reason(say: Say) -> None:
    say(report())
    performance = WebSocketManager().get_performance()
    assert performance["latency_ms"] == {"p50": None, "p95": None, "p99": None}
    assert performance["batching"] == {"batch_size": 100, "flush_interval": 1.0, "mean_batch": None}
    assert performance["reasons"] == {
        "latency_ms": "No message went to a socket in the last minute.",
        "mean_batch": "No batch yet.",
    }


def test_figures_without_any_process_say_that_nobody_answered() -> None:
    reasons = WebSocketManager().get_performance()["reasons"]
    assert set(reasons.values()) == {"No process that serves sockets answered."}


def test_mean_batch_weighs_every_batch_alike(say: Say) -> None:
    say(report("a:1", batches=9, batched_messages=90))
    say(report("b:2", batches=1, batched_messages=100))
    assert WebSocketManager().get_performance()["batching"]["mean_batch"] == 19.0


def test_rate_and_queue_depth_are_sums(say: Say) -> None:
    say(report("a:1", messages_per_second=10.5, queue_depth=3))
    say(report("b:2", messages_per_second=2.0, queue_depth=4))
    performance = WebSocketManager().get_performance()
    assert (performance["messages_per_second"], performance["queue_depth"]) == (12.5, 7)


def test_redis_is_measured_and_asked_for_its_memory() -> None:
    figures = WebSocketManager().get_performance()["redis"]
    assert 0 < figures["latency_ms"] < 2_000
    assert figures["used_memory_bytes"] > 100_000


# --- Acting -------------------------------------------------------------------------------------------
def test_cleaning_up_answers_with_the_sockets_closed_in_all_processes(say: Say) -> None:
    processes = [say({"process": "a:1", "hub": f"hub-{number}", "connections_closed": number}) for number in (2, 3)]
    assert WebSocketManager().cleanup_stale_connections() == 5
    assert [process.commands for process in processes] == [["cleanup"], ["cleanup"]]


def test_restart_answers_with_processes_and_sockets(say: Say) -> None:
    process = say({"process": "a:1", "hub": "a", "connections_closed": 12})
    done = WebSocketManager().restart()
    assert done == {"restarted": True, "processes": 1, "connections_closed": 12, "silent_processes": 0}
    assert process.commands == ["restart"]


def test_restart_that_no_process_hears_is_refused() -> None:
    with pytest.raises(NoServerProcessError, match="No socket server process listens"):
        WebSocketManager().restart()


def test_restart_that_no_process_answers_is_refused(say: Say) -> None:
    say(None)
    with pytest.raises(NoServerProcessError, match="None of 1 socket server processes answered"):
        WebSocketManager(timeout_seconds=0.2).restart()


def test_foreign_words_on_the_channel_of_the_hubs_change_nothing(say: Say) -> None:
    say(report("a:1", active=1))
    redis_client().publish("nautilus:hubs", "no command")
    publish_many([("nautilus:hubs", {"command": "restart"})])
    assert WebSocketManager().get_connection_stats()["active"] == 1
