"""Whatever a client sends, it gets an answer, an error or a closing code, and the server goes on for the others.

A real server process and raw sockets. Every test ends with a fresh socket that gets its pong and a message, and with
a log without a traceback.
"""

import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from apps.realtime.topics import publish
from tests.storm.frames import BINARY, CLOSE, CONTINUATION, PING, TEXT, RawSocket, encode
from tests.storm.web import WebProcess, web_process_of_a_module

# The tests themselves ask no database; without the mark there would be none for the server.
pytestmark = [pytest.mark.slow, pytest.mark.django_db, pytest.mark.timeout(300)]

KIB = 1024
MAX_FRAME_BYTES = 64 * KIB
MAX_SUBSCRIPTIONS = 200
FRAMES_A_SECOND = 50
TEXT_ENDS = 1007  # not UTF-8
PROTOCOL_ERROR, POLICY_VIOLATION, TOO_BIG, UNKNOWN_PATH, FORBIDDEN = 1002, 1008, 1009, 4404, 4403
MESSAGES = {"message", "batch"}

few = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
many = settings(few, max_examples=1_000)


@pytest.fixture(scope="module")
def web(
    tmp_path_factory: pytest.TempPathFactory, django_db_setup: None, django_db_blocker: Any
) -> Iterator[WebProcess]:
    """One server for the module: it is what must survive all of it."""
    with web_process_of_a_module(tmp_path_factory.mktemp("fuzz") / "web.log", django_db_blocker) as running:
        yield running


@pytest.fixture(autouse=True)
def _the_hub_is_alive_after_it(web: WebProcess) -> Iterator[None]:
    yield
    topic = f"alive-{uuid4().hex}"
    with RawSocket(web.port) as fresh:
        assert fresh.ask(type="ping")["type"] == "pong"
        assert fresh.ask(type="subscribe", topic=topic)["type"] == "subscribed"
        publish(topic, {"still": "here"})
        assert fresh.hear()["data"] == {"still": "here"}
    assert web.faults() == []


def texts(socket: RawSocket, *payloads: bytes) -> list[dict[str, Any]]:
    """The answers to these text frames, up to the pong of a ping behind them; messages are no answers."""
    socket.send_bytes(b"".join(encode(payload) for payload in payloads))
    return [answer for answer in socket.answers_until_pong(uuid4().hex) if answer["type"] not in MESSAGES]


def check_every_text_is_answered(web: WebProcess, payloads: list[bytes]) -> None:
    with RawSocket(web.port) as socket:
        answers = texts(socket, *payloads)
    assert len(answers) == len(payloads), (payloads, answers)
    for answer in answers:
        assert answer["type"] != "error" or (answer["code"] and answer["detail"]), answer


# --- Texts --------------------------------------------------------------------------------------------
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=40), st.integers(10**300, 10**301)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5)
)
words = st.sampled_from(
    [
        *("ping", "subscribe", "unsubscribe", "list", "pong", "message", "eq", "in", "gt", "a.b", "0", ""),
        *("system:health", "tasks:1", "fuzz", "fuzz*", "*", "risk:alerts:*", "fuzz topic", "a" * 201, "\ud83d", "\x00"),
    ]
)
operators = st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte", "in", "like", "", "EQ"])
filters = st.dictionaries(
    st.text(max_size=5) | words, st.dictionaries(operators, values | st.lists(scalars), max_size=3) | values, max_size=4
)
requests = st.fixed_dictionaries(
    {"type": st.sampled_from(["ping", "subscribe", "unsubscribe", "list"]) | values},
    optional={
        "topic": words | values,
        "since": st.integers(-2, 2**60) | values,
        "epoch": words | values,
        "id": words | values,
        "filters": filters | values,
        "batch": st.booleans() | values,
        "more": values,
    },
)


def frames_of(what: st.SearchStrategy[Any]) -> st.SearchStrategy[list[bytes]]:
    # Lone surrogates go out as JSON's own escapes; NaN and the like as Python writes them, which is no JSON.
    return st.lists(what.map(lambda value: json.dumps(value).encode()), min_size=1, max_size=8)


random_text = st.lists(st.text().map(lambda text: text.encode()), min_size=1, max_size=8)


@few
@given(payloads=random_text | frames_of(values))
def test_any_text_is_answered(web: WebProcess, payloads: list[bytes]) -> None:
    check_every_text_is_answered(web, payloads)


@few
@given(payloads=frames_of(requests))
def test_requests_with_any_value_in_any_field_are_answered(web: WebProcess, payloads: list[bytes]) -> None:
    check_every_text_is_answered(web, payloads)


@few
@given(given_filters=st.lists(filters | values, min_size=1, max_size=8))
def test_filters_of_any_shape_are_answered_and_match_or_not(web: WebProcess, given_filters: list[Any]) -> None:
    topics = [f"fuzz-{uuid4().hex}" for _ in given_filters]
    asked = zip(topics, given_filters, strict=True)
    with RawSocket(web.port) as socket:
        payloads = [json.dumps({"type": "subscribe", "topic": name, "filters": each}).encode() for name, each in asked]
        answers = texts(socket, *payloads)
        assert len(answers) == len(topics)
        assert {answer.get("code") for answer in answers} <= {None, "invalid_filter", "not_json"}
        for topic in topics:
            publish(topic, {"a": {"b": [1, None]}, "eq": "text", "0": 1.5, "": True})
        assert texts(socket) == []


@pytest.mark.thorough
@many
@given(payloads=random_text | frames_of(values) | frames_of(requests))
def test_thousands_of_texts_are_answered(web: WebProcess, payloads: list[bytes]) -> None:
    check_every_text_is_answered(web, payloads)


def padded_ping(size: int) -> bytes:
    return b'{"type":"ping"}'.ljust(size)


BAD_TEXTS = {
    "deep lists over the limit of a frame": (b"[" * 100_000, "too_large"),
    "deep objects over the limit of a frame": (b'{"a":' * 100_000, "too_large"),
    "deep lists within the limit": (b"[" * 65_000, "not_json"),
    "deep lists within the limit that end": (b"[" * 32_000 + b"]" * 32_000, "not_json"),
    "deep objects within the limit": (b'{"a":' * 13_000, "not_json"),
    "1 MiB": (padded_ping(1024 * KIB), "too_large"),
    "a byte over the limit": (padded_ping(MAX_FRAME_BYTES + 1), "too_large"),
    "over the limit in bytes, not in characters": (b'{"type":"ping","id":"%s"}' % ("é" * 33_000).encode(), "too_large"),
    "an integer of 5,000 digits": (b'{"type":"ping","id":%s}' % (b"9" * 5_000), "not_json"),
    "an integer too large for a seq": (b'{"type":"subscribe","topic":"fuzz","since":%d}' % 2**80, "invalid_field"),
    "a number that overflows": (b'{"type":"ping","id":1e999}', "invalid_field"),
    "not a number": (b'{"type":"ping","id":NaN}', "not_json"),
    "half a surrogate pair as topic": (b'{"type":"subscribe","topic":"\\ud83d"}', "invalid_topic"),
    "half a surrogate pair as type": (b'{"type":"\\ud83d"}', "unknown_type"),
    "half a surrogate pair as field": (b'{"type":"ping","\\udc00":1}', "unknown_field"),
    "a NUL in a topic": (b'{"type":"subscribe","topic":"tasks:\\u0000"}', "invalid_topic"),
    "a byte order mark": (b"\xef\xbb\xbf{}", "not_json"),
    "nothing": (b"", "not_json"),
}


@pytest.mark.parametrize("what", BAD_TEXTS)
def test_bad_text_is_answered_with_its_code_and_the_connection_stays(web: WebProcess, what: str) -> None:
    payload, code = BAD_TEXTS[what]
    with RawSocket(web.port) as socket:
        assert [answer.get("code") for answer in texts(socket, payload)] == [code]


def test_text_of_64_kib_is_taken(web: WebProcess) -> None:
    with RawSocket(web.port) as socket:
        assert [answer["type"] for answer in texts(socket, padded_ping(MAX_FRAME_BYTES))] == ["pong"]


@pytest.mark.parametrize(
    "frame", ["%s", '{"type":"ping","id":%s}', '{"type":"subscribe","topic":"t","filters":{"a":{"in":%s}}}']
)
def test_nesting_about_as_deep_as_python_goes_is_answered(web: WebProcess, frame: str) -> None:
    """What could still be read, and no more be written into the error."""
    for start in range(880, 1_010, 10):
        deep = [frame % ("[" * depth + "]" * depth) for depth in range(start, start + 10)]
        check_every_text_is_answered(web, [each.encode() for each in deep])


# --- Frames -------------------------------------------------------------------------------------------
@few
@given(payloads=st.lists(st.binary(max_size=200), min_size=1, max_size=8))
def test_any_binary_frame_is_answered_with_an_error(web: WebProcess, payloads: list[bytes]) -> None:
    with RawSocket(web.port) as socket:
        socket.send_bytes(b"".join(encode(payload, BINARY) for payload in payloads))
        answers = socket.answers_until_pong("end")
    assert [answer["code"] for answer in answers] == ["binary"] * len(payloads)


BROKEN_FRAMES = {
    "text that is not UTF-8": (encode(b"\xff\xfe"), {TEXT_ENDS}),
    "text that ends in the middle of a character": (encode("é".encode()[:1]), {TEXT_ENDS}),
    "a surrogate in UTF-8": (encode(b"\xed\xa0\x80"), {TEXT_ENDS}),
    "an opcode that does not exist": (encode(b"x", 0x3), {PROTOCOL_ERROR}),
    "a control opcode that does not exist": (encode(b"x", 0xF), {PROTOCOL_ERROR}),
    "a frame without a mask": (encode(b"{}", masked=False), {PROTOCOL_ERROR}),
    "reserved bits": (encode(b"{}", reserved=0b011), {PROTOCOL_ERROR}),
    "a ping in fragments": (encode(b"x", PING, fin=False), {PROTOCOL_ERROR}),
    "a ping of 126 bytes": (encode(b"x" * 126, PING), {PROTOCOL_ERROR}),
    "a continuation of nothing": (encode(b"x", CONTINUATION), {PROTOCOL_ERROR}),
    "a text begun within a text": (encode(b"a", fin=False) + encode(b"b"), {PROTOCOL_ERROR}),
    "a closing frame of one byte": (encode(b"x", CLOSE), {PROTOCOL_ERROR}),
    "a closing code nobody may send": (encode((1005).to_bytes(2, "big"), CLOSE), {PROTOCOL_ERROR}),
    "a header that says 17 MiB": (encode(b"x", says=17 * KIB * KIB), {TOO_BIG}),
    "a header that says 2^63 bytes": (encode(b"x", says=1 << 63), {TOO_BIG, PROTOCOL_ERROR}),
}


@pytest.mark.parametrize("what", BROKEN_FRAMES)
def test_broken_frame_closes_the_socket_with_the_code_of_its_fault(web: WebProcess, what: str) -> None:
    frame, codes = BROKEN_FRAMES[what]
    with RawSocket(web.port) as socket:
        socket.send_bytes(frame)
        assert socket.close_code() in codes


def test_text_in_a_thousand_fragments_is_one_request(web: WebProcess) -> None:
    payload = padded_ping(1_000)
    pieces = [payload[place : place + 1] for place in range(len(payload))]
    middle = b"".join(encode(piece, CONTINUATION, fin=False) for piece in pieces[1:-1])
    with RawSocket(web.port) as socket:
        socket.send_bytes(encode(pieces[0], fin=False) + middle + encode(pieces[-1], CONTINUATION))
        assert socket.hear()["type"] == "pong"


@few
@given(data=st.binary(min_size=1, max_size=300))
def test_any_bytes_end_in_an_answer_or_a_closing_code(web: WebProcess, data: bytes) -> None:
    """A closing frame behind them: what was no whole frame takes it as its own rest, and hears nothing."""
    with RawSocket(web.port) as socket:
        socket.send_bytes(data + encode((1000).to_bytes(2, "big"), CLOSE) + encode(b"", PING))
        socket.hang_up()
        heard = socket.rest()
    assert all(frame.opcode in (TEXT, CLOSE) for frame in heard)


# --- Paths --------------------------------------------------------------------------------------------
PATHS = [
    b"/ws/%00",
    b"/ws/%ff%fe",
    b"/ws/nothing",
    b"/%2e%2e/ws",
    b"/" + b"a" * 4_000,
    b"/ws/../../etc",
    b"/ws;x",
]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:12].decode())
def test_unknown_path_is_closed_with_its_code(web: WebProcess, path: bytes) -> None:
    with RawSocket(web.port, path) as socket:
        assert (socket.status, socket.close_code()) == (101, UNKNOWN_PATH)


ODD_IDS = [b"%00", b"%ff", b"a%20b", b"%F0%9F%98%80" * 40, b"%C3%A9" * 100, b"a" * 3_000, b"{id}", b"%7B0.__class__%7D"]


@pytest.mark.parametrize("route", ["risk", "analytics", "tasks"])
@pytest.mark.parametrize("odd", ODD_IDS, ids=lambda odd: odd[:12].decode())
def test_path_with_an_id_that_nothing_can_have_is_closed_as_forbidden(web: WebProcess, route: str, odd: bytes) -> None:
    with RawSocket(web.port, b"/ws/" + route.encode() + b"/" + odd) as socket:
        assert (socket.status, socket.close_code()) == (101, FORBIDDEN)


@few
@given(path=st.binary(max_size=60))
def test_any_path_is_refused_without_an_error_of_the_server(web: WebProcess, path: bytes) -> None:
    with RawSocket(web.port, b"/ws/" + path.replace(b"\r", b"").replace(b"\n", b"")) as socket:
        assert socket.status in (101, 400, 404, 0), socket.status


# --- Too much -----------------------------------------------------------------------------------------
def test_flood_of_pings_is_told_of_the_rate_and_then_closed(web: WebProcess) -> None:
    with RawSocket(web.port) as socket:
        socket.send_bytes(encode(b'{"type":"ping"}') * 10_000)
        heard = list(socket.rest())
    codes = [json.loads(frame.payload).get("code") for frame in heard if frame.opcode == TEXT]
    assert "rate_limited" in codes
    assert heard[-1].close_code == POLICY_VIOLATION


def test_ten_thousand_subscriptions_in_a_flood_end_in_a_closed_socket(web: WebProcess) -> None:
    asked = (json.dumps({"type": "subscribe", "topic": f"flood-{number}"}).encode() for number in range(10_000))
    with RawSocket(web.port) as socket:
        socket.send_bytes(b"".join(encode(each) for each in asked))
        heard = list(socket.rest())
    kinds = [json.loads(frame.payload)["type"] for frame in heard if frame.opcode == TEXT]
    assert kinds.count("subscribed") <= 2 * MAX_SUBSCRIPTIONS
    assert heard[-1].close_code == POLICY_VIOLATION


def test_one_subscription_too_many_is_refused_and_the_socket_stays(web: WebProcess) -> None:
    names = [f"many-{number}" for number in range(MAX_SUBSCRIPTIONS + 1)]
    with RawSocket(web.port) as socket:
        answers = [ask_at_the_rate(socket, type="subscribe", topic=name) for name in names]
        assert [answer["type"] for answer in answers[:-1]] == ["subscribed"] * MAX_SUBSCRIPTIONS
        assert answers[-1]["code"] == "too_many_subscriptions"
        assert ask_at_the_rate(socket, type="unsubscribe", topic=names[0])["type"] == "unsubscribed"
        assert ask_at_the_rate(socket, type="subscribe", topic=names[-1])["type"] == "subscribed"
        assert len(ask_at_the_rate(socket, type="list")["topics"]) == MAX_SUBSCRIPTIONS


def ask_at_the_rate(socket: RawSocket, **request: Any) -> dict[str, Any]:
    """A client that keeps to what it may send."""
    time.sleep(1 / FRAMES_A_SECOND)
    return socket.ask(**request)


# --- Any order ----------------------------------------------------------------------------------------
class Subscriptions(RuleBasedStateMachine):
    """What a socket is subscribed to, beside a set that says what it should be."""

    port: int
    names = st.sampled_from(["order-a", "order-b", "order-c", "order-*", "system:health"])

    @initialize()
    def connect(self) -> None:
        self.socket = RawSocket(self.port)
        self.expected: list[str] = []

    def teardown(self) -> None:
        if hasattr(self, "socket"):
            self.socket.__exit__()

    def ask(self, **request: Any) -> dict[str, Any]:
        (answer,) = texts(self.socket, json.dumps(request).encode())
        return answer

    @rule(name=names, since=st.sampled_from([None, 0, 1, 10**9]), batch=st.booleans())
    def subscribe(self, name: str, since: int | None, batch: bool) -> None:
        since = None if name.endswith("*") else since
        answer = self.ask(type="subscribe", topic=name, since=since, batch=batch)
        assert answer.get("code", "subscribed") == ("already_subscribed" if name in self.expected else "subscribed")
        self.expected += [] if name in self.expected else [name]

    @rule(name=names)
    def unsubscribe(self, name: str) -> None:
        answer = self.ask(type="unsubscribe", topic=name)
        assert answer.get("code", "unsubscribed") == ("unsubscribed" if name in self.expected else "not_subscribed")
        self.expected = [each for each in self.expected if each != name]

    @rule(name=names, broken=st.sampled_from([{"filters": 1}, {"since": -1}, {"batch": "yes"}, {"epoch": 5}]))
    def subscribe_badly(self, name: str, broken: dict[str, Any]) -> None:
        assert self.ask(type="subscribe", topic=name, **broken)["type"] == "error"

    @invariant()
    def the_list_is_what_was_asked_for(self) -> None:
        if hasattr(self, "socket"):
            assert self.ask(type="list")["topics"] == self.expected


def test_subscriptions_in_any_order_are_what_the_list_says(web: WebProcess) -> None:
    machine = type("Subscriptions", (Subscriptions,), {"port": web.port})
    run_state_machine_as_test(machine, settings=settings(few, max_examples=15, stateful_step_count=20))


@pytest.mark.thorough
def test_subscriptions_in_thousands_of_orders_are_what_the_list_says(web: WebProcess) -> None:
    machine = type("Subscriptions", (Subscriptions,), {"port": web.port})
    run_state_machine_as_test(machine, settings=settings(few, max_examples=300, stateful_step_count=30))
