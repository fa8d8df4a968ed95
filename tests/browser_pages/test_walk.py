"""One way through the dashboard, as somebody at a desk goes it: to every page, a job, a limit, a rollback."""

import re
import secrets
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser_pages.furnishing import RISK, make_limit
from tests.browser_pages.walked import BOOK, drawn_charts
from tests.running import wait_until

STRATEGY = "/api/v1/sprint3/strategy"
RESULT_MS = 120_000
CODE = """\
def target_weights(prices, params):
    latest = prices.iloc[-1].dropna()
    return dict.fromkeys(latest.index, params["invested"] / len(latest))
"""

pytestmark = pytest.mark.usefixtures("furnished")


def test_navigation_leads_to_every_page_and_says_where_one_is(desk_page: Page) -> None:
    desk_page.goto("/")
    navigation = desk_page.get_by_role("navigation", name="Pages")
    for title in navigation.get_by_role("link").all_inner_texts():
        navigation.get_by_role("link", name=title.strip()).click()
        expect(navigation.locator("[aria-current=page]")).to_have_text(title.strip())
        expect(desk_page.locator("#connection")).to_have_attribute("data-state", "live")


def test_from_the_click_to_the_drawn_result_of_a_var_job(desk_page: Page) -> None:
    desk_page.goto(f"/portfolios/{BOOK}")
    expect(desk_page.locator("#connection")).to_have_attribute("data-state", "live")
    desk_page.evaluate("globalThis.sameDocument = true")
    confidence = 90 + secrets.randbelow(899) / 100  # a job that nobody has run: equal ones share a result
    job = desk_page.get_by_role("form", name="Analysis")
    job.get_by_label("Method").select_option("parametric")
    job.get_by_label("Confidence").fill(f"{confidence}")
    job.get_by_role("button", name="Analyze").click()
    expect(job.get_by_role("status")).to_have_text("Done", timeout=RESULT_MS)
    components = desk_page.locator("#components")
    expect(components).to_contain_text(re.compile(rf"{confidence:g}\s?%"))
    expect(components.get_by_role("row", name=re.compile("^AAPL"))).to_be_visible()
    wait_until(lambda: drawn_charts(desk_page)["components-chart"], 20, "the result's chart to be drawn")
    assert desk_page.evaluate("globalThis.sameDocument"), "the page was loaded anew"


def test_limit_is_changed_on_its_page(desk_page: Page, client: httpx.Client) -> None:
    limit = make_limit(client, "net_exposure", 40_000_000 + secrets.randbelow(10**6))
    desk_page.goto(f"/limits?portfolio_id={BOOK}")
    desk_page.get_by_role("button", name=f"Change limit {limit['id']}").click()
    form = desk_page.get_by_role("dialog")
    form.get_by_label("Threshold").fill("12345678")
    form.get_by_label("Reason").fill("a walk through the pages")
    form.get_by_role("button", name="Change").click()
    expect(form).to_be_hidden()
    expect(desk_page.locator(f"tr[data-limit='{limit['id']}']")).to_contain_text("12,345,678")
    assert client.get(f"{RISK}/limits/{limit['id']}").json()["threshold_value"] == 12_345_678
    client.delete(f"{RISK}/limits/{limit['id']}")


@pytest.fixture
def two_deployments(client: httpx.Client) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of versions 1 and 2 of a strategy on a portfolio of its own; the second took the place of the first."""
    name = f"WALK_{secrets.token_hex(3).upper()}"
    terms = {"base_currency": "USD", "initial_cash": 100_000, "inception_date": "2022-01-03"}
    client.post("/api/v1/portfolios", json={"id": name, "name": "Walked through", **terms}).raise_for_status()
    client.post(f"{STRATEGY}/strategies", json={"id": name, "name": "Walked through"}).raise_for_status()
    for parent, invested in ((None, 0.5), (1, 0.6)):
        version = {"parent_version": parent, "code": CODE, "parameters": {"invested": invested}, "message": "walked"}
        client.post(f"{STRATEGY}/versions/{name}", json=version).raise_for_status()
    return deployed(client, name, 1), deployed(client, name, 2)


def deployed(client: httpx.Client, name: str, version: int) -> dict[str, Any]:
    where = {"strategy_id": name, "version": version, "portfolio_id": name, "environment": "paper"}
    accepted = client.post(f"{STRATEGY}/deploy", json={**where, "symbols": ["AAPL", "MSFT"], "schedule": "monthly"})
    accepted.raise_for_status()
    return wait_for_status(client, accepted.json()["deployment_id"], "active")


def wait_for_status(client: httpx.Client, deployment_id: str, status: str) -> dict[str, Any]:
    def has_it() -> dict[str, Any] | None:
        row: dict[str, Any] = client.get(f"{STRATEGY}/deployments/{deployment_id}").json()
        assert row["status"] != "failed", row
        return row if row["status"] == status else None

    found: dict[str, Any] = wait_until(has_it, 120, f"{deployment_id} to be {status}", pause_seconds=0.5)
    return found


def test_deployment_is_rolled_back_on_the_strategies_page(
    desk_page: Page, two_deployments: tuple[dict[str, Any], dict[str, Any]], client: httpx.Client
) -> None:
    before, now = two_deployments
    desk_page.goto(f"/strategies/{now['strategy_id']}")
    desk_page.get_by_role("button", name=f"Roll back {now['deployment_id']}").click()
    dialog = desk_page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("a walk through the pages")
    dialog.get_by_role("button", name="Roll it back").click()
    expect(dialog).to_be_hidden()
    ended = wait_for_status(client, now["deployment_id"], "rolled_back")
    assert "a walk through the pages" in ended["reason"]
    rows = client.get(f"{STRATEGY}/deployments", params={"portfolio_id": before["portfolio_id"]}).json()["results"]
    assert [row["version"] for row in rows if row["status"] == "active"] == [before["version"]]
    back = next(row["deployment_id"] for row in rows if row["status"] == "active")
    # The page of what comes back followed it there, step by step.
    expect(desk_page.get_by_role("heading", level=1)).to_contain_text(back)
    state = desk_page.get_by_role("region", name="State")
    expect(state.locator(".badge.good").first).to_have_text("active", timeout=RESULT_MS)
