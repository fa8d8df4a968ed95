"""`/strategy/deployments` over HTTP: what is shown of them, to whom, and who may follow their topics."""

from datetime import UTC, date, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.portfolios.tests.factories import client_of, make_portfolio, make_prices, make_trade, make_user
from apps.realtime.access import may_subscribe
from apps.strategies.models import StrategyVersion
from apps.strategies.representation import deployment_as_told
from apps.strategies.tests.api_factories import (
    URL,
    detail_of,
    errors_of,
    make_deployment,
    make_order,
    make_run,
    make_versions,
)

pytestmark = pytest.mark.django_db

DEPLOYMENTS = f"{URL}/deployments"
MONDAY, TUESDAY = date(2022, 1, 3), date(2022, 1, 4)


@pytest.fixture(autouse=True)
def version() -> StrategyVersion:
    """Of STRATEGY_001, which runs as DEPLOY_001 on BOOK, as DEPLOY_002 on a book of another desk."""
    make_prices()
    (version,) = make_versions()
    make_deployment(version, make_portfolio("BOOK"), "DEPLOY_001")
    make_deployment(version, make_portfolio("HIDDEN", groups=["another desk"]), "DEPLOY_002")
    return version


def ids(client: APIClient, query: str = "") -> list[str]:
    return [row["deployment_id"] for row in client.get(f"{DEPLOYMENTS}?{query}").json()["results"]]


def test_list_has_the_deployments_on_the_desks_portfolios_alone() -> None:
    assert ids(client_of("viewer")) == ["DEPLOY_001"]
    assert ids(client_of("strategist", groups=["another desk"])) == ["DEPLOY_002"]
    assert ids(client_of("risk_manager", groups=[])) == ["DEPLOY_002", "DEPLOY_001"]
    assert ids(client_of("viewer", groups=[])) == []


def test_list_shows_steps_without_logs() -> None:
    (row,) = client_of("viewer").get(DEPLOYMENTS).json()["results"]
    assert (row["strategy_id"], row["version"], row["portfolio_id"]) == ("STRATEGY_001", 1, "BOOK")
    assert (row["environment"], row["status"], row["canary"]) == ("paper", "active", None)
    assert [(step["name"], step["status"]) for step in row["steps"]] == [
        ("validate", "succeeded"),
        ("backtest", "succeeded"),
        ("risk", "succeeded"),
        ("activate", "succeeded"),
    ]
    assert all("log" not in step and "result" not in step for step in row["steps"])


def test_symbols_stand_in_a_single_deployment_and_their_number_everywhere(version: StrategyVersion) -> None:
    symbols = [f"SYM{number:04d}" for number in range(5_000)]
    big = make_deployment(version, make_portfolio("BIG"), "DEPLOY_003", symbols=symbols)
    client = client_of("viewer")
    single = client.get(f"{DEPLOYMENTS}/DEPLOY_003").json()
    assert (single["symbols"], single["symbols_count"]) == (symbols, 5_000)
    with CaptureQueriesContext(connection) as captured:
        (row,) = client.get(f"{DEPLOYMENTS}?portfolio_id=BIG").json()["results"]
        told = deployment_as_told(big)
    for shown in (row, told):
        assert shown["symbols_count"] == 5_000
        assert "symbols" not in shown
    assert not [query for query in captured if '"deployments"."symbols",' in query["sql"]]


def test_one_deployment_shows_each_steps_times_log_and_figures() -> None:
    body = client_of("viewer").get(f"{DEPLOYMENTS}/DEPLOY_001").json()
    assert body["deployment_id"] == "DEPLOY_001"
    step = body["steps"][1]
    assert (step["name"], step["log"], step["result"]) == ("backtest", "backtest was here\n", {"n": 1})
    assert step.keys() >= {"status", "started_at", "finished_at", "attempts"}


def test_list_is_filtered_ordered_and_paged(version: StrategyVersion) -> None:
    make_versions("STRATEGY_002")
    book = make_portfolio("OTHER")
    make_deployment(version, book, "DEPLOY_003", status="failed", reason="backtest: too bad")
    make_deployment(version, book, "DEPLOY_004", status="awaiting_approval", environment="live")
    client = client_of("viewer")
    assert ids(client, "status=failed") == ["DEPLOY_003"]
    assert ids(client, "environment=live") == ["DEPLOY_004"]
    assert ids(client, "portfolio_id=OTHER") == ["DEPLOY_004", "DEPLOY_003"]
    assert ids(client, "portfolio_id=HIDDEN") == ids(client, "portfolio_id=NONE") == []
    assert ids(client, "strategy_id=STRATEGY_002") == []
    assert ids(client, "strategy_id=STRATEGY_001&ordering=id") == ["DEPLOY_001", "DEPLOY_003", "DEPLOY_004"]
    page = client.get(f"{DEPLOYMENTS}?ordering=id&page_size=2&page=2").json()
    assert (page["count"], [row["deployment_id"] for row in page["results"]]) == (3, ["DEPLOY_004"])


@pytest.mark.parametrize(
    "query", ["status=done", "portfolio_id=%00", "environment=prod", "portfolio=BOOK", "ordering=reason", "page=9"]
)
def test_query_that_does_not_fit_is_refused(query: str) -> None:
    assert client_of("viewer").get(f"{DEPLOYMENTS}?{query}").status_code in (400, 404)


def test_list_takes_as_many_queries_for_ten_deployments_as_for_one(version: StrategyVersion) -> None:
    client = client_of("viewer")
    client.get(DEPLOYMENTS)
    with CaptureQueriesContext(connection) as one:
        client.get(DEPLOYMENTS)
    for number in range(10, 19):
        make_deployment(version, make_portfolio(f"BOOK_OF_{number}"), f"DEPLOY_{number:03d}", created_by=make_user())
    with CaptureQueriesContext(connection) as ten:
        assert client.get(DEPLOYMENTS).json()["count"] == 10
    assert len(ten) == len(one)


@pytest.mark.parametrize("path", ["", "/runs", "/orders"])
@pytest.mark.parametrize("role", ["viewer", "strategist", "trader"])
def test_hidden_deployment_looks_as_if_it_were_not_there(role: str, path: str) -> None:
    client = client_of(role)
    hidden, missing = (client.get(f"{DEPLOYMENTS}/{name}{path}") for name in ("DEPLOY_002", "DEPLOY_999"))
    assert (hidden.status_code, missing.status_code) == (404, 404)
    assert detail_of(hidden).replace("002", "999") == detail_of(missing)


@pytest.mark.parametrize("path", ["", "/DEPLOY_001", "/DEPLOY_001/runs", "/DEPLOY_001/orders"])
def test_operator_and_strangers_read_no_deployment(path: str) -> None:
    assert client_of("operator").get(DEPLOYMENTS + path).status_code == 403
    assert APIClient().get(DEPLOYMENTS + path).status_code == 401


@pytest.mark.parametrize("name", ["a b", "x%00", "%F0%9F%98%80", "DEPLOY_001x"])
def test_text_that_is_no_id_is_not_found(name: str) -> None:
    assert client_of("viewer").get(f"{DEPLOYMENTS}/{name}").status_code == 404


def test_runs_are_listed_newest_first_with_weights_or_the_error(version: StrategyVersion) -> None:
    deployment = version.deployments.get(pk="DEPLOY_001")
    error = {"code": "strategy_raised", "detail": "KeyError: 'gross' in line 2", "remedy": ""}
    make_run(deployment, MONDAY, share=0.1, log="hello\n")
    make_run(deployment, TUESDAY, status="failed", weights=None, equity=None, error=error, attempts=2)
    body = client_of("viewer").get(f"{DEPLOYMENTS}/DEPLOY_001/runs").json()
    assert body["count"] == 2
    failed, first = body["results"]
    assert (failed["day"], failed["status"], failed["attempts"], failed["weights"]) == ("2022-01-04", "failed", 2, None)
    assert failed["error"] == error
    assert (first["weights"], first["share"], first["log"]) == ({"AAA": 0.5, "BBB": 0.5}, 0.1, "hello\n")


def test_runs_are_filtered_by_status_and_day(version: StrategyVersion) -> None:
    deployment = version.deployments.get(pk="DEPLOY_001")
    make_run(deployment, MONDAY)
    make_run(deployment, TUESDAY, status="failed")
    client, runs = client_of("viewer"), f"{DEPLOYMENTS}/DEPLOY_001/runs"
    days = {
        query: [row["day"] for row in client.get(f"{runs}?{query}").json()["results"]]
        for query in ("status=failed", "end=2022-01-03", "start=2022-01-04", "ordering=day")
    }
    assert days == {
        "status=failed": ["2022-01-04"],
        "end=2022-01-03": ["2022-01-03"],
        "start=2022-01-04": ["2022-01-04"],
        "ordering=day": ["2022-01-03", "2022-01-04"],
    }
    assert client.get(f"{runs}?start=monday").status_code == 400


def test_orders_are_listed_newest_first_with_their_fill_or_the_reasons(version: StrategyVersion) -> None:
    deployment = version.deployments.get(pk="DEPLOY_001")
    run = make_run(deployment, MONDAY)
    trade = make_trade(deployment.portfolio, "AAA", 10, "11.0055", TUESDAY)
    make_order(run, "AAA", 10, status="filled", trade=trade, ended_at=datetime(2022, 1, 4, 21, tzinfo=UTC))
    reason = "position_notional of BBB would be 150, the limit is 100."
    make_order(run, "BBB", -3, status="refused", reasons=[reason], ended_at=datetime(2022, 1, 4, 21, tzinfo=UTC))
    body = client_of("viewer").get(f"{DEPLOYMENTS}/DEPLOY_001/orders").json()
    refused, filled = body["results"]
    assert (refused["symbol"], refused["quantity"], refused["status"]) == ("BBB", -3.0, "refused")
    assert (refused["reasons"], refused["trade_id"], refused["filled_price"]) == ([reason], None, None)
    assert (filled["day"], filled["trade_id"], filled["filled_price"]) == ("2022-01-03", trade.pk, 11.0055)
    assert (filled["filled_at"], filled["ended_at"]) == ("2022-01-04T21:00:00Z", "2022-01-04T21:00:00Z")


def test_orders_are_filtered_by_status_symbol_and_day(version: StrategyVersion) -> None:
    run = make_run(version.deployments.get(pk="DEPLOY_001"), MONDAY)
    make_order(run, "AAA")
    make_order(run, "BBB", status="cancelled", ended_at=datetime(2022, 1, 4, 21, tzinfo=UTC))
    client, orders = client_of("viewer"), f"{DEPLOYMENTS}/DEPLOY_001/orders"
    symbols = {
        query: [row["symbol"] for row in client.get(f"{orders}?{query}").json()["results"]]
        for query in ("status=open", "symbol=BBB", "day=2022-01-03", "day=2022-01-04")
    }
    assert symbols == {
        "status=open": ["AAA"],
        "symbol=BBB": ["BBB"],
        "day=2022-01-03": ["BBB", "AAA"],
        "day=2022-01-04": [],
    }
    assert errors_of(client.get(f"{orders}?state=open")) == [("unknown_parameter", "state")]


def test_topic_of_a_deployment_is_for_those_who_may_read_it() -> None:
    mine, stranger = make_user("strategist"), make_user("strategist", groups=["third desk"])
    assert may_subscribe(mine, "deployments:DEPLOY_001")
    for topic in ("deployments:DEPLOY_001", "deployments:DEPLOY_002", "deployments:DEPLOY_999", "deployments:*"):
        assert not may_subscribe(stranger, topic)
    assert not may_subscribe(make_user("operator"), "deployments:DEPLOY_001")
    assert may_subscribe(make_user("risk_manager", groups=[]), "deployments:*")
