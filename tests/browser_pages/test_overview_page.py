"""The overview in a browser: what is drawn anew by itself, what it leaves alone, and why a figure is a dash."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser_pages.furnishing import RISK
from tests.browser_pages.test_live import LIVE_AGAIN, connection, stays_open
from tests.browser_pages.walked import BOOK

NEW = "OVERVIEW_DESK"
# The page asks for its table every 25 s.
SOON_MS = 60_000
DASH = "\N{EN DASH}"


@pytest.fixture
def trading(client: httpx.Client) -> Iterator[None]:
    """Goes on afterwards."""
    yield
    client.post(f"{RISK}/halt", json={"trading_state": "active", "reason": "the test is over"}).raise_for_status()


def refresh(page: Page, name: str) -> None:
    """Ends when the fragment has come."""
    page.evaluate(
        """(name) => new Promise((resolve) => {
          const element = document.getElementById(name);
          element.addEventListener("htmx:afterSettle", () => resolve(), { once: true });
          element.dispatchEvent(new Event("nautilus:refresh"));
        })""",
        name,
    )


def test_portfolio_comes_and_goes_by_itself(desk_page: Page, client: httpx.Client) -> None:
    client.delete(f"/api/v1/portfolios/{NEW}")
    desk_page.goto("/")
    expect(connection(desk_page)).to_have_text("Live")
    check = stays_open(desk_page)
    terms = {"base_currency": "USD", "initial_cash": 1_000_000, "inception_date": "2022-01-03"}
    client.post("/api/v1/portfolios", json={"id": NEW, "name": "Just opened", **terms}).raise_for_status()
    row = desk_page.locator(f"tr[data-portfolio={NEW}]")
    expect(row).to_contain_text("Just opened", timeout=SOON_MS)
    client.delete(f"/api/v1/portfolios/{NEW}").raise_for_status()
    expect(row).to_be_hidden(timeout=SOON_MS)
    check()


@pytest.mark.usefixtures("trading")
def test_halt_of_all_trading_shows_on_every_portfolio(desk_page: Page, client: httpx.Client) -> None:
    desk_page.goto("/")
    expect(connection(desk_page)).to_have_text("Live")
    client.post(f"{RISK}/halt", json={"trading_state": "halted", "reason": "fat finger"}).raise_for_status()
    badge = desk_page.locator(f"tr[data-portfolio={BOOK}] th .badge")
    expect(badge).to_have_text("halted")
    expect(badge).to_have_attribute("title", "halted: no trade is approved, of all portfolios: fat finger")
    expect(desk_page.locator("#news")).to_have_text(
        "New alert, critical: Trading of all portfolios is halted: fat finger"
    )
    client.post(f"{RISK}/halt", json={"trading_state": "active", "reason": "found"}).raise_for_status()
    expect(badge).to_be_hidden()


def test_focus_and_scrolling_stay_when_the_table_is_drawn_anew(desk_page: Page) -> None:
    desk_page.set_viewport_size({"width": 700, "height": 900})
    desk_page.goto("/")
    link = desk_page.locator(f"tr[data-portfolio={BOOK}] th a")
    link.focus()
    scrolled = "document.getElementById('portfolios-scroll').scrollLeft"
    desk_page.evaluate(f"{scrolled} = 40")
    before = desk_page.evaluate(scrolled)
    assert before > 0
    refresh(desk_page, "portfolios")
    expect(link).to_be_focused()
    assert desk_page.evaluate(scrolled) == before


@pytest.mark.parametrize("what", ["Prices", "Live figures", "Limits"])
def test_ages_above_the_table_are_read_anew_before_they_look_stale(desk_page: Page, what: str) -> None:
    desk_page.goto("/")
    age = desk_page.locator("#freshness div", has_text=what).locator("time")
    for _ in range(2):
        before = age.get_attribute("datetime") or ""
        expect(age).not_to_have_attribute("datetime", before, timeout=12_000)


def test_dash_says_why_and_a_figure_that_came_does_not(desk_page: Page) -> None:
    desk_page.goto("/")
    expect(connection(desk_page)).to_have_text(LIVE_AGAIN)
    age = desk_page.locator(f"tr[data-portfolio={BOOK}] time[data-age]")
    expect(age).to_contain_text("s ago", timeout=SOON_MS)
    figures = desk_page.locator("#portfolios [data-figure]")
    shown = figures.evaluate_all("all => all.map((each) => [each.textContent, each.title])")
    assert shown
    assert [each for each in shown if (each[0] == DASH) != bool(each[1])] == []


def test_figure_that_comes_takes_its_reason_away(desk_page: Page) -> None:
    """As where the page was drawn before the engine had said anything."""
    desk_page.goto("/")
    expect(connection(desk_page)).to_have_text(LIVE_AGAIN)
    value = desk_page.locator(f"tr[data-portfolio={BOOK}] [data-figure=value]")
    value.evaluate("(each) => { each.textContent = '\\u2013'; each.title = 'no price of AAPL'; }")
    expect(value).not_to_have_text(DASH, timeout=SOON_MS)
    expect(value).not_to_have_attribute("title", "no price of AAPL")
