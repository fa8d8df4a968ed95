"""A reader that stops reading costs the others nothing: it is closed with 4008, and comes back for what it missed.

The others set the pace here: the next messages are published when they have heard the last ones. So nothing depends
on how fast the machine is.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from apps.realtime.control import ask_hubs
from apps.realtime.topics import publish_many
from tests.running import wait_until
from tests.storm.frames import CLOSE, TEXT, RawSocket
from tests.storm.web import WebProcess, web_process_of_a_module

pytestmark = [pytest.mark.slow, pytest.mark.django_db, pytest.mark.timeout(300)]

TOO_SLOW = 4008
MIB = 2**20
TEXT_OF_A_MESSAGE = "x" * 8_192
SMALL_BUFFER = 4_096  # of the kernel, for what the slow do not read
# 1,000 may wait, and the kernel's own buffers take up to 4 MiB, which is 500 messages.
ENOUGH = 2_000
AT_ONCE = 50
# What a second time may cost more than the first; the messages of one topic that wait are 8 MiB.
MEMORY_STAYS_WITHIN_BYTES = 8 * MIB
ROOM_BYTES = 32 * MIB

Dial = Callable[..., RawSocket]


@pytest.fixture(scope="module")
def web(
    tmp_path_factory: pytest.TempPathFactory, django_db_setup: None, django_db_blocker: Any
) -> Iterator[WebProcess]:
    log = tmp_path_factory.mktemp("slow") / "web.log"
    with web_process_of_a_module(log, django_db_blocker) as running:
        yield running
        assert running.faults() == []


@pytest.fixture
def dial(web: WebProcess) -> Iterator[Dial]:
    with ExitStack() as open_sockets:
        yield lambda **how: open_sockets.enter_context(RawSocket(web.port, **how))


@pytest.fixture
def topic() -> str:
    return f"slow-{uuid4().hex}"


def publish_at_the_pace_of(readers: list[RawSocket], topic: str, count: int = ENOUGH) -> list[list[int]]:
    """The seqs that each of the readers has heard."""
    heard: list[list[int]] = [[] for _ in readers]
    for start in range(0, count, AT_ONCE):
        publish_many([(topic, {"n": start + n, "text": TEXT_OF_A_MESSAGE}) for n in range(AT_ONCE)])
        for reader, seqs in zip(readers, heard, strict=True):
            seqs += [reader.hear()["seq"] for _ in range(AT_ONCE)]
    return heard


def slow_consumers() -> int:
    return sum(answer["slow_consumers"] for answer in ask_hubs("report", timeout_seconds=10))


def follow(socket: RawSocket, topic: str, **more: Any) -> dict[str, Any]:
    answer = socket.ask(type="subscribe", topic=topic, **more)
    assert answer["type"] == "subscribed", answer
    return answer


def test_reader_that_stops_reading_is_closed_and_the_others_hear_everything(dial: Dial, topic: str) -> None:
    others, slow = [dial(), dial()], dial(receive_buffer=SMALL_BUFFER)
    for socket in (*others, slow):
        follow(socket, topic)
    closed_before = slow_consumers()
    assert publish_at_the_pace_of(others, topic) == [list(range(1, ENOUGH + 1))] * 2
    assert slow_consumers() == closed_before + 1
    # The code is there for one who reads again soon; who comes later finds the connection reset.
    assert slow.close_code() in (TOO_SLOW, None)


def test_reader_that_reads_again_soon_finds_what_it_got_in_order_and_the_code(dial: Dial, topic: str) -> None:
    other, slow = dial(), dial(receive_buffer=SMALL_BUFFER)
    for socket in (other, slow):
        follow(socket, topic)
    closed_before = slow_consumers()
    while slow_consumers() == closed_before:
        publish_at_the_pace_of([other], topic, AT_ONCE)
    *messages, closing = slow.rest()
    assert closing.opcode == CLOSE
    assert closing.close_code == TOO_SLOW
    assert {frame.opcode for frame in messages} == {TEXT}


def test_slow_reader_comes_back_and_has_every_message_once(dial: Dial, topic: str) -> None:
    other, slow = dial(), dial(receive_buffer=SMALL_BUFFER)
    follow(other, topic)
    epoch = follow(slow, topic)["epoch"]
    publish_at_the_pace_of([other], topic)
    heard = [message["seq"] for message in slow.messages_until_the_end()]
    assert heard == list(range(1, len(heard) + 1))
    assert len(heard) < ENOUGH
    back = dial()
    assert follow(back, topic, since=len(heard), epoch=epoch)["recovered"]
    heard += [back.hear()["seq"] for _ in range(ENOUGH - len(heard))]
    assert heard == list(range(1, ENOUGH + 1))


def test_twenty_slow_readers_at_once_are_closed_and_their_memory_returns(
    web: WebProcess, dial: Dial, record_property: Callable[[str, Any], None]
) -> None:
    """The first time the process may grow to what it needs; after that it may not be larger."""
    closed_before, sizes = slow_consumers(), [web.resident_bytes()]
    for turn in (1, 2, 3):
        topic = f"slow-{uuid4().hex}"
        other, slow = dial(), [dial(receive_buffer=SMALL_BUFFER) for _ in range(20)]
        for socket in (other, *slow):
            follow(socket, topic)
        assert publish_at_the_pace_of([other], topic) == [list(range(1, ENOUGH + 1))]
        assert slow_consumers() == closed_before + 20 * turn
        assert {socket.close_code() for socket in slow} <= {TOO_SLOW, None}
        wait_until(partial(only_open, turn), 30, "the closed sockets to be gone")
        sizes.append(web.resident_bytes())
    record_property("resident_mib_before_and_after_each_turn", [size // MIB for size in sizes])
    print(f"Resident before and after each turn: {[size // MIB for size in sizes]} MiB")  # noqa: T201
    assert max(sizes[2:]) - sizes[1] < MEMORY_STAYS_WITHIN_BYTES
    assert sizes[1] - sizes[0] < ROOM_BYTES


def only_open(count: int) -> bool:
    return sum(answer["active"] for answer in ask_hubs("report", timeout_seconds=10)) == count
