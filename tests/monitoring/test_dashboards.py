"""Grafana's dashboards: four, each panel with its unit, its title and its words, on metrics of ours."""

import re

import pytest
import yaml

from tests.monitoring.rules import DASHBOARDS, DOCKER, all_expressions, dashboard_of, panels_of

PROVISIONING = DOCKER / "grafana" / "provisioning"
BOARDS = {file.stem: dashboard_of(file) for file in DASHBOARDS}


def test_there_are_four_with_fixed_names():
    assert {name: board["uid"] for name, board in BOARDS.items()} == {
        name: f"nautilus-{name}" for name in ("overview", "risk", "tasks", "realtime")
    }


def test_provisioning_leads_to_them_and_to_their_data_source():
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text())["datasources"]
    used = {
        target["datasource"]["uid"]
        for board in BOARDS.values()
        for panel in panels_of(board)
        for target in panel["targets"]
    }
    assert used == {source["uid"]}
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "nautilus.yml").read_text())["providers"]
    compose = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in compose["services"]["grafana"]["volumes"]


@pytest.mark.parametrize("name", BOARDS)
def test_panel_has_a_title_a_description_a_unit_and_an_id_of_its_own(name):
    panels = list(panels_of(BOARDS[name]))
    assert panels
    for panel in panels:
        assert panel["title"], panel
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]
    ids = [panel["id"] for panel in BOARDS[name]["panels"]]
    titles = [panel["title"] for panel in panels]
    assert len(set(ids)) == len(ids)
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("name", BOARDS)
def test_panels_lie_beside_each_other_and_within_the_width(name):
    taken = set()
    for panel in BOARDS[name]["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells


def test_quantities_over_several_instances_are_never_added_twice():
    """What stands in a store is told by each instance that Prometheus asks: of it, `max` or `min` is the figure."""
    stores = "redis|database|queue|limits?|feed|streaming|deployments?|websocket|worker|scheduler|cache|alert_deliver"
    summed = re.compile(rf"\bsum(?: by \([^)]*\))? \(?(?:\w+\()?nautilus_(?:{stores})_")
    wrong = {place: expr for place, expr in all_expressions().items() if summed.search(expr.replace("sum(", "sum ("))}
    assert not wrong
