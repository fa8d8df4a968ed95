"""The rule files and dashboards as they lie in docker/."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DOCKER = Path(__file__).parents[2] / "docker"
PROMETHEUS = DOCKER / "prometheus"
RULE_FILES = sorted((PROMETHEUS / "rules").glob("*.yml"))
DASHBOARDS = sorted((DOCKER / "grafana" / "dashboards").glob("*.json"))


@dataclass(frozen=True, slots=True)
class Rule:
    alert: str
    expr: str
    wait: str
    labels: dict[str, str]
    annotations: dict[str, str]


def rules_of(file: Path) -> list[Rule]:
    groups = yaml.safe_load(file.read_text())["groups"]
    return [
        Rule(one["alert"], one["expr"], str(one["for"]), one["labels"], one["annotations"])
        for group in groups
        for one in group["rules"]
    ]


def all_rules() -> list[Rule]:
    return [rule for file in RULE_FILES for rule in rules_of(file)]


def panels_of(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in dashboard["panels"]:
        if panel["type"] != "row":
            yield panel


def dashboard_of(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text())


def all_expressions() -> dict[str, str]:
    """Of rules and panels, by where they stand."""
    of_rules = {f"rule {rule.alert}": rule.expr for rule in all_rules()}
    of_panels = {
        f"{file.stem}: {panel['title']} {target['refId']}": target["expr"]
        for file in DASHBOARDS
        for panel in panels_of(dashboard_of(file))
        for target in panel["targets"]
    }
    return of_rules | of_panels
