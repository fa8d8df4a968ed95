"""A line of the log: strict JSON, with the ids of what is worked on, and without secrets."""

import json
import logging
from typing import Any

import pytest
import structlog
from django.core.signals import request_finished
from django.test import Client, override_settings

from nautilus.logs.configuration import formatter, logging_config
from nautilus.logs.ids import begin_ids, bind_ids, bound_ids, current_request_id, forget_ids, request_id_of
from nautilus.logs.process import name_of_process

SECRET = "correct-horse-battery"


@pytest.fixture(autouse=True)
def _no_ids() -> Any:
    forget_ids()
    yield
    forget_ids()


def record(message: str, *arguments: Any, exc_info: Any = None) -> logging.LogRecord:
    return logging.LogRecord("apps.risk", logging.WARNING, __file__, 1, message, arguments, exc_info)


def failed(error: Exception) -> Any:
    """What `sys.exc_info()` gives for it."""
    with pytest.raises(type(error)) as raised:
        raise error
    return raised.type, raised.value, raised.tb


def line(message: str, *arguments: Any, exc_info: Any = None) -> dict[str, Any]:
    text = formatter("json", [SECRET]).format(record(message, *arguments, exc_info=exc_info))
    assert "\n" not in text
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def written(**fields: Any) -> dict[str, Any]:
    """What a structlog logger says, as the line that goes out."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(formatter("json", [SECRET]).format(record))

    target, handler = logging.getLogger("nautilus.tests"), Keep()
    target.addHandler(handler)
    try:
        structlog.get_logger("nautilus.tests").warning("said", **fields)
    finally:
        target.removeHandler(handler)
    return json.loads(lines[0], parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_line_has_its_time_in_utc_its_level_its_logger_and_who_wrote_it() -> None:
    said = line("%d portfolios", 7)
    assert said["timestamp"].endswith("Z")
    assert (said["level"], said["logger"], said["event"]) == ("warning", "apps.risk", "7 portfolios")
    assert said["process"]
    assert said["pid"] > 0


def test_line_has_the_ids_of_what_is_worked_on() -> None:
    begin_ids(request_id="request-1", user_id=7, portfolio_id=None)
    bind_ids(task_id="task-1")
    with bound_ids(portfolio_id="PORTFOLIO_001"):
        said = line("x")
    assert {name: said[name] for name in ("request_id", "user_id", "task_id", "portfolio_id")} == {
        "request_id": "request-1",
        "user_id": 7,
        "task_id": "task-1",
        "portfolio_id": "PORTFOLIO_001",
    }
    assert "portfolio_id" not in line("y")


def test_traceback_stands_in_a_field_of_its_own() -> None:
    said = line("failed", exc_info=failed(ValueError("no such book")))
    assert said["event"] == "failed"
    assert said["exception"].startswith("Traceback (most recent call last)")
    assert said["exception"].endswith("ValueError: no such book")


def test_nan_infinity_nul_and_half_a_character_do_not_break_the_json() -> None:
    said = written(value=float("nan"), deep={"most": [float("inf")]}, text="a\x00b", half="\ud800")
    assert (said["value"], said["deep"], said["text"], said["half"]) == ("nan", {"most": ["inf"]}, "a\ufffdb", "?")


def test_what_looks_like_an_escaped_nul_stays_as_it_is() -> None:
    assert line("a \\u0000 b")["event"] == "a \\u0000 b"


def test_object_that_cannot_be_shown_does_not_cost_the_line() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    assert "cannot be shown" in written(thing=Broken())["thing"]


@pytest.mark.parametrize(
    ("message", "hidden"),
    [
        ("redis://:hunter22@127.0.0.1:6379/0 does not answer", "hunter22"),
        ("postgresql://nautilus:hunter22@db/nautilus", "hunter22"),
        ("Authorization: Bearer hunter22hunter22", "hunter22"),
        ("GET /ws?ticket=hunter22&x=1", "hunter22"),
        ('{"password": "hunter22"}', "hunter22"),
        ("https://hooks.slack.com/services/T000/B000/hunter22 answered 500", "hunter22"),
        (f"the key is {SECRET}.", SECRET),
    ],
)
def test_secret_in_a_message_is_masked(message: str, hidden: str) -> None:
    assert hidden not in line(message)["event"]
    assert "***" in line(message)["event"]


def test_secret_in_a_field_or_a_traceback_is_masked() -> None:
    said = written(token="hunter22", headers={"Cookie": "hunter22", "Accept": "*/*"}, api_key="hunter22")
    assert "hunter22" not in json.dumps(said)
    assert said["headers"]["Accept"] == "*/*"
    error = ConnectionError(f"cannot reach redis://:{SECRET}@localhost")
    assert SECRET not in line("x", exc_info=failed(error))["exception"]


def test_ordinary_words_are_not_masked() -> None:
    message = "the token has expired; https://example.org:8443/path is not reached, 3 tickets: none"
    assert line(message)["event"] == message


def test_password_of_a_url_in_the_settings_is_masked_wherever_it_stands() -> None:
    config = logging_config("json", "INFO", ["redis://:p%40ssword-p%40ssword@h/0,redis://:another-password@i/0", None])
    known = config["formatters"]["line"]["secrets"]
    assert {"p%40ssword-p%40ssword", "p@ssword-p@ssword", "another-password"} <= set(known)


def test_text_format_has_the_ids_and_the_traceback_for_a_person() -> None:
    begin_ids(request_id="request-1")
    said = formatter("text", []).format(record("failed", exc_info=failed(ValueError("no such book"))))
    first, *_, last = said.splitlines()
    assert first.endswith("Z WARNING apps.risk: failed [request_id=request-1]")
    assert last == "ValueError: no such book"


@pytest.mark.parametrize(
    "header", ["", None, "short", "x" * 65, "has space in it", 'quote"in-it', "line\nbreak-in-it", "-begins-wrong"]
)
def test_request_id_without_the_form_of_one_is_replaced(header: str | None) -> None:
    made = request_id_of(header)
    assert made != header
    assert len(made) == 32


def test_request_id_of_a_client_is_kept() -> None:
    assert request_id_of("4bf92f3577b34da6a3ce929d0e0e4736") == "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.django_db
def test_answer_says_the_request_id_and_the_line_has_no_query(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "nautilus.requests"):
        answer = Client().get("/api/v1/tasks?secret=hunter22", headers={"X-Request-ID": "request-of-a-test"})
    assert answer.headers["X-Request-ID"] == "request-of-a-test"
    said = next(each for each in caplog.records if each.name == "nautilus.requests")
    assert said.getMessage() == f"GET /api/v1/tasks {answer.status_code}"
    assert "hunter22" not in str(vars(said))


@pytest.mark.django_db
def test_ids_of_a_request_are_forgotten_when_its_answer_is_closed() -> None:
    Client().get("/api/v1/tasks", headers={"X-Request-ID": "request-of-a-test"})
    assert current_request_id() == ""
    begin_ids(request_id="request-1")
    request_finished.send(sender=None)
    assert current_request_id() == ""


@pytest.mark.django_db
@override_settings(LOCAL_OPERATOR=True)
def test_line_of_a_request_has_the_users_id_and_not_the_name(
    caplog: pytest.LogCaptureFixture, django_user_model: Any, client: Client
) -> None:
    user = django_user_model.objects.create_user("somebody-by-name", is_staff=True, is_superuser=True)
    client.force_login(user)
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(formatter("json", []).format(record))

    handler = Keep()
    logging.getLogger("nautilus.requests").addHandler(handler)
    try:
        client.get("/admin/")
    finally:
        logging.getLogger("nautilus.requests").removeHandler(handler)
    assert json.loads(lines[-1])["user_id"] == user.pk
    assert "somebody-by-name" not in "".join(lines)


@pytest.mark.parametrize(
    ("environment", "arguments", "name"),
    [
        ({"SUPERVISOR_PROCESS_NAME": "web"}, ["serve.py"], "web"),
        ({"NAUTILUS_PROCESS": "backend", "SUPERVISOR_PROCESS_NAME": "web"}, ["x"], "backend"),
        ({}, ["manage.py", "feed_quotes", "replay"], "feed_quotes"),
        ({}, ["/usr/bin/celery", "-A", "nautilus", "beat"], "beat"),
        ({}, ["/x/nautilus/serve.py", "--port", "1"], "serve"),
        ({}, [], "python"),
    ],
)
def test_process_is_named_by_supervisor_or_its_command(
    environment: dict[str, str], arguments: list[str], name: str
) -> None:
    assert name_of_process(environment, arguments) == name
