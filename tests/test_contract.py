"""Walks docs/contract.json: every endpoint that exists answers with its status and its keys, to its role alone."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.urls import Resolver404, resolve
from rest_framework.test import APIClient

from apps.analytics.real_time_engine import RealTimeAnalyticsEngine
from apps.operations.tests.alive import all_processes_alive
from apps.portfolios.tests.factories import client_of, make_portfolio, make_prices, make_trade
from apps.realtime.tests.said_processes import said_processes
from apps.strategies.tests.api_factories import make_deployment, make_versions

pytestmark = pytest.mark.django_db

CONTRACT = json.loads((Path(__file__).parents[1] / "docs" / "contract.json").read_text())
ENDPOINTS = CONTRACT["endpoints"]

# What later issues build. A path leaves this list when it answers: the last test sees to that.
NOT_YET: set[str] = set()

# Those whose threads have database connections of their own, and see only what was committed.
IN_THREADS = "/health"


def cases(endpoints: list[dict[str, Any]]) -> list[Any]:
    committed = pytest.mark.django_db(transaction=True)
    return [pytest.param(each, marks=committed if each["path"].endswith(IN_THREADS) else ()) for each in endpoints]


BUILT = [endpoint for endpoint in ENDPOINTS if endpoint["path"] not in NOT_YET]


@pytest.fixture(autouse=True)
def streaming_engine(request) -> Iterator[None]:
    """One that runs, where streaming is asked about: there is nothing to restart without."""
    if "streaming" not in request.node.name:
        yield
        return
    engine = RealTimeAnalyticsEngine()
    engine.reader.read()
    engine.step()
    yield
    engine.leave()


@pytest.fixture(autouse=True)
def socket_server(request) -> Iterator[None]:
    """One that hears a restart: without any there is nothing to restart."""
    if "websocket/restart" not in request.node.name:
        yield
        return
    with said_processes() as say:
        say({"process": "host:1", "hub": "a", "connections_closed": 0})
        yield


@pytest.fixture(autouse=True)
def signs_of_life(request, settings) -> Iterator[None]:
    """Of every process, where health is asked about: it answers 503 while one is missing."""
    if IN_THREADS not in request.node.name:
        yield
        return
    settings.FEED_EXPECTED = False
    with all_processes_alive():
        yield


def name_of(endpoint: dict[str, Any]) -> str:
    return f"{endpoint['method']} {endpoint['path']}"


def ask(client: APIClient, endpoint: dict[str, Any], path: str | None = None) -> Any:
    return client.generic(
        endpoint["method"],
        path or endpoint["path"],
        json.dumps(endpoint.get("body", {})) if endpoint["method"] != "GET" else "",
        content_type="application/json",
    )


@pytest.fixture(autouse=True)
def book(request) -> None:
    make_prices()
    portfolio = make_portfolio("PORTFOLIO_001")
    make_trade(portfolio)
    if "strategy" in request.node.name:
        (version,) = make_versions("STRATEGY_001")
        make_deployment(version, portfolio, "DEPLOY_001")


@pytest.mark.parametrize("endpoint", cases(BUILT), ids=name_of)
def test_endpoint_answers_its_role_with_its_status_and_keys(endpoint):
    client = APIClient() if endpoint["role"] == "anyone" else client_of(endpoint["role"])
    answer = ask(client, endpoint)
    assert answer.status_code == endpoint["status"], answer.content
    if endpoint["keys"]:
        assert set(endpoint["keys"]) <= set(answer.json())


@pytest.mark.parametrize("endpoint", cases(BUILT), ids=name_of)
def test_trailing_slash_answers_the_same(endpoint):
    client = APIClient() if endpoint["role"] == "anyone" else client_of(endpoint["role"])
    assert ask(client, endpoint, endpoint["path"] + "/").status_code == endpoint["status"]


@pytest.mark.parametrize("endpoint", cases([e for e in BUILT if e["role"] != "anyone"]), ids=name_of)
def test_endpoint_refuses_who_brings_no_credentials(endpoint):
    answer = ask(APIClient(), endpoint)
    assert answer.status_code == 401
    assert set(answer.json()) == {"type", "errors"}


@pytest.mark.parametrize("endpoint", cases([e for e in BUILT if e["role"] != "anyone"]), ids=name_of)
def test_endpoint_refuses_who_lacks_the_role(endpoint):
    lesser = {"viewer": "nobody", "trader": "viewer", "risk_manager": "trader", "operator": "trader"}[endpoint["role"]]
    client = client_of(None if lesser == "nobody" else lesser)
    assert ask(client, endpoint).status_code == 403


@pytest.mark.parametrize("path", sorted({e["path"] for e in BUILT if "PORTFOLIO_001" in e["path"]}))
def test_portfolio_of_another_desk_looks_as_if_it_were_not_there(path):
    stranger = client_of("trader", groups=["another desk"])
    hidden, missing = stranger.get(path), stranger.get(path.replace("PORTFOLIO_001", "PORTFOLIO_999"))
    assert (hidden.status_code, missing.status_code) == (404, 404)
    assert hidden.json()["errors"][0]["detail"].replace("001", "999") == missing.json()["errors"][0]["detail"]


@pytest.mark.parametrize("path", sorted(NOT_YET))
def test_path_that_is_still_to_come_is_not_there(path):
    with pytest.raises(Resolver404):
        resolve(path)
