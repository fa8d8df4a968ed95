"""The operations page: each section by itself, also while a store is away, and who may see which."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db.utils import OperationalError
from django.test import Client
from django.utils import timezone

from apps.dashboard.pages import health_figures, operations, operations_access, queue_figures, runbook
from apps.operations.api.credentials import REMEMBERED
from apps.operations.findings import Finding, Health, Status
from apps.operations.health import body_of
from apps.operations.running import ComponentHealth
from apps.operations.sections import SECTIONS
from apps.operations.tests.alive import a_worker, all_processes_alive, forget_all, say_worker
from apps.operations.tests.web_process import running_web_process, stopped
from apps.portfolios.tests.factories import make_portfolio, make_user
from apps.realtime.tests.said_processes import report, said_processes
from apps.risk.models import RiskMonitor
from apps.risk.monitoring import monitor_row, stop_monitoring
from apps.risk.tests.desks import make_limit
from apps.risk.tests.monitored import redis_away
from apps.tasks.tests.factories import make_task
from nautilus.cache import control, store

pytestmark = pytest.mark.django_db(transaction=True)

OPERATORS_SECTIONS = ("queues", "sockets", "cache", "monitoring")
ON_REDIS = ("queues", "sockets", "cache")
SECTIONS_OF_ALL = ("health", "market-data")
HTMX = {"HX-Request": "true", "HX-Target": "queues"}


def visitor(role: str) -> Client:
    client = Client()
    client.force_login(make_user(role))
    return client


@pytest.fixture
def operator() -> Client:
    return visitor("operator")


def shown(client: Client, section: str, status: int = 200) -> str:
    answer = client.get(f"/operations/{section}", headers=HTMX)
    assert answer.status_code == status, answer.content
    text = answer.content.decode()
    assert "<html" not in text
    return text


def well(detail: str = "answers") -> ComponentHealth:
    return ComponentHealth(Health(detail), 1.25)


GONE = Finding(
    Status.UNHEALTHY,
    "Nobody takes from risk_queue: 12 messages wait",
    "No worker of risk_queue is alive.",
    "scripts/restart-service.sh risk-worker",
    "workers-all-gone",
)
SLOW = Finding(Status.DEGRADED, "Few sockets are left", "host:1 has 1900.", "curl x", "sockets-pool-exhausted")


@contextmanager
def health_is(
    monkeypatch: pytest.MonkeyPatch, components: dict[str, ComponentHealth]
) -> Iterator[list[dict[str, Any]]]:
    asked: list[Any] = []

    def told(**how: Any) -> dict[str, Any]:
        asked.append(how)
        return body_of(components, with_names=how["with_names"])

    with monkeypatch.context() as patched:
        patched.setattr(health_figures, "health_body", told)
        yield asked


@contextmanager
def database_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refused(*args: Any) -> Any:
        raise OperationalError("connection to server failed: Connection refused")

    with monkeypatch.context() as patched:
        for module in (operations, operations_access, queue_figures):
            patched.setattr(module, "check_database_answers", refused)
        yield


# --- Who sees what ------------------------------------------------------------------------------------
@pytest.mark.parametrize(("role", "offered"), [("operator", True), ("admin", True), ("viewer", False)])
def test_what_an_operator_sees_and_does_is_shown_to_nobody_else(role, offered):
    text = visitor(role).get("/operations").content.decode()
    for section in SECTIONS_OF_ALL:
        assert f'hx-get="/operations/{section}"' in text
    for section in OPERATORS_SECTIONS:
        assert (f'hx-get="/operations/{section}"' in text) is offered
    for act in ("restart-sockets", "restart-streaming", "cache-clear"):
        assert (act in text) is offered


@pytest.mark.parametrize("section", OPERATORS_SECTIONS)
def test_sections_of_operators_are_refused_to_viewers(section):
    assert "needs the role" in shown(visitor("viewer"), section, 403)


@pytest.mark.parametrize("path", ["", "/health", "/queues", "/runbook"])
def test_stranger_is_led_to_the_sign_in_page(path):
    assert Client().get(f"/operations{path}").headers["Location"].startswith("/sign-in?next=")


# --- Health -------------------------------------------------------------------------------------------
def test_healthy_components_are_one_line_each(operator, monkeypatch):
    with health_is(monkeypatch, {"database": well("PostgreSQL 18.1"), "redis": well()}):
        text = shown(operator, "health")
    assert "All 2 components are healthy." in text
    assert "PostgreSQL 18.1" in text
    assert "1.2 ms" in text
    assert "data-copy" not in text


def test_what_is_wrong_stands_first_with_cause_remedy_and_the_runbooks_section(operator, monkeypatch):
    told = {
        "database": well(),
        "websocket": ComponentHealth(Health("1 process", (SLOW,)), 2.0),
        "workers": ComponentHealth(Health("4 workers alive", (GONE,)), 2.0),
    }
    with health_is(monkeypatch, told):
        text = shown(operator, "health")
    assert "1 of 3 components are healthy; Workers is unhealthy, WebSocket is degraded." in text
    places = [text.index(f'data-component="{name}"') for name in ("workers", "websocket", "database")]
    assert places == sorted(places)
    for words in (GONE.symptom, GONE.cause, GONE.remedy, 'href="/operations/runbook/workers-all-gone"'):
        assert words in text
    assert "docs/runbook.md#workers-all-gone" in text


@pytest.mark.parametrize(("role", "named"), [("operator", True), ("risk_manager", True), ("viewer", False)])
def test_names_are_for_those_who_may_know_of_all(monkeypatch, role, named):
    with health_is(monkeypatch, {"redis": well()}) as asked:
        shown(visitor(role), "health")
    assert [how["with_names"] for how in asked] == [named]


def test_real_health_tells_of_every_component(operator, settings):
    settings.FEED_EXPECTED = False
    with all_processes_alive():
        text = shown(operator, "health")
    assert text.count("data-component=") == 13


# --- While a store is away ----------------------------------------------------------------------------
def test_without_the_database_whoever_was_here_lately_is_let_in(operator, monkeypatch):
    shown(operator, "health")
    with database_away(monkeypatch), all_processes_alive():
        page = operator.get("/operations")
        queues = shown(operator, "queues")
        health = shown(operator, "health")
    assert page.status_code == 200
    assert 'hx-get="/operations/queues"' in page.content.decode()
    assert 'title="The database cannot be reached."' in queues
    assert "data-component=" in health


def test_without_the_database_a_stranger_learns_no_more_than_that(monkeypatch):
    client = visitor("operator")
    REMEMBERED.forget(f"session {client.cookies['sessionid'].value}")
    with database_away(monkeypatch):
        answer = client.get("/operations")
    assert answer.status_code == 503
    text = answer.content.decode()
    assert "The database cannot be reached." in text
    assert "Connection refused" not in text
    assert 'hx-get="/operations/queues"' not in text


def test_whoever_signed_out_is_not_remembered(operator, monkeypatch):
    shown(operator, "health")
    cookie = operator.cookies["sessionid"].value
    operator.logout()
    operator.cookies["sessionid"] = cookie
    assert operator.get("/operations").status_code == 302
    with database_away(monkeypatch):
        assert operator.get("/operations").status_code == 503


@pytest.mark.parametrize("section", ON_REDIS)
def test_section_whose_redis_is_away_says_so_and_what_mends_it(operator, section, settings):
    with redis_away():
        store.redis_of_answers.cache_clear()
        text = shown(operator, section, 503)
    store.redis_of_answers.cache_clear()
    assert "Redis cannot be reached" in text
    assert "scripts/restart-service.sh redis" in text
    assert "redis-time-outs" in text


@pytest.mark.faults
def test_while_the_database_hangs_the_page_opens_and_names_it(operator, settings):
    """A real web process: /operations/health is among its quick paths, the rest has threads that may hang."""
    cookies = {settings.SESSION_COOKIE_NAME: operator.cookies[settings.SESSION_COOKIE_NAME].value}
    with running_web_process() as web:
        assert web.get("/operations/health", cookies=cookies).status_code == 200
        with stopped("postgres"):
            begun = time.monotonic()
            health = web.get("/operations/health", cookies=cookies)
            assert time.monotonic() - begun < 3.0
            page = web.get("/operations", cookies=cookies)
            queues = web.get("/operations/queues", cookies=cookies)
    assert "The database gives no answer" in health.text
    assert "scripts/restart-service.sh postgres" in health.text
    assert 'hx-get="/operations/queues"' in page.text
    assert 'title="The database gives no answer."' in queues.text


# --- Queues, sockets, cache, market data --------------------------------------------------------------
def test_queues_tell_who_takes_from_them_and_what_waits(operator):
    forget_all()
    say_worker(a_worker("risk_queue", active=1, received=12))
    say_worker(a_worker("analytics_queue"), silent_seconds=60)
    make_task("risk.analyze")
    text = shown(operator, "queues")
    forget_all()
    assert "1 alive, 1 of 2 slots busy." in text
    assert "Nobody takes from analytics_queue." in text
    assert "Nobody takes from risk_queue." not in text
    row = text[text.index('data-queue="risk_queue"') :].partition("</tr>")[0]
    assert row.count('<td class="number">1</td>') == 2  # tasks without a worker, workers
    assert "risk-worker" in row


def test_queues_without_any_worker_say_what_would_start_one(operator):
    forget_all()
    text = shown(operator, "queues")
    assert "No worker has said anything in the last hour." in text
    assert text.count("scripts/restart-service.sh") == 5
    assert "No scheduler has said anything" in text


def test_sockets_are_added_up_over_the_processes_that_are_asked_once(operator):
    with said_processes() as say:
        first = say(report("host:1", active=3, messages_per_second=2.5, topics={"news": 3}))
        say(report("host:2", active=4, rejected=1))
        text = shown(operator, "sockets")
        assert first.commands == ["report"]
    assert "<dd>7<span" in text
    assert "of 4,000" in text
    assert "news" in text
    assert "host:2" in text


def test_sockets_without_a_process_say_so(operator):
    assert "No process that serves sockets answered." in shown(operator, "sockets")


def test_cache_tells_its_mode_and_until_when(operator):
    control.disable_aggressive_mode()
    assert 'data-mode="normal"' in shown(operator, "cache")
    control.enable_aggressive_mode(60)
    text = shown(operator, "cache")
    control.disable_aggressive_mode()
    assert 'data-mode="aggressive"' in text
    assert "until 20" in text


def test_market_data_without_a_feed_says_why():
    text = shown(visitor("viewer"), "market-data")
    assert "No streaming engine runs." in text
    assert "run_analytics_engine" in text


# --- Monitor of limits --------------------------------------------------------------------------------
def test_operator_who_reads_no_book_stops_and_starts_the_monitor(operator):
    make_limit(make_portfolio("BOOK"), "var_99", 1_000)
    monitor_row()
    RiskMonitor.objects.update(enabled=True, last_run_at=timezone.now(), last_run_seconds=1.0)
    text = shown(operator, "monitoring")
    for words in (">running<", "every ", 'data-act="stop-monitoring"'):
        assert words in text, words
    stop_monitoring(make_user("operator", username="anna"))
    text = shown(operator, "monitoring")
    for words in (">stopped<", "by anna", 'data-act="start-monitoring"'):
        assert words in text, words
    assert "BOOK" not in text


@pytest.mark.parametrize(("groups", "is_told"), [((), False), (("viewer",), True)])
def test_words_of_a_failed_run_are_for_those_who_read_books(groups, is_told):
    client = Client()
    client.force_login(make_user("operator", groups))
    monitor_row()
    RiskMonitor.objects.update(last_error="BOOK has no prices", last_error_at=timezone.now())
    text = shown(client, "monitoring")
    assert "The last run failed" in text
    assert ("BOOK" in text) is is_told


def test_monitor_is_not_asked_for_while_the_database_is_away(operator, monkeypatch):
    shown(operator, "health")
    with database_away(monkeypatch):
        assert "The database cannot be reached" in shown(operator, "monitoring", 503)


# --- Runbook ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_of_the_runbook_has_text_and_a_command(section):
    blocks = runbook.read_section(section)
    assert {"text", "code"} <= {block.kind for block in blocks}
    assert not any("```" in block.html or "**" in block.html for block in blocks if block.kind != "code")


def test_section_of_the_runbook_is_shown_with_its_commands(operator):
    text = operator.get("/operations/runbook/queue-grown-long").content.decode()
    assert "<h1>A queue has grown long</h1>" in text
    assert "<strong>You see.</strong> <code>202</code> comes at once as ever" in text
    assert "scripts/restart-service.sh risk-worker" in text
    assert '<span class="badge">compose</span>' in text
    assert "The live figures stand still" not in text  # the next section


def test_runbook_lists_its_sections_and_knows_no_other(operator):
    text = operator.get("/operations/runbook").content.decode()
    assert all(f'href="/operations/runbook/{name}"' in text for name in SECTIONS)
    assert operator.get("/operations/runbook/no-such").status_code == 404


def test_runbook_that_is_not_there_is_said_to_be_missing(operator, monkeypatch, tmp_path):
    monkeypatch.setattr(runbook, "DOCUMENT", tmp_path / "runbook.md")
    assert "The document is not on this machine." in operator.get("/operations/runbook/disk-full").content.decode()


def test_text_of_the_runbook_is_escaped():
    (block,) = runbook._blocks(["<b> & `a < b` **bold**"])
    assert block.html == "&lt;b&gt; &amp; <code>a &lt; b</code> <strong>bold</strong>"


def test_user_without_a_session_is_nobody(rf):
    assert isinstance(operations_access.user_of(rf.get("/operations")), AnonymousUser)
