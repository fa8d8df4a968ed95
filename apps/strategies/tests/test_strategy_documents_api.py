"""The two documents for clients: OpenAPI has every endpoint, AsyncAPI what stands on `deployments:{id}`."""

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator

from apps.portfolios.tests.factories import make_portfolio, make_prices, make_trade, moment
from apps.realtime.topics import encode
from apps.strategies import urls
from apps.strategies.models import Deployment, DeploymentOrder, DeploymentRun, Environment, Schedule
from apps.strategies.representation import deployment_as_told
from apps.strategies.running import events
from apps.strategies.tests.api_factories import make_deployment, make_order, make_run, make_versions

ROOT = Path(__file__).parents[3]
COMPONENTS = yaml.safe_load((ROOT / "docs" / "asyncapi.yaml").read_text())["components"]
PREFIX = "/api/v1/sprint3/"


# --- OpenAPI -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    with GENERATOR_STATS.silence():
        document: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return document


@pytest.fixture
def operations(schema: dict[str, Any]) -> dict[str, Any]:
    strategy = {path: item for path, item in schema["paths"].items() if path.startswith(f"{PREFIX}strategy/")}
    return {f"{method.upper()} {path}": item[method] for path, item in strategy.items() for method in item}


def test_every_path_is_described(operations: dict[str, Any]) -> None:
    paths = {re.sub(r"<\w+:(\w+)>", r"{\1}", PREFIX + str(pattern.pattern)) for pattern in urls.urlpatterns}
    assert {operation.split()[1] for operation in operations} == paths


def test_every_operation_says_what_it_does_and_answers(operations: dict[str, Any]) -> None:
    for name, operation in operations.items():
        assert operation.get("description"), name
        (success,) = [code for code in operation["responses"] if code.startswith("2")]
        assert "$ref" in operation["responses"][success]["content"]["application/json"]["schema"], name


def test_deeds_answer_with_their_status(operations: dict[str, Any]) -> None:
    answers = {name: set(operation["responses"]) for name, operation in operations.items() if "POST" in name}
    for name, codes in answers.items():
        expected = {"deploy": "202", "rollback": "202", "strategies": "201", "{strategy_id}": "201", "resolve": "201"}
        assert expected.get(name.rpartition("/")[2], "200") in codes, name
    assert "409" in answers[f"POST {PREFIX}strategy/versions/{{strategy_id}}"]


ANSWERS = [
    *("Deployment", "DeploymentList", "Step", "StepList", "DeploymentRun", "DeploymentOrder"),
    *("MergeRequest", "MergeRequestList", "Strategy", "StrategyVersion", "StrategyVersionList"),
]


@pytest.mark.parametrize("name", ANSWERS)
def test_fields_of_an_answer_are_always_there(schema: dict[str, Any], name: str) -> None:
    described = schema["components"]["schemas"][name]
    assert set(described["properties"]) == set(described["required"])


def test_symbols_of_a_deployment_are_text(schema: dict[str, Any]) -> None:
    symbols = schema["components"]["schemas"]["Deployment"]["properties"]["symbols"]
    assert (symbols["type"], symbols["items"]) == ("array", {"type": "string"})


CANNOT_RUN = {"no_broker", "other_environment", "portfolio_closed"}
REFUSALS = {
    "strategies": {"strategy_exists"},
    "versions/{strategy_id}": {"merge_conflict", "parent_version_needed"},
    "versions/{strategy_id}/resolve": {"head_moved", "no_open_merge_request", "several_merge_requests"},
    "deploy": {"deployment_under_way", *CANNOT_RUN},
    "deployments/{deployment_id}/approve": {"own_deployment", "deployment_state", *CANNOT_RUN},
    "rollback": {"deployment_state", "deployment_under_way"},
}


@pytest.mark.parametrize("path", REFUSALS)
def test_refusals_are_described_with_their_codes(schema: dict[str, Any], operations: dict[str, Any], path: str) -> None:
    refused = operations[f"POST {PREFIX}strategy/{path}"]["responses"]["409"]
    assert set(re.findall(r"`(\w+)`", refused["description"])) == REFUSALS[path] | {"idempotency_key_reused"}
    component = refused["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert {"type", "errors"} == set(schema["components"]["schemas"][component]["required"])


def test_statuses_of_steps_and_deployments_have_names_of_their_own(schema: dict[str, Any]) -> None:
    for answer, name in {"Step": "DeploymentStepStatusEnum", "DeploymentList": "DeploymentStatusEnum"}.items():
        status = schema["components"]["schemas"][answer]["properties"]["status"]
        assert name in json.dumps(status), status


def test_names_of_choices_do_not_collide(capsys: pytest.CaptureFixture[str]) -> None:
    SchemaGenerator().get_schema(request=None, public=True)
    assert "collision" not in capsys.readouterr().err


def test_views_are_described_without_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    SchemaGenerator().get_schema(request=None, public=True)
    said = capsys.readouterr().err
    assert [line for line in said.splitlines() if "strateg" in line.lower() or "deploy" in line.lower()] == []


# --- AsyncAPI ----------------------------------------------------------------------------------------------------


def data_of(message: str) -> dict[str, Any]:
    data: dict[str, Any] = COMPONENTS["messages"][message]["payload"]["properties"]["data"]
    return data


def test_events_are_those_that_are_published() -> None:
    sources = [path.read_text() for path in (ROOT / "apps" / "strategies").rglob("*.py") if "tests" not in path.parts]
    literal = {found for source in sources for found in re.findall(r'"(deployment\.\w+)"', source)}
    ends = {f"deployment.{status}" for status in ("failed", "superseded", "rolled_back")}  # of end_deployment
    changed = set(data_of("deploymentChanged")["properties"]["event"]["enum"])
    assert changed | {"deployment.run", "deployment.order"} == literal | ends


def test_choices_are_those_that_exist() -> None:
    properties = data_of("deploymentChanged")["properties"]
    assert properties["status"]["enum"] == Deployment.Status.values
    assert properties["environment"]["enum"] == Environment.values
    assert properties["schedule"]["enum"] == Schedule.values
    assert data_of("deploymentRun")["properties"]["status"]["enum"] == DeploymentRun.Status.values
    assert data_of("deploymentOrder")["properties"]["status"]["enum"] == DeploymentOrder.Status.values


@pytest.fixture
def deployment(db: None) -> Deployment:
    make_prices()
    return make_deployment(make_versions()[0], make_portfolio("BOOK"), canary_share=0.1, canary_days=5)


def faults(message: str, data: dict[str, Any]) -> list[str]:
    """What is not as described, fields that are missing or not described included."""
    described = {**data_of(message), "unevaluatedProperties": False}
    schema = {"components": COMPONENTS, **described}
    return [fault.message for fault in Draft202012Validator(schema).iter_errors(data)]


def test_change_has_the_described_fields(deployment: Deployment) -> None:
    data = json.loads(encode({"event": "deployment.step", "step": "validate", **deployment_as_told(deployment)}))
    assert faults("deploymentChanged", data) == []
    assert data.keys() == data_of("deploymentChanged")["properties"].keys()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What running/events.py publishes, as it goes over the wire."""
    heard: list[dict[str, Any]] = []
    monkeypatch.setattr(events, "publish_after_commit", lambda topic, data: heard.append(json.loads(encode(data))))
    return heard


def test_run_and_orders_have_the_described_fields(deployment: Deployment, told: list[dict[str, Any]]) -> None:
    run = make_run(deployment, date(2022, 1, 3))
    trade = make_trade(deployment.portfolio, "AAA", 10, "11.0055", date(2022, 1, 4))
    ended = moment(date(2022, 1, 4))
    events.tell_run(run)
    events.tell_orders([make_order(run, status="filled", trade=trade, ended_at=ended), make_order(run, "BBB")])
    messages = ["deploymentRun", "deploymentOrder", "deploymentOrder"]
    assert [faults(message, data) for message, data in zip(messages, told, strict=True)] == [[], [], []]


def test_check_of_the_fields_finds_what_is_not_as_described() -> None:
    assert any("'day' was unexpected" in fault or "day" in fault for fault in faults("deploymentChanged", {"day": 1}))
