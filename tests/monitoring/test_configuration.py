"""Prometheus' configuration and compose name the same things."""

import yaml

from tests.monitoring.rules import DOCKER, PROMETHEUS

COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
JOBS = {job["job_name"]: job for job in yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]}


def test_targets_are_services_of_compose():
    (target,) = JOBS["nautilus"]["static_configs"][0]["targets"]
    (found,) = JOBS["nautilus-replicas"]["dns_sd_configs"]
    assert {target.partition(":")[0], *found["names"]} == {"backend", "websocket-handler"}
    assert {"backend", "websocket-handler"} <= set(COMPOSE["services"])
    assert target == f"backend:{found['port']}"


def test_prometheus_comes_with_the_token_that_the_platform_expects():
    for job in ("nautilus", "nautilus-replicas"):
        path = JOBS[job]["authorization"]["credentials_file"]
        assert path.removeprefix("/run/secrets/") in COMPOSE["services"]["prometheus"]["secrets"]
        assert path == (DOCKER / "compose.yaml").read_text().partition("NAUTILUS_METRICS_TOKEN_FILE:")[2].split()[0]


def test_a_machine_is_one_target_so_that_nothing_is_counted_twice():
    assert [len(one["targets"]) for one in JOBS["nautilus"]["static_configs"]] == [1]
    assert "params" not in JOBS["nautilus"]
    assert JOBS["nautilus-replicas"]["params"] == {"part": ["process"]}
