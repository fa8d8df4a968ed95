"""Strategies in a browser: versions posted, merged and compared, deployed, followed live and rolled back."""

import json
import secrets
from contextlib import suppress
from typing import Any

import httpx
import pytest
from playwright.sync_api import Error as BrowserError
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser_pages import axe
from tests.browser_pages.conftest import PageAs
from tests.browser_pages.test_accessibility import too_wide
from tests.browser_pages.walked import PHONE
from tests.running import Platform, wait_until

STRATEGY = "/api/v1/sprint3/strategy"
FIRST = """\
def target_weights(prices, params):
    share = params["gross"] / len(prices.columns)
    return dict.fromkeys(prices.columns, share)
"""
SYMBOLS = ["AAPL", "MSFT"]
DEPLOYED_SECONDS = 120_000


@pytest.fixture
def name(client: httpx.Client) -> str:
    """A strategy and a portfolio of the test's own, both of this name; two versions."""
    name = f"TRIED_{secrets.token_hex(3).upper()}"
    terms = {"id": name, "name": f"Of {name}", "base_currency": "USD", "initial_cash": 1_000_000}
    posted(client, "/api/v1/portfolios", {**terms, "inception_date": "2022-01-03"})
    posted(client, f"{STRATEGY}/strategies", {"id": name, "name": "Equal parts, to be browsed"})
    version(client, name, None, 1.0)
    version(client, name, 1, 0.5)
    return name


def posted(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(path, json=body)
    assert answer.is_success, answer.text
    said: dict[str, Any] = answer.json()
    return said


def version(client: httpx.Client, name: str, parent: int | None, gross: float) -> httpx.Response:
    body = {"parent_version": parent, "code": FIRST, "parameters": {"gross": gross}, "message": f"gross {gross}"}
    return client.post(f"{STRATEGY}/versions/{name}", json=body)


def opened(page: Page, path: str) -> Page:
    page.goto(path)
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    return page


def deploy(client: httpx.Client, name: str, number: int, environment: str = "paper", until: str = "active") -> str:
    where = {"strategy_id": name, "version": number, "portfolio_id": name, "environment": environment}
    answer = posted(client, f"{STRATEGY}/deploy", {**where, "symbols": SYMBOLS, "schedule": "monthly"})
    deployment_id = str(answer["deployment_id"])
    wait_until(lambda: status_of(client, deployment_id) == until, 120, f"{deployment_id} to be {until}")
    return deployment_id


def status_of(client: httpx.Client, deployment_id: str) -> str:
    return str(client.get(f"{STRATEGY}/deployments/{deployment_id}").json()["status"])


def dialog_of(page: Page, button: str) -> Locator:
    page.get_by_role("button", name=button, exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    return dialog


def test_strategy_is_made_and_gets_its_first_version(desk_page: Page) -> None:
    name = f"TRIED_{secrets.token_hex(3).upper()}"
    opened(desk_page, "/strategies")
    dialog = dialog_of(desk_page, "New strategy")
    dialog.get_by_label("Name").fill("Made in a browser")
    dialog.get_by_label("Id").fill(name)
    dialog.get_by_role("button", name="Make it").click()
    desk_page.wait_for_url(f"**/strategies/{name}")
    expect(desk_page.get_by_text("It has no version yet.")).to_be_visible()
    dialog = dialog_of(desk_page, "New version")
    dialog.get_by_label("Message").fill("The first")
    dialog.get_by_role("button", name="Post version").click()
    desk_page.wait_for_url("**?version=1")
    expect(desk_page.locator("#detail")).to_contain_text("def target_weights(prices, params):")


def test_list_is_searched_and_sorted_without_leaving_it(desk_page: Page, name: str) -> None:
    page = opened(desk_page, "/strategies")
    page.get_by_label("Name or id").fill(name)
    rows = page.locator("#strategies tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("version 2")
    page.get_by_role("link", name="Versions").click()
    expect(page.locator('th[aria-sort="ascending"]')).to_have_text("Versions")
    expect(rows).to_have_count(1)
    expect(page.get_by_label("Name or id")).to_have_value(name)


def test_version_is_chosen_by_keyboard_and_by_its_node(desk_page: Page, name: str) -> None:
    page = opened(desk_page, f"/strategies/{name}")
    expect(page.locator("#detail-title")).to_have_text("Version 1 to version 2")
    expect(page.locator("#detail .changed")).to_contain_text(["1.0"])
    page.get_by_role("link", name="Version 1", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#detail-title")).to_have_text("Version 1")
    expect(page.locator("#detail-title")).to_be_focused()
    expect(page.locator(".version.chosen")).to_contain_text("gross 1.0")
    page.wait_for_url("**?version=1")
    page.locator('[data-node="2"]').click()
    expect(page.locator("#detail-title")).to_have_text("Version 2")
    page.get_by_label("Compare").select_option("2")
    expect(page.locator("#detail-title")).to_have_text("Version 2 to version 2")
    page.get_by_label("with", exact=True).select_option("1")
    expect(page.locator("#detail-title")).to_have_text("Version 2 to version 1")
    page.go_back()
    expect(page.locator("#detail-title")).to_have_text("Version 2 to version 2")


def test_version_that_collides_is_told_and_resolved_by_hand(
    desk_page: Page, name: str, client: httpx.Client, watch
) -> None:
    page = opened(desk_page, f"/strategies/{name}")
    dialog = dialog_of(page, "New version")
    assert version(client, name, 2, 0.25).status_code == 201  # somebody else is faster
    dialog.get_by_label("Parameters").fill("{gross: 1}")
    dialog.get_by_role("button", name="Post version").click()
    expect(dialog.get_by_role("alert")).to_contain_text("The parameters are not JSON")
    dialog.get_by_label("Parameters").fill('{"gross": 0.8}')
    watch.expect(409)
    dialog.get_by_role("button", name="Post version").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Version 4 collides with version 3")
    dialog.get_by_role("link", name="To merge request").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("open")
    page.get_by_role("button", name="Resolve by hand").click()
    expect(page.locator("#by-hand").get_by_role("alert")).to_contain_text("“gross” is still a mark")
    page.get_by_label("Parameters").fill('{"gross": 0.6}')
    page.get_by_role("button", name="Resolve by hand").click()
    page.wait_for_url(f"**/strategies/{name}?version=5")
    expect(page.locator('[data-version="5"]')).to_contain_text("merge of 4")
    assert json.loads(page.locator("#detail td code").inner_text()) == 0.6


def test_version_is_deployed_followed_live_and_rolled_back(desk_page: Page, name: str, client: httpx.Client) -> None:
    before = deploy(client, name, 1)
    page = opened(desk_page, f"/strategies/{name}")
    dialog = dialog_of(page, "Deploy")
    dialog.get_by_label("Portfolio", exact=True).select_option(name)
    dialog.get_by_label("Schedule").select_option("monthly")
    dialog.get_by_text("Symbols, costs, start, canary").click()
    dialog.get_by_label("Symbols").fill(", ".join(SYMBOLS))
    dialog.get_by_role("button", name="Deploy it").click()
    page.wait_for_url("**/deployments/*")
    expect(page.locator("#state .badge").first).to_have_text("active", timeout=DEPLOYED_SECONDS)
    expect(page.locator("#step-activate")).to_contain_text("succeeded")
    expect(page.locator("#backtest-curve")).to_be_visible()
    now = page.url.rpartition("/")[2]
    dialog = dialog_of(page, f"Roll back {now}")
    expect(dialog).to_contain_text("Version 1")
    dialog.get_by_label("With force").check()
    dialog.get_by_label("Reason").fill("A test goes back")
    dialog.get_by_role("button", name="Roll it back").click()
    page.wait_for_url(lambda url: "/deployments/" in url and not url.endswith(now))
    expect(page.locator("#state .badge").first).to_have_text("active", timeout=DEPLOYED_SECONDS)
    expect(page.locator("#state")).to_contain_text("A test goes back")
    assert [status_of(client, each) for each in (before, now)] == ["superseded", "rolled_back"]


def test_live_deployment_waits_for_somebody_else_who_approves_it(
    desk_page: Page, page_as: PageAs, name: str, client: httpx.Client, platform: Platform
) -> None:
    if platform.process is None:
        pytest.skip("the platform is somebody else's, and has no broker for what is live")
    waiting = deploy(client, name, 1, "live", "awaiting_approval")
    asked = opened(desk_page, f"/deployments/{waiting}")
    page = opened(page_as("risk_manager"), f"/deployments/{waiting}")
    dialog = dialog_of(page, "Approve")
    dialog.get_by_role("button", name="Approve it").click()
    for each in (page, asked):
        expect(each.locator("#state .badge").first).to_have_text("active")
    assert status_of(client, waiting) == "active"


def test_deployment_of_somebody_else_comes_into_an_open_list(desk_page: Page, name: str, client: httpx.Client) -> None:
    page = opened(desk_page, f"/strategies/{name}")
    expect(page.get_by_text("There is no such deployment")).to_be_visible()
    deployment_id = deploy(client, name, 1)
    expect(page.locator(".deployment")).to_contain_text(deployment_id)
    expect(page.locator(".deployment .badge").first).to_have_text("active")
    expect(page.locator('[data-version="1"]')).to_contain_text(f"runs on {name}")


def test_answer_that_comes_late_does_not_take_back_what_was_chosen(desk_page: Page, name: str) -> None:
    """The list is asked for by itself, the answer is held up, and somebody chooses meanwhile."""
    page = opened(desk_page, "/strategies")
    desk_page.wait_for_load_state("networkidle")
    held: list[Route] = []
    page.route("**/strategies?status=current*", lambda route: held.append(route))
    page.evaluate("document.getElementById('deployments').dispatchEvent(new Event('nautilus:refresh'))")
    wait_until(lambda: bool(page.evaluate("true") and held), 10, "the list to be asked for")
    page.get_by_label("Show").select_option("failed")
    expect(page.locator("#deployments-status option[selected]")).to_have_attribute("value", "failed")
    with suppress(BrowserError):  # nobody waits for it any more
        held[0].continue_()
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)
    expect(page.get_by_label("Show")).to_have_value("failed")


def test_history_is_verified_and_what_is_wrong_is_named(desk_page: Page, name: str, platform: Platform) -> None:
    page = opened(desk_page, f"/strategies/{name}")
    assert verified(page, name) == "All 2 versions are what their hashes say."
    set_message(platform, name, "forged")
    assert verified(page, name) == "1 problem in 2 versions."
    expect(page.locator("#verified li")).to_contain_text(["Version 2 is named"])
    set_message(platform, name, "gross 0.5")


def verified(page: Page, name: str) -> str:
    dialog_of(page, "Verify history").get_by_role("button", name="Verify", exact=True).click()
    found = page.get_by_role("dialog", name=f"History of {name}")
    expect(found).to_be_visible()
    said = found.locator("[data-verdict]").inner_text()
    found.get_by_role("button", name="Close").click()
    return said


def set_message(platform: Platform, name: str, message: str) -> None:
    """Of version 2, as a bad disk would: past the triggers that let nobody change a version."""
    change = f"UPDATE strategy_versions SET message = '{message}' WHERE strategy_id = '{name}' AND version = 2"
    platform.run(f"SET session_replication_role = replica; {change}")


def test_what_is_stuck_is_cleared_by_an_operator(page_as: PageAs, name: str, client: httpx.Client) -> None:
    page = opened(page_as("operator", desks=()), "/strategies")
    dialog = dialog_of(page, "Clear stuck deployments")
    expect(dialog.get_by_label("On their way for more than, minutes")).to_have_value("30")
    dialog.get_by_role("button", name="Clear them").click()
    expect(page.locator("#messages")).to_contain_text("No deployment has been on its way for so long.")


def test_what_is_refused_is_said_in_the_dialog(desk_page: Page, name: str, client: httpx.Client, watch) -> None:
    deploy(client, name, 1)
    page = opened(desk_page, f"/strategies/{name}")
    dialog = dialog_of(page, "Deploy")
    dialog.get_by_label("Portfolio", exact=True).select_option(name)
    dialog.get_by_label("Environment").select_option("live")
    watch.expect(409)
    dialog.get_by_role("button", name="Deploy it").click()
    expect(dialog.get_by_role("alert")).to_contain_text("it cannot be 'live' as well")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Deploy", exact=True)).to_be_focused()


def test_viewer_reads_and_is_offered_nothing(page_as: PageAs, name: str) -> None:
    page = opened(page_as("viewer"), f"/strategies/{name}")
    expect(page.get_by_role("link", name="Version 1", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="New version")).to_have_count(0)
    expect(page.get_by_role("button", name="Deploy", exact=True)).to_have_count(0)
    opened(page, "/deployments/DEPLOY_001")
    expect(page.get_by_role("button", name="Roll back")).to_have_count(0)


def test_operator_rolls_back_by_force_without_reading_the_book(
    page_as: PageAs, name: str, client: httpx.Client
) -> None:
    deploy(client, name, 1)
    now = deploy(client, name, 2)
    page = opened(page_as("operator", desks=()), "/strategies")
    dialog = dialog_of(page, f"Roll back {now}")
    expect(dialog.get_by_label("With force")).to_be_checked()
    expect(dialog.get_by_label("With force")).to_be_disabled()
    dialog.get_by_label("Reason").fill("The desk asks for it")
    dialog.get_by_role("button", name="Roll it back").click()
    expect(page.locator("#messages")).to_contain_text("is on its way")
    wait_until(lambda: status_of(client, now) == "rolled_back", 30, f"{now} to be rolled back")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_read_on_a_phone_and_by_screen_readers(
    open_page: PageAs, desk_state: Any, name: str, client: httpx.Client, scheme: str
) -> None:
    for gross in (0.25, 0.75):
        version(client, name, 1, gross)
    merge = client.get(f"{STRATEGY}/versions/{name}/merge-requests").json()["results"][0]["merge_request_id"]
    page = open_page(storage_state=desk_state, color_scheme=scheme, viewport=PHONE)
    for path in (f"/strategies/{name}", f"/strategies/{name}?version=1", f"/strategies/{name}/merge-requests/{merge}"):
        opened(page, path)
        assert too_wide(page) <= 0, path
        assert axe.faults(page) == [], path
