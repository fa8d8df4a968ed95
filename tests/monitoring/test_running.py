"""A real Prometheus scrapes a real run: targets, rules, alerts; and what a scrape says while a store hangs."""

import os
import re
import signal
from collections.abc import Iterator

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.monitoring.prometheus import Prometheus, running_prometheus
from tests.monitoring.rules import all_expressions, all_rules
from tests.running import ANALYZE, Platform, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.platform, pytest.mark.timeout(600)]

NAMES = re.compile(r"\bnautilus_\w+")


@pytest.fixture(scope="module")
def prometheus(platform: Platform, tmp_path_factory) -> Iterator[Prometheus]:
    with running_prometheus(tmp_path_factory.mktemp("prometheus"), platform) as prometheus:
        wait_until(lambda: prometheus.query('up{job="nautilus"} == 1'), 60, "Prometheus to scrape the platform")
        yield prometheus


Figures = dict[str, dict[tuple[tuple[str, str], ...], float]]


def text_of(platform: Platform) -> str:
    with platform.client() as client:
        answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    return answer.text


def figures_in(text: str) -> Figures:
    figures: Figures = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            figures.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return figures


def whole_text_of(platform: Platform) -> str:
    """Of a scrape that every source has answered in time, which one may miss on a machine that is busy."""

    def whole() -> str | None:
        text = text_of(platform)
        return text if all(figures_in(text)["nautilus_scrape_up"].values()) else None

    return wait_until(whole, 120, "all sources to answer", pause_seconds=1)


def figures_of(platform: Platform) -> Figures:
    return figures_in(whole_text_of(platform))


def names_told_by(platform: Platform) -> set[str]:
    """Of all families, also of those that have counted nothing yet."""
    typed = re.findall(r"^# TYPE (\S+) (\S+)$", whole_text_of(platform), re.MULTILINE)
    endings = {"histogram": ("_bucket", "_sum", "_count")}
    return {f"{name}{ending}" for name, kind in typed for ending in endings.get(kind, ("",))}


def test_rules_and_dashboards_name_only_what_the_platform_tells(platform):
    told = names_told_by(platform)
    unknown = {place: set(NAMES.findall(expr)) - told for place, expr in all_expressions().items()}
    assert not {place: names for place, names in unknown.items() if names}


def test_prometheus_loads_every_rule_and_none_fails(prometheus):
    def evaluated() -> dict[str, str] | None:
        rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
        return (
            {rule["name"]: rule["health"] for rule in rules}
            if all(rule["health"] != "unknown" for rule in rules)
            else None
        )

    health = wait_until(evaluated, 60, "Prometheus to evaluate every rule once")
    assert health == {rule.alert: "ok" for rule in all_rules()}


def test_prometheus_can_carry_out_every_panel(prometheus):
    for place, expr in all_expressions().items():
        if not place.startswith("rule "):
            assert isinstance(prometheus.query(expr.replace("$__rate_interval", "1m")), list), place


def test_what_workers_count_is_told_by_the_web_process(platform):
    ended = ("nautilus_tasks_ended_total", (("kind", "risk.analyze"), ("status", "succeeded")))
    before = figures_of(platform)[ended[0]][ended[1]]  # the showcase has submitted some
    with platform.client() as client:
        task = client.post(ANALYZE, json={"portfolio_id": "PORTFOLIO_001", "window_days": 250}).json()
        client.get(task["status_url"], params={"wait": 30})
    assert figures_of(platform)[ended[0]][ended[1]] == before + 1


def test_counts_outlive_the_process_that_made_them(platform):
    name = "nautilus_tasks_ended_total"
    before = figures_of(platform)[name]
    platform.kill("risk-worker")
    after = figures_of(platform)[name]
    assert {labels: after[labels] >= value for labels, value in before.items()} == dict.fromkeys(before, True)
    wait_until(lambda: alive(platform, "risk-worker"), 180, "the worker to be back", pause_seconds=1)


def alive(platform: Platform, worker: str) -> bool:
    told = figures_of(platform).get("nautilus_worker_silent_seconds", {})
    return any(dict(labels)["worker"].startswith(f"{worker}@") and silent < 5 for labels, silent in told.items())


def test_a_stopped_worker_raises_its_alert_with_the_command_that_mends_it(platform, prometheus):
    platform.stop("strategy-deployer")
    try:
        found = {"queue": "strategy_queue"}
        alert = wait_until(lambda: prometheus.alert("WorkersAllGone", **found), 60, "the alert to be seen")
        assert alert["annotations"]["remedy"] == "scripts/restart-service.sh strategy-deployer"
        assert alert["annotations"]["runbook"] == "docs/runbook.md#workers-all-gone"

        def fires() -> bool:
            return (prometheus.alert("WorkersAllGone", **found) or {}).get("state") == "firing"

        wait_until(fires, 120, "the alert to fire")
    finally:
        platform.start("strategy-deployer")
    wait_until(lambda: prometheus.alert("WorkersAllGone") is None, 120, "the alert to end")


HANGING = [("redis", "redis", "nautilus_redis_keys"), ("postgres", "database", "nautilus_database_connections")]


@pytest.mark.parametrize(("store", "source", "figure"), HANGING)
def test_figures_of_a_store_that_hangs_are_absent_and_said_to_be(platform, store, source, figure):
    assert figure in figures_of(platform)
    stopped = processes_of(platform, store)
    for process in stopped:
        process.send_signal(signal.SIGSTOP)
    try:
        figures = figures_in(text_of(platform))
    finally:
        for process in reversed(stopped):
            os.kill(process.pid, signal.SIGCONT)
    assert figures["nautilus_scrape_up"][(("source", source),)] == 0
    assert figures["nautilus_scrape_up"][(("source", "machine"),)] == 1
    assert figure not in figures
    assert figure in figures_of(platform)


def processes_of(platform: Platform, name: str) -> list[psutil.Process]:
    """Those of a store, without the one that ties them to the run."""
    process = psutil.Process(platform.pid(name))
    return [process, *process.children(recursive=True)]
