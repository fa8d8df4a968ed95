"""GET /metrics: who may read it, what stands in it, and what is left out of it."""

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from rest_framework.test import APIClient

from apps.operations.metrics.asking import Asking
from apps.operations.metrics.exposition import as_text, metrics_text
from apps.operations.metrics.sources import redis as redis_source
from apps.operations.metrics.sources.registry import SOURCES
from apps.portfolios.tests.factories import client_of, make_portfolio, make_prices, make_trade
from apps.risk.models import RiskLimit, RiskMetric
from nautilus.connections import redis_client
from nautilus.pulses import SchedulerPulse, WorkerPulse, write_scheduler_pulse, write_worker_pulse

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).parents[3]

TOKEN = "0123456789abcdef0123456789abcdef"


def figures_of(text: bytes) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    figures: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            figures.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return figures


def asked(name: str):
    """What a source tells in the test's own transaction."""
    return figures_of(as_text(SOURCES[name]()))


# --- Who --------------------------------------------------------------------------------------------------
def test_operator_reads_the_figures_of_all_sources():
    answer = client_of("operator").get("/metrics")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=")
    up = figures_of(answer.content)["nautilus_scrape_up"]
    assert up == {(("source", name),): 1.0 for name in SOURCES}


@pytest.mark.parametrize("role", [None, "viewer", "trader", "risk_manager"])
def test_who_is_no_operator_reads_nothing(role):
    assert client_of(role).get("/metrics").status_code == 403


def test_prometheus_reads_by_the_token_of_the_settings_and_by_no_other(settings):
    settings.METRICS_TOKEN = TOKEN
    client = APIClient()
    assert client.get("/metrics", HTTP_AUTHORIZATION=f"Bearer {TOKEN}").status_code == 200
    for wrong in (TOKEN[:-1], TOKEN.upper(), "", f"{TOKEN} "):
        assert client.get("/metrics", HTTP_AUTHORIZATION=f"Bearer {wrong}").status_code == 401, wrong


def test_without_a_token_in_the_settings_an_empty_one_opens_nothing(settings):
    settings.METRICS_TOKEN = ""
    assert APIClient().get("/metrics", HTTP_AUTHORIZATION="Bearer ").status_code == 401


def test_the_scrapers_token_opens_nothing_else(settings):
    settings.METRICS_TOKEN = TOKEN
    answer = APIClient().get("/api/v1/portfolios", HTTP_AUTHORIZATION=f"Bearer {TOKEN}")
    assert answer.status_code == 401


def test_prometheus_may_ask_a_replica_by_its_address_and_nobody_else_may(settings):
    settings.METRICS_TOKEN = TOKEN
    client, credentials = APIClient(), {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}", "HTTP_HOST": "172.18.0.5:8001"}
    assert client.get("/metrics?part=process", **credentials).status_code == 200
    assert client.get("/api/v1/portfolios", **credentials).status_code == 400
    assert client.get("/metrics", HTTP_HOST="172.18.0.5:8001").status_code == 400


def test_a_page_that_has_our_machine_do_its_asking_is_no_local_operator(settings):
    settings.LOCAL_OPERATOR = True
    client = APIClient()
    assert client.get("/metrics?part=process", HTTP_HOST="localhost").status_code == 200
    assert client.get("/metrics?part=process", HTTP_HOST="localhost", HTTP_ORIGIN="http://evil").status_code == 401


# --- What -------------------------------------------------------------------------------------------------
def test_one_process_tells_of_itself_without_any_store():
    answer = client_of("operator").get("/metrics?part=process")
    names = set(figures_of(answer.content))
    assert names == {
        "nautilus_build_info",
        "nautilus_process_open_files",
        "nautilus_process_open_files_max",
        "nautilus_process_resident_bytes",
    }


def test_a_part_that_there_is_not_is_refused():
    answer = client_of("operator").get("/metrics?part=all")
    assert answer.status_code == 400
    assert "'all'" in answer.json()["errors"][0]["detail"]


def test_whatever_type_is_asked_for_the_answer_is_prometheus_text():
    answer = client_of("operator").get("/metrics?part=process", HTTP_ACCEPT="application/openmetrics-text")
    assert answer.status_code == 200


def test_requests_are_counted_by_route_and_never_by_path():
    client = client_of("operator")
    client.get("/api/v1/tasks/00000000-0000-0000-0000-000000000001")
    client.get("/no/such/path")
    client.generic("BREW", "/health")
    text = client.get("/metrics").content.decode()
    requests = figures_of(text.encode())["nautilus_http_requests_total"]
    routes = {(dict(labels)["route"], dict(labels)["method"], dict(labels)["status"]) for labels in requests}
    assert ("api/v1/tasks/<uuid:task_id>", "GET", "404") in routes
    assert ("unmatched", "GET", "404") in routes
    assert ("health", "other", "405") in routes
    assert "00000000-0000" not in text


def test_a_limit_is_told_by_its_fullest_of_a_kind():
    portfolio = make_portfolio("PORTFOLIO_001")
    for value in (30.0, 80.0):
        make_limit(portfolio, current_value=value, status="ok")
    make_limit(portfolio, current_value=500.0, status="ok", active=False)
    make_limit(portfolio, current_value=900.0, status="unknown")
    figures = asked("risk")
    place = (("kind", "gross_exposure"), ("portfolio", "PORTFOLIO_001"))
    assert figures["nautilus_limit_usage_ratio"] == {place: 0.8}  # 80 of 100
    assert figures["nautilus_limits"][(("status", "ok"),)] == 2
    assert figures["nautilus_limits"][(("status", "unknown"),)] == 1


def make_limit(portfolio, **state):
    return RiskLimit.objects.create(
        portfolio=portfolio, kind="gross_exposure", threshold_value=100.0, warning_threshold=80.0, **state
    )


def test_a_book_without_a_stored_var_has_no_age_of_it():
    make_prices()
    make_trade(make_portfolio("PORTFOLIO_001"))
    assert not RiskMetric.objects.exists()
    assert "nautilus_var_age_seconds" not in asked("risk")


def test_workers_that_live_are_counted_by_queue_and_a_silent_one_is_none():
    client = redis_client()
    client.delete("pulses:workers", "pulses:schedulers")
    pulse = {"pid": 1, "slots": 2, "active": 1, "received": 7, "last_received_at": None, "started_at": 1.0}
    write_worker_pulse(client, WorkerPulse("risk-worker@a", ("risk_queue",), **pulse))
    write_scheduler_pulse(client, SchedulerPulse("scheduler@a:1", 1, True, 1.0, None))
    figures = asked("workers")
    assert figures["nautilus_queue_workers"][(("queue", "risk_queue"),)] == 1
    assert figures["nautilus_queue_free_slots"][(("queue", "risk_queue"),)] == 1
    assert figures["nautilus_queue_workers"][(("queue", "strategy_queue"),)] == 0
    assert (("queue", "strategy_queue"),) not in figures["nautilus_queue_idle_seconds"]
    assert figures["nautilus_worker_received_total"] == {(("worker", "risk-worker@a"),): 7}
    assert figures["nautilus_schedulers_leading"] == {(): 1}


def test_the_queues_tell_how_long_they_are():
    client = redis_client()
    client.delete("risk_queue")
    client.rpush("risk_queue", "a", "b", "c")
    assert asked("redis")["nautilus_queue_length"][(("queue", "risk_queue"),)] == 3
    client.delete("risk_queue")


def test_every_contract_index_is_there_after_the_migrations():
    present = asked("database")["nautilus_database_index_present"]
    assert set(present.values()) == {1.0}
    assert len(present) == 6  # contract section 11


# --- What is absent ---------------------------------------------------------------------------------------
def test_figures_of_a_store_that_refuses_are_absent_and_the_others_come(monkeypatch):
    nobody = Redis.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=1)
    monkeypatch.setattr(redis_source, "redis_client", lambda: nobody)
    figures = figures_of(as_text(Asking().ask({name: SOURCES[name] for name in ("redis", "database")})))
    up = figures["nautilus_scrape_up"]
    assert up == {(("source", "redis"),): 0.0, (("source", "database"),): 1.0}
    assert not [name for name in figures if name.startswith("nautilus_redis")]
    assert "nautilus_database_latency_seconds" in figures


def test_metric_names_are_ours_with_base_units():
    names = {family.name for family in text_string_to_metric_families(metrics_text().decode())}
    assert names
    assert not [name for name in names if not name.startswith("nautilus_")]
    assert not [name for name in names if name.endswith(("_ms", "_us", "_minutes", "_percent", "_mb"))]


def test_every_metric_stands_in_the_documentation():
    told = {family.name.removeprefix("nautilus_") for family in text_string_to_metric_families(metrics_text().decode())}
    words = set(re.findall(r"`([a-z…][a-z_]+)`", (ROOT / "docs" / "monitoring.md").read_text()))
    endings = tuple(word.removeprefix("…").removesuffix("_total") for word in words if word.startswith("…"))
    named = {word.removesuffix("_total") for word in words}
    assert not {name for name in told if name not in named and not name.endswith(endings)}
