"""A portfolio's page in a browser: jobs from click to result, cards that come anew, live figures."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from apps.dashboard.templatetags.figures import MINUS
from tests.browser_pages.watching import Watch
from tests.running import Platform

PORTFOLIO = "PORTFOLIO_001"
PATH = f"/portfolios/{PORTFOLIO}"
HALT = "/api/v1/sprint3/risk/halt"
JOB_MILLISECONDS = 120_000

PageAs = Callable[..., Page]


def card(page: Page, heading: str) -> Locator:
    return page.get_by_role("region", name=heading, exact=True)


def job(page: Page, name: str) -> Locator:
    return page.get_by_role("form", name=name, exact=True)


def mark(page: Page) -> None:
    """What a reload would take away."""
    page.evaluate("window.notReloaded = true")


def is_marked(page: Page) -> bool:
    return bool(page.evaluate("window.notReloaded === true"))


def painted(page: Page, canvas: str) -> bool:
    """Whether anything is drawn on it."""
    look = """id => { const c = document.getElementById(id);
      return c.width > 0 && c.getContext("2d").getImageData(0, 0, c.width, c.height).data.some(Boolean); }"""
    return bool(page.evaluate(look, canvas))


def test_analysis_from_click_to_drawn_result(desk_page: Page) -> None:
    desk_page.goto(PATH)
    mark(desk_page)
    form = job(desk_page, "Analysis")
    form.get_by_label("Method").select_option("Parametric")
    form.get_by_label("Distribution").select_option("Student t")
    form.get_by_label("Confidence, %").fill("97.5")
    form.get_by_role("button", name="Analyze").click()
    expect(form.get_by_text(re.compile(r"^VaR [\d,]+ USD, expected shortfall"))).to_be_visible(timeout=JOB_MILLISECONDS)
    components = card(desk_page, "Components of VaR")
    expect(components.get_by_text(re.compile(r"Parametric, 97.5 %, 1 day, 500 observations: VaR"))).to_be_visible()
    expect(components.get_by_role("img")).to_be_visible()
    assert painted(desk_page, "components-chart")
    expect(card(desk_page, "Scenarios").get_by_text("through 500 scenarios")).to_be_visible()
    assert painted(desk_page, "scenarios-chart")
    assert is_marked(desk_page)


def test_distribution_is_asked_for_where_a_method_has_one(desk_page: Page) -> None:
    desk_page.goto(PATH)
    form = job(desk_page, "Analysis")
    expect(form.get_by_label("Distribution")).to_be_hidden()
    form.get_by_label("Method").select_option("Monte Carlo")
    expect(form.get_by_label("Distribution")).to_be_visible()


def test_backtest_by_two_methods_shows_both_and_their_exceptions(desk_page: Page) -> None:
    desk_page.goto(PATH)
    form = job(desk_page, "Backtest")
    form.get_by_label("Parametric").check()
    form.get_by_label("Confidence, %").fill("95")
    form.get_by_role("button", name="Backtest").click()
    expect(form.get_by_text(re.compile(r"250 days: .* exceptions\."))).to_be_visible(timeout=JOB_MILLISECONDS)
    shown = card(desk_page, "VaR against the P&L that came")
    expect(shown.get_by_role("row", name=re.compile("^Historical"))).to_be_visible()
    expect(shown.get_by_role("row", name=re.compile("^Parametric"))).to_be_visible()
    assert painted(desk_page, "backtest-chart")


def test_stress_test_with_a_shock_of_ones_own(desk_page: Page) -> None:
    desk_page.goto(PATH)
    form = job(desk_page, "Stress test")
    form.get_by_label("All prices, %").fill("-20")
    form.get_by_label("What loses, %").fill("10")
    form.get_by_role("button", name="Stress").click()
    shown = card(desk_page, "Stress")
    expect(shown.get_by_role("row", name=re.compile(rf"^All prices {MINUS}20.00 %"))).to_be_visible(
        timeout=JOB_MILLISECONDS
    )
    expect(shown.get_by_role("heading", name=re.compile("^What would lose"))).to_be_visible()


def test_job_that_is_refused_says_why_in_the_servers_words(desk_page: Page, watch: Watch) -> None:
    watch.expect(400)
    desk_page.goto(PATH)
    form = job(desk_page, "Analysis")
    form.get_by_label("Window, returns").fill("5")
    form.get_by_label("Horizon, days").fill("9")
    form.get_by_label("Over days").select_option("Overlapping")
    form.get_by_role("button", name="Analyze").click()
    expect(form.get_by_role("alert")).to_contain_text("9 days do not fit into a window of 5.")
    expect(form.get_by_role("button", name="Analyze")).to_be_enabled()


def test_job_can_be_cancelled(desk_page: Page) -> None:
    desk_page.goto(PATH)
    form = job(desk_page, "Backtest")
    form.get_by_label("Filtered historical").check()
    form.get_by_label("Days tested").fill("1500")
    form.get_by_role("button", name="Backtest").click()
    form.get_by_role("button", name="Cancel").click()
    expect(form.get_by_role("status")).to_have_text("Cancelled", timeout=JOB_MILLISECONDS)


def test_job_whose_cancel_was_refused_can_be_cancelled_again(
    desk_page: Page, own_platform: Platform, watch: Watch
) -> None:
    """Its worker is stopped meanwhile, so that there is time for it."""
    desk_page.goto(PATH)
    form = job(desk_page, "Analysis")
    own_platform.stop("risk-worker")
    try:
        form.get_by_label("Confidence, %").fill("91.7")
        form.get_by_role("button", name="Analyze").click()
        cancel = form.get_by_role("button", name="Cancel")
        errors = [{"code": "busy", "detail": "Not now.", "attr": None}]
        watch.expect(503)
        desk_page.route("**/api/v1/tasks/*", lambda route: refuse(route, errors))
        cancel.click()
        expect(desk_page.locator("#messages")).to_contain_text("Not now.")
        expect(cancel).to_be_enabled()
        desk_page.unroute("**/api/v1/tasks/*")
        cancel.click()
        expect(form.get_by_role("status")).to_have_text("Cancelled", timeout=JOB_MILLISECONDS)
    finally:
        own_platform.start("risk-worker")


def refuse(route: Route, errors: list[dict[str, Any]]) -> None:
    if route.request.method != "DELETE":
        return route.continue_()
    return route.fulfill(status=503, json={"type": "server_error", "errors": errors})


def test_job_goes_on_to_be_followed_after_a_reload(desk_page: Page) -> None:
    desk_page.goto(PATH)
    form = job(desk_page, "Backtest")
    form.get_by_label("Filtered historical").check()
    form.get_by_label("Days tested").fill("1501")
    form.get_by_role("button", name="Backtest").click()
    expect(form.get_by_role("button", name="Cancel")).to_be_visible()
    desk_page.reload()
    running = desk_page.get_by_role("list", name="Jobs that were started before")
    expect(running.get_by_text("Backtest, asked for")).to_be_visible()
    running.get_by_role("button", name="Cancel").first.click()
    expect(running.get_by_role("status").first).to_have_text("Cancelled", timeout=JOB_MILLISECONDS)


def test_analysis_of_somebody_else_appears_by_itself(desk_page: Page, client: httpx.Client) -> None:
    desk_page.goto(PATH)
    expect(desk_page.locator("#connection")).to_have_text("Live")
    mark(desk_page)
    asked = {"portfolio_id": PORTFOLIO, "confidence": 0.913}
    assert client.post("/api/v1/sprint3/analytics/risk/analyze", json=asked).status_code == 202
    shown = card(desk_page, "Components of VaR")
    expect(shown.get_by_text("Historical, 91.3 %")).to_be_visible(timeout=JOB_MILLISECONDS)
    assert is_marked(desk_page)


def test_range_of_the_history_is_changed_in_place_and_kept(desk_page: Page) -> None:
    desk_page.goto(PATH)
    mark(desk_page)
    shown = card(desk_page, "Value and drawdown")
    expect(shown.get_by_text(re.compile(r"253 trading days"))).to_be_visible()
    shown.get_by_role("button", name="3 months").press("Enter")
    expect(shown.get_by_text(re.compile(r"64 trading days"))).to_be_visible()
    expect(shown.get_by_role("button", name="3 months")).to_be_focused()
    expect(shown.get_by_role("button", name="3 months")).to_have_attribute("aria-pressed", "true")
    assert painted(desk_page, "value-chart")
    desk_page.evaluate("document.getElementById('value').dispatchEvent(new Event('nautilus:refresh'))")
    expect(shown.get_by_text(re.compile(r"64 trading days"))).to_be_visible()
    assert is_marked(desk_page)


def test_quote_changes_the_value_without_a_reload(desk_page: Page, client: httpx.Client) -> None:
    desk_page.goto(PATH)
    expect(desk_page.locator("#connection")).to_have_text("Live")
    mark(desk_page)
    value = desk_page.locator("#figures [data-figure=value]")
    before = value.text_content() or ""
    position = client.get(f"/api/v1/portfolios/{PORTFOLIO}/positions").json()["results"][0]
    quote = {
        "symbol": position["symbol"],
        "price": 1.05 * position["price"],
        "timestamp": datetime.now(UTC).isoformat(),
    }
    assert client.post("/api/v1/market-data/quotes", json={"quotes": [quote]}).status_code < 300
    expect(value).not_to_have_text(before)
    expect(desk_page.locator("#quoted-age")).to_have_text(re.compile(r"^\d+ s ago"))
    assert is_marked(desk_page)


def test_halt_of_all_portfolios_shows_at_once(desk_page: Page, client: httpx.Client) -> None:
    desk_page.goto(PATH)
    expect(desk_page.locator("#connection")).to_have_text("Live")
    expect(desk_page.locator("#trading-state")).to_have_text("active")
    try:
        assert client.post(HALT, json={"trading_state": "halted", "reason": "a test"}).is_success
        expect(desk_page.locator("#standing")).to_contain_text("halted of all portfolios: a test", timeout=8_000)
    finally:
        assert client.post(HALT, json={"trading_state": "active"}).is_success
    expect(desk_page.locator("#trading-state")).to_have_text("active")


def test_portfolio_is_changed_by_the_select(desk_page: Page) -> None:
    desk_page.goto("/portfolios")
    desk_page.get_by_label("Portfolio", exact=True).select_option("PORTFOLIO_002")
    expect(desk_page.get_by_role("heading", level=1)).to_contain_text("PORTFOLIO_002")
    desk_page.goto("/portfolios")
    expect(desk_page).to_have_url(re.compile("/portfolios/PORTFOLIO_002$"))


@pytest.mark.parametrize(("role", "may"), [("viewer", False), ("trader", True)])
def test_jobs_are_for_traders(page_as: PageAs, role: str, may: bool) -> None:
    page = page_as(role)
    page.goto(PATH)
    expect(card(page, "Components of VaR")).to_be_visible()
    expect(page.get_by_role("button", name="Analyze")).to_have_count(int(may))
