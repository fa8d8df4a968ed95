"""Messages while Redis is stopped, frozen and back; and at the ends of processes."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from apps.realtime import outgoing
from apps.realtime.steps import note_key, run_steps
from apps.realtime.tests.conftest import OwnValkey
from apps.realtime.topics import (
    OUTGOING,
    Encoded,
    _step,
    head_key,
    publish,
    publish_all,
    publish_once,
    stream_key,
    utc_now,
)
from nautilus.local.home import ROOT


@pytest.fixture
def store(valkey: OwnValkey, settings: Any) -> Iterator[OwnValkey]:
    """The process's Redis, which the test may stop and freeze."""
    settings.REDIS_URL = valkey.url
    settings.REDIS_TIMEOUT_SECONDS = 0.5
    yield valkey
    OUTGOING.discard()


@contextmanager
def stopped(store: OwnValkey) -> Iterator[None]:
    store.stop()
    yield
    store.start()


@contextmanager
def frozen(store: OwnValkey) -> Iterator[None]:
    """Takes what is sent to it, and carries it out later."""
    pid = store.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def until(is_so: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "still waiting"
        time.sleep(0.01)


def all_gone() -> None:
    until(lambda: not OUTGOING.waiting)


def kept(store: OwnValkey, topic: str) -> list[tuple[int, Any]]:
    """The seq and the number in the data of each message in the stream."""
    messages = [json.loads(fields["text"]) for _, fields in store.client.xrange(stream_key(topic))]
    return [(message["seq"], message["data"].get("n")) for message in messages]


# --- Waiting ----------------------------------------------------------------------------------------------
def test_message_published_while_redis_is_away_goes_out_when_it_is_back(store: OwnValkey, topic: str) -> None:
    assert publish(topic, {"n": 1}) == 1
    with stopped(store):
        assert publish(topic, {"n": 2}) is None
    all_gone()
    assert kept(store, topic) == [(1, 1), (2, 2)]


def test_message_that_waited_tells_when_it_was_published(store: OwnValkey, topic: str) -> None:
    with stopped(store):
        publish(topic, {"n": 1})
        then = utc_now()
    all_gone()
    [(_, fields)] = store.client.xrange(stream_key(topic))
    assert json.loads(fields["text"])["timestamp"] <= then


def test_messages_that_waited_go_out_in_their_order(store: OwnValkey, topic: str) -> None:
    with stopped(store):
        for n in range(500):
            publish(topic, {"n": n})
    for n in range(500, 600):
        publish(topic, {"n": n})
    all_gone()
    assert kept(store, topic) == [(n + 1, n) for n in range(600)]


def test_publishers_in_many_threads_lose_nothing_to_a_restart(store: OwnValkey, topic: str) -> None:
    def publish_some(thread: int) -> None:
        for n in range(100):
            publish(topic, {"n": [thread, n]})

    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(publish_some, thread) for thread in range(8)]
        with stopped(store):
            until(lambda: OUTGOING.waiting)
        for each in running:
            each.result()
    all_gone()
    seqs, numbers = zip(*kept(store, topic), strict=True)
    assert list(seqs) == list(range(1, 801))
    for thread in range(8):
        assert [n for of, n in numbers if of == thread] == list(range(100))


def test_publish_behind_a_waiting_message_does_not_ask_redis(store: OwnValkey, topic: str, settings: Any) -> None:
    with ThreadPoolExecutor(1) as pool, frozen(store):
        assert publish(topic, {"n": 1}) is None
        settings.REDIS_TIMEOUT_SECONDS = 3_600
        assert pool.submit(publish, topic, {"n": 2}).result(timeout=20) is None
    all_gone()
    assert kept(store, topic) == [(1, 1), (2, 2)]


def test_redis_that_closed_idle_connections_takes_the_next_message_at_once(store: OwnValkey, topic: str) -> None:
    publish(topic, {"n": 1})
    with stopped(store):
        pass
    assert publish(topic, {"n": 2}) == 2


def test_many_are_published_together_and_answered_with_their_seqs(store: OwnValkey, topic: str) -> None:
    assert publish_all([(topic, {"n": n}) for n in range(200)]) == list(range(1, 201))
    assert kept(store, topic) == [(n + 1, n) for n in range(200)]


def test_outage_is_told_once_and_its_end_too(store: OwnValkey, topic: str, caplog: pytest.LogCaptureFixture) -> None:
    publish(topic, {})
    with caplog.at_level(logging.INFO, "apps.realtime.outgoing"), frozen(store), ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: publish(topic, {"n": n}), range(20)))
    until(lambda: len(caplog.records) == 2)
    first, last = (record.getMessage() for record in caplog.records)
    assert f"Messages wait: Redis did not take one on '{topic}'" in first
    assert "0 were dropped meanwhile" in last


@pytest.mark.parametrize("text", ['{"no":"utf-8 \ud800"}', '{"two":\n"lines"}'])
def test_data_that_cannot_be_sent_fails_in_its_caller_also_while_redis_is_away(
    store: OwnValkey, topic: str, text: str
) -> None:
    with stopped(store):
        publish(topic, {"n": 1})
        with pytest.raises(ValueError):
            publish(topic, Encoded(text))


def test_topic_whose_keys_are_another_programs_does_not_hold_up_the_others(
    store: OwnValkey, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.client.set(head_key("taken"), "by another program")
    assert publish("taken", {"n": 1}) is None
    assert publish(topic, {"n": 2}) == 1
    assert "Redis refused a message on 'taken'" in caplog.text


def test_server_that_is_full_takes_the_message_when_it_has_room(store: OwnValkey, topic: str) -> None:
    publish(topic, {"n": 1})
    store.client.config_set("maxmemory", 1)
    assert publish(topic, {"n": 2}) is None
    store.client.config_set("maxmemory", 0)
    all_gone()
    assert kept(store, topic) == [(1, 1), (2, 2)]


# --- Once -------------------------------------------------------------------------------------------------
def test_message_whose_answer_was_lost_is_published_once(store: OwnValkey, topic: str) -> None:
    publish(topic, {"n": 0})  # the server knows the script: what reaches it frozen is carried out when it thaws
    with frozen(store):
        assert publish(topic, {"n": 1}) is None
        assert publish(topic, {"n": 2}) is None
    all_gone()
    assert publish(topic, {"n": 3}) == 4
    assert kept(store, topic) == [(1, 0), (2, 1), (3, 2), (4, 3)]


def test_message_that_may_have_arrived_too_long_ago_is_a_gap_and_not_a_double(
    store: OwnValkey, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "GIVEN_UP_AFTER_SECONDS", 0)
    publish(topic, {"n": 0})
    with frozen(store):
        assert publish(topic, {"n": 1}) is None
    until(lambda: store.client.hget(head_key(topic), "seq") == "3")  # its own, and the one that it may not have had
    assert publish(topic, {"n": 2}) == 4
    assert [n for _, n in kept(store, topic)] == [0, 1, 2]


def test_message_that_reached_no_server_is_never_too_old(
    store: OwnValkey, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "GIVEN_UP_AFTER_SECONDS", 0)
    with stopped(store):
        publish(topic, {"n": 1})
        publish(topic, {"n": 2})
    all_gone()
    assert kept(store, topic) == [(1, 1), (2, 2)]


def test_message_is_not_risked_on_a_server_that_does_not_answer(
    store: OwnValkey, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "GIVEN_UP_AFTER_SECONDS", 0)
    with stopped(store):
        publish(topic, {"n": 1})
        with socket.create_server(("127.0.0.1", store.port)) as mute:
            asking, _ = mute.accept()
            until(lambda: not asking.recv(65_536))  # the thread has given up this try
            asking.close()
    all_gone()
    assert kept(store, topic) == [(1, 1)]


def test_message_of_a_name_goes_out_once(topic: str) -> None:
    first, second = (f"{topic}:1", topic, {"n": 1}), (f"{topic}:2", topic, {"n": 2})
    assert publish_once([first]) == [1]
    assert publish_once([first, second]) == [1, 2]
    assert publish(topic, {"n": 3}) == 3


# --- Too many ---------------------------------------------------------------------------------------------
def test_oldest_of_too_many_are_dropped_and_leave_a_gap(store: OwnValkey, topic: str, settings: Any) -> None:
    settings.REALTIME_OUTBOX_MESSAGES = 5
    publish(topic, {"n": 0})
    with stopped(store):
        for n in range(1, 12):
            publish(topic, {"n": n})
    all_gone()
    # 1 was on its way when Redis did not answer; 2 to 6 were the oldest of ten.
    assert kept(store, topic) == [(1, 0), (2, 1), (8, 7), (9, 8), (10, 9), (11, 10), (12, 11)]


def test_bytes_that_wait_are_bounded(store: OwnValkey, topic: str, settings: Any) -> None:
    settings.REALTIME_OUTBOX_BYTES = 30_000
    with stopped(store):
        for n in range(12):
            publish(topic, {"n": n, "text": "x" * 9_000})
    all_gone()
    assert [n for _, n in kept(store, topic)] == [0, 9, 10, 11]
    assert [seq for seq, _ in kept(store, topic)] == [1, 10, 11, 12]


def test_gap_of_a_topic_that_has_no_later_message_is_in_its_head(store: OwnValkey, topic: str, settings: Any) -> None:
    settings.REALTIME_OUTBOX_MESSAGES = 1
    publish(topic, {"n": 0})
    with stopped(store):
        for name in ("other", topic, topic, "other"):
            publish(name, {})
    all_gone()
    until(lambda: store.client.hget(head_key(topic), "seq") == "3")


def test_who_listens_is_told_of_a_gap_that_no_message_follows(valkey: OwnValkey, topic: str) -> None:
    with valkey.client.pubsub() as listening:
        listening.subscribe(topic)
        run = run_steps(valkey.client, [_step("", note=note_key("1"), lost=f"{topic}\n3\n")])
        assert list(run) == [[]]
        until(lambda: (listening.get_message() or {}).get("data") == '{"type":"lost"}')


def test_gap_begins_the_epoch_of_a_topic_without_a_head(store: OwnValkey, topic: str, settings: Any) -> None:
    settings.REALTIME_OUTBOX_MESSAGES = 1
    publish_all([(topic, {"n": n}) for n in range(5)])
    before = store.client.hget(head_key(topic), "epoch")
    store.client.delete(head_key(topic))
    with stopped(store):
        for name in ("other", topic, topic):
            publish(name, {"n": 9})
    all_gone()
    assert store.client.hget(head_key(topic), "epoch") not in (before, None)
    assert kept(store, topic) == [(2, 9)]


def test_drop_is_logged_once_and_counted(
    store: OwnValkey, topic: str, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.REALTIME_OUTBOX_MESSAGES = 5
    with stopped(store):
        for n in range(11):
            publish(topic, {"n": n})
    until(lambda: "5 were dropped meanwhile" in caplog.text)
    assert caplog.text.count("the oldest are dropped") == 1


# --- Forks and ends ---------------------------------------------------------------------------------------
_BEGINNING = """
import os, sys, django
django.setup()
from apps.realtime.topics import OUTGOING, publish
"""


@contextmanager
def a_process(code: str, redis_url: str) -> Iterator["subprocess.Popen[str]"]:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "nautilus.settings",
        "REDIS_URL": redis_url,
        "NAUTILUS_REDIS_TIMEOUT_SECONDS": "0.2",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
    }
    command = [sys.executable, "-c", _BEGINNING + code]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, env=environment, cwd=ROOT, text=True, **pipes) as process:
        yield process


NOBODY = "redis://127.0.0.1:1/0"


def test_child_of_a_fork_begins_with_nothing_that_waits() -> None:
    forking = "publish('t', {}); pid = os.fork(); print(f'{OUTGOING.waiting} ', end='', flush=True); pid or os._exit(0)"
    with a_process(forking, NOBODY) as process:
        said, _ = process.communicate(timeout=60)
    assert sorted(said.split()) == ["0", "1"]


def test_what_is_lost_at_the_end_of_a_process_is_logged_by_topic() -> None:
    with a_process("publish('a', {}); publish('b', {}); publish('b', {})", NOBODY) as process:
        _, logged = process.communicate(timeout=60)
    assert "3 messages are lost with it, on: b (2), a (1)" in logged


def test_celerys_child_logs_what_it_loses_although_it_skips_atexit() -> None:
    ending = "from celery.concurrency.prefork import process_destructor; process_destructor(os.getpid(), 0)"
    with a_process(f"publish('a', {{}}); {ending}; os._exit(0)", NOBODY) as process:
        _, logged = process.communicate(timeout=60)
    assert "1 messages are lost with it, on: a (1)" in logged


def test_what_waits_goes_out_at_the_end_of_the_process(store: OwnValkey, topic: str) -> None:
    publishing = f"input(); [publish({topic!r}, {{'n': n}}) for n in range(100)]; print('wait', flush=True); input()"
    with a_process(publishing, store.url) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        with frozen(store):
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "wait\n"
        process.communicate("\n", timeout=60)
    assert [n for _, n in kept(store, topic)] == list(range(100))
