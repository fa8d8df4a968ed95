"""A portfolio's limits, positions, trades and what-if form in a browser: as one types, and as news come."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser_pages import axe
from tests.browser_pages.conftest import PageAs
from tests.browser_pages.test_accessibility import too_wide
from tests.browser_pages.walked import PHONE
from tests.running import Platform, wait_until

LAST_DAY = "2022-12-28T21:00:00Z"
HELD = {"AAPL": 100, "MSFT": -40, "XOM": 10}
LIMITS = "/api/v1/sprint3/risk/limits"
SETTLED_MILLISECONDS = 3_000  # a page that begins to follow its topics asks for its cards once more


@pytest.fixture
def book(client: httpx.Client) -> Iterator[str]:
    """A portfolio of the test's own, which holds three of the sample's symbols; closed when the test is over."""
    book = f"BOOK_{secrets.token_hex(4)}"
    terms = {"id": book, "name": "A book of a test", "base_currency": "USD", "initial_cash": 1_000_000}
    posted(client, "/api/v1/portfolios", {**terms, "inception_date": "2022-01-03"})
    for symbol, quantity in HELD.items():
        trade(client, book, symbol, quantity)
    yield book
    client.delete(f"/api/v1/portfolios/{book}")


def posted(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(path, json=body)
    assert answer.is_success, answer.text
    said: dict[str, Any] = answer.json()
    return said


def trade(client: httpx.Client, book: str, symbol: str, quantity: int) -> None:
    fields = {"symbol": symbol, "quantity": quantity, "price": 100, "traded_at": LAST_DAY}
    posted(client, f"/api/v1/portfolios/{book}/trades", fields)


def limit(client: httpx.Client, book: str, kind: str, threshold: float, **terms: Any) -> int:
    made = posted(client, LIMITS, {"portfolio_id": book, "kind": kind, "threshold_value": threshold, **terms})
    return int(made["id"])


def close(client: httpx.Client, symbol: str, price: float) -> None:
    content = f"date,symbol,close\n{LAST_DAY[:10]},{symbol},{price!r}\n"
    said = client.post("/api/v1/market-data/import", content=content, headers={"Content-Type": "text/csv"}).json()
    task = client.get(said["status_url"], params={"wait": 30}).json()
    assert task["status"] == "succeeded", task


def monitored(platform: Platform) -> None:
    """Until the monitor has made a whole run that began after now."""
    [[now]] = platform.query("SELECT now()")
    ran = "SELECT last_run_at > %s FROM risk_monitor"
    wait_until(lambda: platform.query(ran, now)[0][0], 60, "the monitor to run")


def opened(page: Page, book: str) -> Page:
    page.goto(f"/portfolios/{book}")
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    return page


def symbols(page: Page) -> list[str]:
    return page.locator("tr[data-symbol] th").all_inner_texts()


def test_headings_sort_by_keyboard_and_keep_the_focus(desk_page: Page, book: str) -> None:
    page = opened(desk_page, book)
    assert symbols(page)[-1] == "MSFT"  # sold short: the smallest value
    heading = page.locator("#positions-by-quantity")
    heading.focus()
    page.keyboard.press("Enter")
    expect(page.locator("th[aria-sort=descending]")).to_have_text("Quantity")
    assert symbols(page) == ["AAPL", "XOM", "MSFT"]
    expect(heading).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("Quantity")
    assert symbols(page) == ["MSFT", "XOM", "AAPL"]
    expect(page.locator("#positions-said")).to_contain_text("by quantity, smallest first")


def test_filter_answers_as_one_types_and_keeps_the_order(desk_page: Page, book: str) -> None:
    page = opened(desk_page, book)
    page.locator("#positions-by-symbol").click()
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("Symbol")
    page.locator("#positions-symbol").press_sequentially("m")
    expect(page.locator("tr[data-symbol]")).to_have_count(2)
    assert symbols(page) == ["MSFT", "XOM"]
    page.locator("#positions-symbol").fill("no such")
    expect(page.locator("#positions-table")).to_contain_text("No position's symbol has that in it.")
    page.locator("#positions-symbol").fill("")
    expect(page.locator("tr[data-symbol]")).to_have_count(3)
    assert symbols(page) == ["AAPL", "MSFT", "XOM"]


def test_booked_trade_appears_by_itself(desk_page: Page, book: str, client: httpx.Client) -> None:
    page = opened(desk_page, book)
    expect(page.locator("tr[data-trade]")).to_have_count(3)
    trade(client, book, "AMD", 7)
    expect(page.locator("tr[data-trade]")).to_have_count(4)
    expect(page.locator("tr[data-symbol]")).to_have_count(4)


def test_live_price_appears_by_itself_and_ages(desk_page: Page, book: str, client: httpx.Client) -> None:
    page = opened(desk_page, book)
    ahead = datetime.now(UTC) + timedelta(seconds=40)  # of whoever else sends quotes of it
    quote = {"symbol": "AAPL", "price": 131.5, "timestamp": ahead.isoformat()}
    posted(client, "/api/v1/market-data/quotes", {"quotes": [quote]})
    row = page.locator("tr[data-symbol=AAPL]")
    expect(row.locator("[data-live]")).to_have_text("131.50")
    expect(row.locator("[data-live-change]")).to_contain_text("%")
    expect(row.locator("[data-live-age].is-stale")).to_be_visible()  # once no other has come for some seconds


def test_corrected_close_changes_the_rows_and_has_the_results_asked_for_anew(
    desk_page: Page, book: str, client: httpx.Client, platform: Platform
) -> None:
    """By the first word of the monitor that the page hears: it tells what changed, and nothing else."""
    symbol = f"OWN_{secrets.token_hex(4)}"
    close(client, symbol, 100.0)
    trade(client, book, symbol, 7)
    monitored(platform)
    asked: set[str] = set()
    desk_page.on("request", lambda request: asked.add(request.headers.get("hx-target", "")))
    page = opened(desk_page, book)
    row = page.locator(f"tr[data-symbol={symbol}]")
    expect(row).to_have_attribute("data-close", "100.0")
    page.wait_for_timeout(SETTLED_MILLISECONDS)
    asked.clear()
    close(client, symbol, 150.0)
    expect(row).to_have_attribute("data-close", "150.0")
    expect(row).to_contain_text("1,050")
    results = {"components", "scenarios", "stress", "backtest"}
    wait_until(lambda: page.evaluate("1") and asked >= results, 10, "the results to be asked for anew")


def test_limit_appears_by_itself_with_what_is_used(desk_page: Page, book: str, client: httpx.Client) -> None:
    page = opened(desk_page, book)
    expect(page.locator("#limits-shown")).to_contain_text("No limit is in force")
    made = limit(client, book, "gross_exposure", 10_000)
    card = page.locator(f"[data-limit='{made}']")
    expect(card.locator(".badge").first).to_have_text("breach")
    expect(card.locator(".gauge.bad")).to_be_visible()
    expect(card).to_contain_text("10,000 USD")
    page.get_by_role("link", name="Limits and alerts of this portfolio").click()
    page.wait_for_url(f"**/limits?portfolio_id={book}")


def test_what_if_answers_as_one_types(desk_page: Page, book: str, client: httpx.Client) -> None:
    limit(client, book, "order_quantity", 500)
    limit(client, book, "leverage", 2, action="warn")
    page = opened(desk_page, book)
    page.locator("#whatif-symbol").press_sequentially("aapl")
    page.locator("#whatif-quantity").press_sequentially("100")
    answer = page.locator("#whatif-answer")
    expect(answer).to_contain_text("Approved Buy 100 AAPL at ")
    expect(answer).to_contain_text("nothing is reserved")
    rows = page.locator("#whatif-checks tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="Leverage")).to_contain_text("ok, warns only")
    page.locator("#whatif-quantity").press_sequentially("0")
    expect(answer).to_contain_text("Refused Buy 1,000 AAPL at ")
    expect(page.locator("#whatif-reasons")).to_contain_text(
        "order_quantity of AAPL would be 1000, above its limit of 500"
    )
    page.locator("#whatif-side").select_option("sell")
    expect(answer).to_contain_text("Sell 1,000 AAPL at ")
    assert not (found := axe.faults(page)), "\n".join(found)


def test_what_if_says_the_servers_words_of_what_cannot_be_asked(desk_page: Page, book: str, watch: Any) -> None:
    watch.expect(400)
    page = opened(desk_page, book)
    page.locator("#whatif-symbol").fill("AAPL")
    page.locator("#whatif-quantity").fill("0.123456789")
    expect(page.locator("#whatif-verdict")).to_contain_text("more than 8 decimal places")
    page.locator("#whatif-quantity").fill("")
    expect(page.locator("#whatif-verdict")).to_contain_text("Type a symbol and a quantity")


def test_what_if_gives_up_the_question_before(desk_page: Page, book: str) -> None:
    """Answers come for what stands in the form, however slow an earlier one is."""
    page = opened(desk_page, book)
    asked: list[str] = []
    page.on("request", lambda request: "pre-trade-check" in request.url and asked.append(request.post_data or ""))
    page.locator("#whatif-symbol").fill("AAPL")
    page.locator("#whatif-quantity").press_sequentially("12345", delay=20)
    expect(page.locator("#whatif-answer")).to_contain_text("12,345 AAPL")
    assert len(asked) < 5, asked
    assert '"reserve":false' in asked[-1]


def test_hints_are_what_is_held(desk_page: Page, book: str) -> None:
    page = opened(desk_page, book)
    options = page.locator("#whatif-symbols option")
    expect(options).to_have_count(3)
    page.locator("#whatif-symbol").press_sequentially("xo")
    expect(options).to_have_count(1)
    expect(options).to_have_attribute("value", "XOM")


def test_viewer_is_shown_no_what_if(page_as: PageAs) -> None:
    page = page_as("viewer")
    page.goto("/portfolios/PORTFOLIO_001")
    expect(page.locator("#positions-table table")).to_be_visible()
    expect(page.locator("#whatif-form")).to_have_count(0)


def test_book_fits_a_phone(open_page: PageAs, desk_state: dict, book: str, client: httpx.Client) -> None:
    limit(client, book, "gross_exposure", 10_000)
    page = opened(open_page(storage_state=desk_state, viewport=PHONE, has_touch=True, is_mobile=True), book)
    page.locator("#whatif-symbol").fill("AAPL")
    page.locator("#whatif-quantity").fill("100")
    expect(page.locator("#whatif-checks tbody tr")).to_have_count(1)
    assert too_wide(page) <= 0
