"""Limits and alerts in a browser: limits set and changed, alerts acknowledged, channels tried, trading halted."""

import re
import secrets
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser_pages.conftest import PageAs
from tests.browser_pages.furnishing import RISK
from tests.browser_pages.walked import BOOK
from tests.browser_pages.watching import Watch

DESK = "LIMITS_DESK"
SOON_MS = 60_000  # the monitor looks every 5 s


@pytest.fixture
def desk(client: httpx.Client) -> str:
    """A portfolio of these tests alone, without limits and channels."""
    terms = {"name": "Of the page of limits", "base_currency": "USD", "initial_cash": 1_000_000}
    answer = client.post("/api/v1/portfolios", json={"id": DESK, "inception_date": "2022-01-03", **terms})
    assert answer.status_code in (201, 409), answer.text
    for limit in client.get(f"{RISK}/limits", params={"portfolio_id": DESK}).json()["results"]:
        client.request("DELETE", f"{RISK}/limits/{limit['id']}", json={"reason": "a test begins"})
    for channel in client.get(f"{RISK}/alerts/{DESK}").json()["channels"]:
        client.delete(f"{RISK}/alerts/{DESK}/channels/{channel['id']}")
    return DESK


@pytest.fixture
def trading(client: httpx.Client) -> Iterator[None]:
    """Goes on afterwards, and so does monitoring."""
    yield
    client.post(f"{RISK}/halt", json={"trading_state": "active", "reason": "the test is over"})
    client.post(f"{RISK}/monitoring/start")


def make_limit(client: httpx.Client, kind: str, threshold: float, portfolio: str = DESK) -> int:
    answer = client.post(f"{RISK}/limits", json={"portfolio_id": portfolio, "kind": kind, "threshold_value": threshold})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def row(page: Page, limit_id: int) -> Locator:
    return page.locator(f"tr[data-limit='{limit_id}']")


def opened(page: Page, name: str) -> Locator:
    dialog = page.get_by_role("dialog", name=name)
    expect(dialog).to_be_visible()
    return dialog


def test_limit_is_set_changed_read_up_on_and_deleted(desk_page: Page, desk: str, client: httpx.Client) -> None:
    desk_page.goto(f"/limits?portfolio_id={desk}")
    expect(desk_page.get_by_text("No limit is of this choice.")).to_be_visible()
    desk_page.get_by_role("button", name="New limit").click()
    form = opened(desk_page, "Limit")
    expect(form.get_by_label("Portfolio")).to_have_value(desk)
    form.get_by_label("Kind").select_option("leverage")
    expect(form.get_by_text("as a ratio")).to_be_visible()
    expect(form.get_by_label("Symbol")).to_be_hidden()
    form.get_by_label("Threshold").fill("1.5")
    form.get_by_label("Reason").fill("a new desk")
    form.get_by_role("button", name="Set the limit").click()
    expect(form).to_be_hidden()
    made = desk_page.locator("tr[data-limit]")
    expect(made).to_contain_text("warns above 1.20")

    made.get_by_role("button", name="Change").click()
    form = opened(desk_page, "Limit")
    form.get_by_label("Threshold").fill("1.25")
    form.get_by_label("Reason").fill("quarter end")
    form.get_by_role("button", name="Change").click()
    expect(form).to_be_hidden()
    expect(made).to_contain_text("warns above 1.00")

    made.get_by_role("button", name="History").click()
    past = opened(desk_page, "History of a limit")
    expect(past.get_by_text("quarter end")).to_be_visible()
    expect(past.get_by_text("a new desk")).to_be_visible()
    past.get_by_role("button", name="Close").click()

    made.get_by_role("button", name="Delete").click()
    question = opened(desk_page, re.compile("Delete limit"))
    question.get_by_label("Reason").fill("no use")
    question.get_by_role("button", name="Delete it").click()
    expect(desk_page.get_by_text("No limit is of this choice.")).to_be_visible()
    assert client.get(f"{RISK}/limits", params={"portfolio_id": desk}).json()["count"] == 0


def test_what_the_server_refuses_is_said_in_the_form(desk_page: Page, desk: str, watch: Watch) -> None:
    watch.expect(400)
    desk_page.goto(f"/limits?portfolio_id={desk}")
    desk_page.get_by_role("button", name="New limit").click()
    form = opened(desk_page, "Limit")
    form.get_by_label("Threshold").fill("100")
    form.get_by_label("Warns above").fill("200")
    form.get_by_label("Reason").fill("a slip")
    form.get_by_role("button", name="Set the limit").click()
    expect(form.get_by_role("alert")).to_contain_text("200.0 is no warning threshold of a limit at 100.0")
    expect(form.get_by_label("Warns above")).to_be_focused()
    expect(form.get_by_label("Warns above")).to_have_attribute("aria-invalid", "true")


def test_filters_narrow_the_list_and_stand_in_the_address(desk_page: Page, desk: str, client: httpx.Client) -> None:
    leverage, exposure = make_limit(client, "leverage", 2), make_limit(client, "gross_exposure", 1e6)
    desk_page.goto("/limits")
    desk_page.get_by_label("Portfolio").select_option(desk)
    expect(row(desk_page, leverage)).to_be_visible()
    desk_page.get_by_label("Kind").select_option("gross_exposure")
    expect(row(desk_page, leverage)).to_be_hidden()
    expect(desk_page).to_have_url(re.compile(rf"\?view=limits&portfolio_id={desk}&kind=gross_exposure$"))
    desk_page.reload()
    expect(row(desk_page, exposure)).to_be_visible()
    expect(row(desk_page, leverage)).to_have_count(0)
    desk_page.get_by_role("link", name="Used").click()
    expect(desk_page.get_by_role("columnheader", name="Used")).to_have_attribute("aria-sort", "descending")


def test_limit_that_somebody_else_sets_appears_without_a_reload(
    desk_page: Page, desk: str, client: httpx.Client
) -> None:
    desk_page.goto(f"/limits?portfolio_id={desk}")
    expect(desk_page.locator("#connection")).to_have_text("Live")
    limit_id = make_limit(client, "leverage", 3)
    expect(row(desk_page, limit_id)).to_be_visible()
    expect(row(desk_page, limit_id).locator(".badge.good", has_text="ok")).to_be_visible(timeout=SOON_MS)


def test_dialog_is_used_by_keyboard(desk_page: Page, desk: str, client: httpx.Client) -> None:
    limit_id = make_limit(client, "leverage", 2)
    desk_page.goto(f"/limits?portfolio_id={desk}")
    button = row(desk_page, limit_id).get_by_role("button", name="History")
    button.press("Enter")
    past = opened(desk_page, "History of a limit")
    desk_page.keyboard.press("Escape")
    expect(past).to_be_hidden()
    expect(button).to_be_focused()


def test_monitoring_is_stopped_and_started(desk_page: Page, trading: None) -> None:
    desk_page.goto("/limits")
    desk_page.get_by_role("button", name="Stop monitoring").click()
    opened(desk_page, "Stop monitoring?").get_by_role("button", name="Stop monitoring").click()
    standing = desk_page.locator("#standing")
    expect(standing.locator(".badge.bad", has_text="stopped")).to_be_visible()
    standing.get_by_role("button", name="Start monitoring").click()
    expect(standing.locator(".badge.good", has_text="running")).to_be_visible(timeout=SOON_MS)


def test_all_trading_is_halted_with_a_reason(desk_page: Page, client: httpx.Client, trading: None) -> None:
    desk_page.goto("/limits")
    desk_page.get_by_role("button", name="Halt all trading").click()
    question = opened(desk_page, "Halt all trading?")
    question.get_by_label("Reason").fill("fat finger on the desk")
    question.get_by_role("button", name="Halt all trading").click()
    standing = desk_page.locator("#standing")
    expect(standing.locator(".badge.bad", has_text="halted")).to_be_visible()
    expect(standing).to_contain_text("fat finger on the desk")
    told = client.get(f"{RISK}/halt").json()
    assert (told["trading_state"], told["reason"]) == ("halted", "fat finger on the desk")
    standing.get_by_role("button", name="Let trading go on").click()
    question = opened(desk_page, "Let trading go on?")
    question.get_by_label("Reason").fill("found it")
    question.get_by_role("button", name="Let trading go on").click()
    expect(standing.locator(".badge.good", has_text="active")).to_be_visible()


def test_alert_comes_by_itself_and_is_acknowledged(desk_page: Page, client: httpx.Client) -> None:
    desk_page.goto(f"/limits?view=alerts&portfolio_id={BOOK}")
    expect(desk_page.locator("#connection")).to_have_text("Live")
    threshold = 1_000 + secrets.randbelow(100_000) + 0.25  # no other alert names it
    limit_id = make_limit(client, "gross_exposure", threshold, BOOK)
    try:
        alert = desk_page.locator("#alerts li[data-alert]").filter(has_text=f"{threshold:.2f}")
        expect(alert).to_be_visible(timeout=SOON_MS)
        expect(desk_page.locator("#news")).to_contain_text("New alert")
        alert.get_by_role("button", name="Acknowledge").click()
        expect(alert).to_contain_text("Acknowledged by admin")
        expect(alert.get_by_role("button", name="Acknowledge")).to_have_count(0)
    finally:
        client.delete(f"{RISK}/limits/{limit_id}")


def test_channel_is_added_tried_switched_off_and_deleted(desk_page: Page, desk: str) -> None:
    desk_page.goto(f"/limits?view=channels&portfolio_id={desk}")
    expect(desk_page.get_by_text("Nobody is told of this portfolio's alerts")).to_be_visible()
    desk_page.get_by_role("button", name="Add a channel").click()
    form = opened(desk_page, "Channel")
    expect(form.get_by_label("Secret")).to_be_hidden()
    form.get_by_label("Target").fill("desk@example.com")
    form.get_by_role("button", name="Add").click()
    channel = desk_page.locator("li[data-channel]").filter(has_text="desk@example.com")
    expect(channel).to_contain_text("warning and above, at once")

    desk_page.get_by_role("button", name="Send a test message").click()
    said = opened(desk_page, f"Test message for {desk}")
    expect(said.get_by_text("email desk@example.com")).to_be_visible()
    expect(said.get_by_text(f"WebSocket risk:alerts:{desk}")).to_be_visible()
    said.get_by_role("button", name="Close").click()

    channel.get_by_role("button", name="Switch off").click()
    expect(channel.get_by_text("switched off")).to_be_visible()
    channel.get_by_role("button", name="Delete").click()
    opened(desk_page, "Delete this channel?").get_by_role("button", name="Delete it").click()
    expect(channel).to_have_count(0)


def test_secret_of_a_webhook_is_shown_once(desk_page: Page, desk: str) -> None:
    desk_page.goto(f"/limits?view=channels&portfolio_id={desk}")
    desk_page.get_by_role("button", name="Add a channel").click()
    form = opened(desk_page, "Channel")
    form.get_by_label("Kind").select_option("webhook")
    form.get_by_label("Target").fill("https://93.184.216.34/hook")
    form.get_by_label("Switched on").uncheck()
    form.get_by_role("button", name="Add").click()
    shown = opened(desk_page, "The secret of this webhook")
    assert len(shown.locator("code").inner_text()) >= 32
    shown.get_by_role("button", name="Close").click()
    expect(desk_page.locator("li[data-channel]").get_by_text("switched off")).to_be_visible()


@pytest.mark.parametrize("view", ["limits", "alerts", "channels"])
def test_viewer_reads_and_changes_nothing(page_as: PageAs, furnished: None, view: str) -> None:
    page = page_as("viewer")
    page.goto(f"/limits?view={view}")
    expect(page.locator("#standing")).to_contain_text("Limits in force")
    expect(page.locator("button[data-action]:visible")).to_have_count(0)
