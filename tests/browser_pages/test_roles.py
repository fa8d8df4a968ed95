"""Signing in and out, and what each role is shown of the frame: a page's own tests say what stands on the page."""

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser_pages.conftest import PageAs
from tests.browser_pages.walked import BOOK, PAGES
from tests.browser_pages.watching import Watch
from tests.running import Platform

READERS_PAGES = ["Overview", "Portfolio", "Performance", "Limits and alerts", "Strategies", "Tasks", "Operations"]
OF_STANDING = ("Stop monitoring", "Halt all trading", "Let it only reduce")
OF_LIMITS = ("New limit", "Change", "Delete", "Approve", "Reject")
OF_CHANNELS = ("Send a test message", "Add a channel", "Switch off", "Change", "Delete")
OF_SERVERS = ("Restart the streaming engines", "Restart the sockets", "Enable the aggressive mode", "Clear")
# What changes something is a button: page by page, and which role is offered it.
OFFERED: dict[str, dict[str, tuple[str, ...]]] = {
    "overview": {"risk_manager": ("Acknowledge",)},
    "portfolio": {"trader": ("Analyze", "Stress", "Backtest", "Compute performance")},
    "performance": {"trader": ("Compute performance",)},
    "limits": {"risk_manager": OF_STANDING + OF_LIMITS},
    "alerts": {"risk_manager": (*OF_STANDING, "Acknowledge")},
    "channels": {"risk_manager": OF_STANDING + OF_CHANNELS},
    "strategies": {"strategist": ("New strategy",), "operator": ("Clear stuck deployments", "Roll back")},
    "strategy": {"strategist": ("Verify history", "New version", "Deploy")},
    "merge-request": {"strategist": ("Resolve by hand", "Take version N as a whole")},
    "deployment": {},
    "operations": {"operator": ("Stop monitoring", *OF_SERVERS)},
}
WEIGHTY = {name for roles in OFFERED.values() for names in roles.values() for name in names}
# Where a role has more than a viewer has, or might be taken to have it.
LOOKED_AT = {
    "viewer": tuple(OFFERED),
    "trader": ("portfolio", "performance", "limits"),
    "risk_manager": ("overview", "portfolio", "limits", "alerts", "channels"),
    "strategist": ("limits", "strategies", "strategy", "merge-request"),
    "operator": ("strategies", "operations"),
}
WAITING = "Waits for whoever may acknowledge it"
ALERT = """
INSERT INTO risk_events (portfolio_id, event_type, severity, kind, symbol, message, timestamp, published_at)
VALUES (%s, 'strategy_rolled_back', 'warning', '', '', %s, now(), now())
"""
CHANGE = """
INSERT INTO risk_limit_changes (limit_id, limit_name, changes, deletes, reason, status, requested_at)
SELECT id, kind, '{}', true, '', 'pending', now() FROM risk_limits WHERE portfolio_id = %s ORDER BY id LIMIT 1
"""


def entries(page: Page) -> list[str]:
    links = page.get_by_role("navigation", name="Pages").get_by_role("link")
    return [text.strip() for text in links.all_inner_texts()]


def test_stranger_is_led_to_the_sign_in_page_and_back_to_what_was_asked_for(open_page: PageAs) -> None:
    page = open_page()
    page.goto(f"/portfolios/{BOOK}")
    expect(page).to_have_url(re.compile(r"/sign-in\?next="))
    expect(page.get_by_label("User name")).to_be_visible()


def test_wrong_password_is_said(open_page: PageAs) -> None:
    page = open_page()
    page.goto("/sign-in")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("No user has this name and this password")
    expect(page.get_by_label("User name")).to_have_value("admin")


def test_whose_session_has_ended_signs_in_and_is_where_they_were(page_as: PageAs, watch: Watch) -> None:
    page = page_as("risk_manager", shared=False)
    page.goto("/limits?view=channels")
    expect(page.locator("#connection")).to_have_text("Live")
    page.context.clear_cookies()
    watch.expect(401)
    page.get_by_role("button", name="Stop monitoring").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop monitoring").click()
    page.wait_for_url("**/sign-in?next=%2Flimits%3Fview%3Dchannels")


def test_who_signs_out_is_signed_out(page_as: PageAs) -> None:
    page = page_as("viewer", shared=False)
    page.goto("/tasks")
    page.locator("details.menu summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    page.go_back()
    expect(page.get_by_label("User name")).to_be_visible()


@pytest.mark.parametrize("role", ["viewer", "trader", "risk_manager", "strategist"])
def test_who_reads_books_has_every_page(page_as: PageAs, role: str) -> None:
    page = page_as(role)
    page.goto("/")
    assert entries(page) == READERS_PAGES


def test_operator_runs_the_system_and_reads_no_book(page_as: PageAs, watch) -> None:
    page = page_as("operator", shared=False)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Operations")
    assert entries(page) == ["Strategies", "Tasks", "Operations"]
    watch.expect(403, 404)
    assert page.goto("/limits").status == 403
    expect(page.get_by_role("heading", level=1)).to_contain_text("403")
    assert page.goto(f"/portfolios/{BOOK}").status in (403, 404)


def test_portfolio_of_another_desk_is_not_there(page_as: PageAs, watch) -> None:
    page = page_as("viewer", desks=())
    page.goto("/")
    expect(page.get_by_text("There is no portfolio that you may see.")).to_be_visible()
    watch.expect(404)
    assert page.goto(f"/portfolios/{BOOK}").status == 404


@pytest.fixture(scope="module")
def decisions(furnished: None, platform: Platform) -> Iterator[None]:
    """An alert waits to be acknowledged, and a limit's change for a second person."""
    platform.run(ALERT, BOOK, WAITING)
    platform.run(CHANGE, BOOK)
    yield
    platform.run("UPDATE risk_events SET acknowledged_at = now(), closed_at = now() WHERE message = %s", WAITING)
    platform.run("DELETE FROM risk_limit_changes WHERE requested_by_id IS NULL")


@pytest.mark.parametrize("role", LOOKED_AT)
def test_role_is_offered_what_the_api_allows_and_nothing_else(
    page_as: PageAs, decisions: None, client: httpx.Client, role: str
) -> None:
    page = page_as(role)
    addresses = {walked.name: walked.address(client) for walked in PAGES if walked.name in LOOKED_AT[role]}
    for name, address in addresses.items():
        page.goto(address, wait_until="networkidle")
        expect(page.get_by_role("heading", level=1)).not_to_be_empty()
        assert offered(page) == set(OFFERED[name].get(role, ())), name


def offered(page: Page) -> set[str]:
    """By its first words: what it is done to follows for those who do not see it. Dialogs are opened by a button."""
    buttons = page.locator("main button:not([hidden], dialog *)")
    words = buttons.evaluate_all("all => all.map(({ firstChild }) => firstChild.textContent.trim())")
    return {re.sub(r"\d+", "N", each) for each in words} & WEIGHTY


@pytest.mark.parametrize("walked", PAGES, ids=lambda walked: walked.name)
def test_pages_of_a_viewer_without_a_portfolio_say_what_is_missing(
    page_as: PageAs, furnished, walked, client, watch
) -> None:
    page = page_as("viewer", desks=())
    watch.expect(404)
    page.goto(walked.address(client))
    expect(page.get_by_role("heading", level=1)).not_to_be_empty()
    assert len(page.locator("main").inner_text()) > 30
