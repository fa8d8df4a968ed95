"""One request, followed by its id through the logs of real processes, and by its trace (docs/logs.md)."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from nautilus.tests.followed import COMMANDS, Processes, open_book, own_database, running_processes
from nautilus.tests.otlp_sink import Sink, Span, running_sink
from tests.running import ANALYZE, wait_until

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.timeout(300)]

REQUEST_ID = "followed-through-all-logs"
SECRET = "not-to-be-found-in-any-log"
TOPIC = "portfolio:updates:FOLLOWED"
WINDOW = {"window_days": 4, "confidence": 0.75}


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with running_sink() as sink:
        yield sink


@pytest.fixture(scope="module")
def processes(
    sink: Sink, tmp_path_factory: pytest.TempPathFactory, django_db_setup: None, django_db_blocker: Any
) -> Iterator[Processes]:
    settings = {
        "NAUTILUS_LOG_FORMAT": "json",
        "NAUTILUS_TRACES_ENDPOINT": sink.address,
        "NAUTILUS_SLACK_BOT_TOKEN": SECRET,
    }
    with django_db_blocker.unblock(), own_database("followed", partial(open_book, "FOLLOWED")) as url:
        folder = tmp_path_factory.mktemp("followed")
        with running_processes(folder, DATABASE_URL=url, **settings) as processes:
            yield processes


@pytest.fixture(scope="module")
def told(processes: Processes) -> dict[str, Any]:
    """What a socket was told when a task that one request asked for had ended; it listened before that request."""
    with connect(f"ws://{processes.address}/ws", proxy=None) as socket:
        socket.send(json.dumps({"type": "subscribe", "topic": TOPIC}))
        assert json.loads(socket.recv(timeout=60))["type"] == "subscribed"
        task_id = _ask(processes)
        return next(_messages_of(socket, task_id))


def _ask(processes: Processes) -> str:
    answer = httpx.post(
        f"http://{processes.address}{ANALYZE}",
        json={"portfolio_id": "FOLLOWED", **WINDOW},
        headers={"X-Request-ID": REQUEST_ID, "X-Note": SECRET},
        trust_env=False,
        timeout=60,
    )
    assert answer.status_code == 202, answer.text
    assert answer.headers["X-Request-ID"] == REQUEST_ID
    return answer.json()["task_id"]


def _messages_of(socket: Any, task_id: str) -> Iterator[dict[str, Any]]:
    while True:
        frame = json.loads(socket.recv(timeout=120))
        if frame["type"] == "message" and frame["data"].get("task_id") == task_id:
            yield frame


def found(processes: Processes, name: str) -> list[dict[str, Any]]:
    """Lines of one process with the request's id."""
    lines = (json.loads(line) for line in processes.lines(name) if line.startswith("{"))
    return [line for line in lines if line.get("request_id") == REQUEST_ID]


def test_one_id_is_found_at_the_request_at_the_worker_and_at_the_socket(
    processes: Processes, told: dict[str, Any]
) -> None:
    task_id = told["data"]["task_id"]
    assert (told["data"]["event"], told["request_id"]) == ("risk.analyzed", REQUEST_ID)
    asked = wait_until(lambda: [line for line in found(processes, "web") if line.get("status") == 202], 30, "its line")
    assert asked[0]["event"] == f"POST {ANALYZE} 202"
    assert (asked[0]["task_id"], asked[0]["portfolio_id"]) == (task_id, "FOLLOWED")
    assert asked[0]["user_id"] > 0

    def succeeded() -> list[dict[str, Any]]:
        lines = found(processes, "worker")
        return lines if lines and "succeeded in" in lines[-1]["event"] else []

    worked = wait_until(succeeded, 30, "the worker's last line")
    assert {line["task_id"] for line in worked} == {task_id}
    assert {line["portfolio_id"] for line in worked[1:]} == {"FOLLOWED"}
    assert worked[-1]["process"].startswith("worker@")
    events = [line["event"] for line in found(processes, "web")]
    assert f"'{TOPIC}' {told['seq']} goes to 1 sockets" in events


def test_what_beat_asks_for_has_no_request(processes: Processes, told: dict[str, Any]) -> None:
    def by_itself() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in processes.lines("worker") if line.startswith("{")]
        return [line for line in lines if "alerts.send_due" in line["event"] and "succeeded" in line["event"]]

    line = wait_until(by_itself, 60, "a task of the scheduler's")[0]
    assert line["task_id"]
    assert "request_id" not in line


def test_every_line_of_every_process_is_json(processes: Processes, told: dict[str, Any]) -> None:
    fields = {"timestamp", "level", "logger", "event", "process", "pid", "host"}
    for name in COMMANDS:
        lines = wait_until(partial(processes.lines, name), 60, f"a line of {name}")
        assert [line for line in lines if not line.startswith("{")] == [], name
        assert all(fields <= json.loads(line).keys() for line in lines), name


def test_no_line_holds_a_secret_or_a_name(processes: Processes, told: dict[str, Any]) -> None:
    text = "\n".join("\n".join(processes.lines(name)) for name in COMMANDS)
    assert SECRET not in text
    assert "local-operator" not in text


def test_one_trace_leads_from_the_request_through_the_task_to_what_it_publishes(
    processes: Processes, sink: Sink, told: dict[str, Any]
) -> None:
    trace_id = found(processes, "web")[0]["trace_id"]

    def named(name: str) -> list[Span]:
        return [span for span in sink.of_trace(trace_id) if span.name == name]

    run = wait_until(lambda: named("run/risk.analyze"), 60, "the task's span")[0]
    wait_until(lambda: named(f"POST {ANALYZE[1:]}"), 60, "the request's span")
    spans = {span.span_id: span for span in sink.of_trace(trace_id)}
    sent = spans[run.parent_id]
    assert (sent.name, sent.process) == ("apply_async/risk.analyze", "web")
    assert spans[sent.parent_id].name == f"POST {ANALYZE[1:]}"
    below = sorted({span.name for span in spans.values() if span.parent_id == run.span_id})
    assert "EVALSHA" in below, below  # publish.lua
    assert any(name.startswith(("SELECT", "UPDATE", "WITH")) for name in below), below
    assert {line["trace_id"] for line in found(processes, "worker")} == {trace_id}
