"""What `make run` has deployed by the time it is ready: through every step, traded, and worth what it must be."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from tests.running import Platform

pytestmark = [pytest.mark.slow, pytest.mark.platform]

ROOT = Path(__file__).parents[1]
STRATEGY = "/api/v1/sprint3/strategy"
PAPERS = ("PAPER_001", "PAPER_002", "PAPER_003")
COST = 0.0005
LEAST_NOTIONAL = 1.0


@pytest.fixture(scope="module")
def prices() -> pd.DataFrame:
    path = ROOT / "sample_data" / "daily_prices.csv.gz"
    return pd.read_csv(path, index_col="date", parse_dates=True).drop(columns="SP500")


@pytest.mark.parametrize("portfolio_id", PAPERS)
def test_sample_went_through_every_step_and_has_a_performance(platform: Platform, portfolio_id: str) -> None:
    with platform.client() as client:
        deployment = deployed(client, portfolio_id)
        performance = read(client, f"/api/v1/sprint3/analytics/performance/{portfolio_id}")
        orders = read(client, f"{STRATEGY}/deployments/{deployment['deployment_id']}/orders?status=filled&page_size=1")
        trades = read(client, f"/api/v1/portfolios/{portfolio_id}/trades?page_size=1")

    assert [step["status"] for step in deployment["steps"]] == ["succeeded"] * 4
    assert (deployment["first_day"], deployment["last_day"]) == ("2022-01-03", "2022-12-28")
    assert trades["count"] == orders["count"] > 100
    assert performance["observations"] == 248  # returns from 2022-01-03 to 2022-12-28


@pytest.mark.parametrize("portfolio_id", PAPERS)
def test_paper_portfolio_is_worth_what_a_plain_computation_comes_to(
    platform: Platform, portfolio_id: str, prices: pd.DataFrame
) -> None:
    with platform.client() as client:
        deployment = deployed(client, portfolio_id)
        version = read(client, f"{STRATEGY}/versions/{deployment['strategy_id']}/{deployment['version']}")
        portfolio = read(client, f"/api/v1/portfolios/{portfolio_id}")
    namespace: dict[str, Any] = {}
    exec(version["code"], namespace)

    value, cash = traded(prices, lambda past: namespace["target_weights"](past, version["parameters"]))

    assert portfolio["value"] == pytest.approx(value, rel=1e-9)
    assert portfolio["cash"] == pytest.approx(cash, abs=0.01)


def traded(prices: pd.DataFrame, weights_on: Callable[[pd.DataFrame], dict[str, float]]) -> tuple[float, float]:
    """Value and cash at the end of 2022, by the rules of docs/strategies.md, one symbol after the other."""
    cash, held, orders, month = 1_000_000.0, dict.fromkeys(prices, 0.0), dict.fromkeys(prices, 0.0), 0
    for day in prices.loc["2022-01-03":].index:
        closes = prices.loc[day].to_dict()
        for symbol, quantity in orders.items():
            cash -= quantity * closes[symbol] * (1 + COST if quantity > 0 else 1 - COST)
            held[symbol] += quantity
        orders = dict.fromkeys(prices, 0.0)
        if day.month != month:
            month = day.month
            equity = cash + sum(held[symbol] * closes[symbol] for symbol in held)
            weights = weights_on(prices.loc[:day].iloc[-1260:])
            wanted = {symbol: weights.get(symbol, 0.0) * equity / closes[symbol] - held[symbol] for symbol in held}
            orders = {
                symbol: quantity if abs(quantity) * closes[symbol] >= LEAST_NOTIONAL else 0.0
                for symbol, quantity in wanted.items()
            }
    return cash + sum(held[symbol] * prices[symbol].iloc[-1] for symbol in held), cash


def test_table_of_the_readme_is_what_was_printed(platform: Platform) -> None:
    (table,) = re.findall(r"```text\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)

    assert table in (platform.home.path / "launcher.log").read_text()


def test_figures_of_the_sample_data_are_those_of_the_readme_table() -> None:
    printed = re.findall(r"^DEPLOY_\d+ .*?(PAPER_\d+) active (.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    listed = re.findall(r"^\| (PAPER_\d+) \| (.*) \|$", (ROOT / "sample_data" / "README.md").read_text(), re.MULTILINE)

    assert [(name, row.replace("%", "").split()) for name, row in printed] == [
        (name, re.sub(r"[%|]", "", row).split()) for name, row in listed
    ]
    assert [name for name, _ in printed] == list(PAPERS)


def deployed(client: httpx.Client, portfolio_id: str) -> dict[str, Any]:
    (found,) = read(client, f"{STRATEGY}/deployments?portfolio_id={portfolio_id}&status=active")["results"]
    return read(client, f"{STRATEGY}/deployments/{found['deployment_id']}")


def read(client: httpx.Client, path: str) -> dict[str, Any]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())
