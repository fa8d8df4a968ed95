"""The performance page in a browser: from nothing to a drawn result and a downloaded report."""

import re
import secrets
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser_pages.watching import Watch
from tests.running import wait_until

RESULT_MS = 60_000
PERFORMANCE = "/api/v1/sprint3/analytics/performance"
# What is drawn: the last value of each line.
LAST_OF_LINES = """(id) => globalThis.Chart.getChart(document.getElementById(id))?.data.datasets
  .map(({ label, data }) => [label, data[data.length - 1].y]) ?? []"""

# As a report is begun, and then somebody else's result comes.
BEGIN_REPORT_AND_DRAW_ANEW = """() => {
  globalThis.progress = document.getElementById("report-progress");
  progress.hidden = false;
  document.getElementById("report").dataset.before = "";
  document.getElementById("result").dispatchEvent(new Event("nautilus:refresh"));
}"""


@pytest.fixture
def book(client: httpx.Client) -> Iterator[str]:
    """A portfolio of its own: 1,000 AAPL through 2021 and 2022, and nothing computed. Closed afterwards."""
    portfolio_id = f"PERFORMANCE_{secrets.token_hex(3).upper()}"
    terms = {"base_currency": "USD", "initial_cash": 1_000_000, "inception_date": "2021-01-04", "benchmark": "SP500"}
    _answer(client.post("/api/v1/portfolios", json={"id": portfolio_id, "name": "A book of one share", **terms}))
    trade = {"symbol": "AAPL", "quantity": 1000, "price": 126.83, "traded_at": "2021-01-04T21:00:00Z"}
    _answer(client.post(f"/api/v1/portfolios/{portfolio_id}/trades", json=trade))
    yield portfolio_id
    assert client.delete(f"/api/v1/portfolios/{portfolio_id}").is_success


@pytest.fixture
def computed(client: httpx.Client, book: str) -> str:
    asked = {"portfolio_id": book, "start_date": "2021-01-04", "end_date": "2022-12-28"}
    task_id = _answer(client.post(PERFORMANCE, json=asked))["task_id"]
    ended = wait_until(partial(_ended, client, task_id), 60, f"task {task_id} to end")
    assert ended["status"] == "succeeded", ended
    return book


def _ended(client: httpx.Client, task_id: str) -> dict[str, Any] | None:
    task = _answer(client.get(f"/api/v1/tasks/{task_id}", params={"wait": 20}))
    return task if task["status"] != "processing" else None


def _answer(response: httpx.Response) -> dict[str, Any]:
    assert response.is_success, f"{response.request.method} {response.request.url}: {response.text}"
    answer: dict[str, Any] = response.json()
    return answer


def lines(page: Page, canvas: str) -> dict[str, float]:
    return dict(page.evaluate(LAST_OF_LINES, canvas))


def stored(client: httpx.Client, portfolio_id: str) -> dict[str, Any]:
    return _answer(client.get(f"{PERFORMANCE}/{portfolio_id}"))


def test_from_nothing_to_a_drawn_result_without_loading_the_page_anew(
    desk_page: Page, client: httpx.Client, book: str
) -> None:
    desk_page.goto(f"/performance/{book}")
    desk_page.evaluate("globalThis.sameDocument = true")
    expect(desk_page.get_by_text(f"No performance of {book} is stored yet.")).to_be_visible()
    desk_page.get_by_label("From the close of").fill("2021-06-30")
    desk_page.get_by_label("To the close of").fill("2022-06-30")
    desk_page.get_by_label("Risk-free rate").fill("0.7")
    desk_page.get_by_role("button", name="Compute it").click()
    expect(desk_page.get_by_role("heading", name="2021-06-30 to 2022-06-30")).to_be_visible(timeout=RESULT_MS)
    result = stored(client, book)
    assert (result["risk_free_rate"], result["benchmark"]) == (0.007, "SP500")
    wait_until(lambda: lines(desk_page, "growth"), 10, "the result's chart to be drawn")
    assert lines(desk_page, "growth")["Portfolio"] == pytest.approx(result["metrics"]["total_return"], abs=1e-6)
    assert desk_page.evaluate("globalThis.sameDocument"), "the page was loaded anew"


def test_period_that_cannot_be_is_refused_in_the_servers_words(desk_page: Page, watch: Watch, book: str) -> None:
    watch.expect(400)
    desk_page.goto(f"/performance/{book}")
    desk_page.get_by_label("From the close of").fill("2022-06-30")
    desk_page.get_by_label("To the close of").fill("2021-06-30")
    desk_page.get_by_role("button", name="Compute performance").click()
    expect(desk_page.get_by_role("alert")).to_contain_text("2021-06-30 is not after start_date 2022-06-30")
    expect(desk_page.get_by_role("button", name="Compute performance")).to_be_enabled()


def test_result_of_somebody_else_comes_by_itself(desk_page: Page, client: httpx.Client, computed: str) -> None:
    desk_page.goto(f"/performance/{computed}")
    expect(desk_page.locator("#connection")).to_have_attribute("data-state", "live")
    expect(desk_page.get_by_role("heading", name="2021-01-04 to 2022-12-28")).to_be_visible()
    asked = {"portfolio_id": computed, "start_date": "2021-03-31", "end_date": "2021-09-30"}
    _answer(client.post(PERFORMANCE, json=asked))
    expect(desk_page.get_by_role("heading", name="2021-03-31 to 2021-09-30")).to_be_visible(timeout=RESULT_MS)


def test_rolling_measure_and_window_are_chosen(desk_page: Page, computed: str) -> None:
    desk_page.goto(f"/performance/{computed}")
    desk_page.get_by_label("Measure", exact=True).select_option("beta")
    expect(desk_page.locator("#rolling")).to_contain_text("Beta over 126 days")
    desk_page.get_by_label("Window").select_option("63")
    expect(desk_page.locator("#rolling")).to_contain_text("Beta over 63 days")
    wait_until(lambda: list(lines(desk_page, "rolling-chart")) == ["Portfolio"], 10, "the chart of beta to be drawn")
    desk_page.get_by_label("Measure", exact=True).select_option("volatility")
    wait_until(lambda: "SP500" in lines(desk_page, "rolling-chart"), 10, "the benchmark's volatility beside it")


def test_measures_are_filtered_while_one_types(desk_page: Page, computed: str) -> None:
    desk_page.goto(f"/performance/{computed}")
    search = desk_page.get_by_label("Filter")
    search.press_sequentially("sortino")
    expect(desk_page.locator("#measures tbody tr")).to_have_count(5)
    expect(search).to_be_focused()
    search.fill("no such thing")
    expect(desk_page.get_by_text("No measure has these words.")).to_be_visible()


def test_what_one_types_is_not_taken_back_by_an_answer_that_was_under_way(desk_page: Page, computed: str) -> None:
    desk_page.goto(f"/performance/{computed}")
    expect(desk_page.locator("#connection")).to_have_text("Live")
    desk_page.wait_for_load_state("networkidle")
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if route.request.headers.get("hx-target") == "result" and not held:
            held.append(route)
        else:
            route.continue_()

    desk_page.route("**/performance/*", hold_the_first)
    with desk_page.expect_request(lambda request: request.headers.get("hx-target") == "result"):
        desk_page.evaluate("document.getElementById('result').dispatchEvent(new Event('nautilus:refresh'))")
    search = desk_page.get_by_label("Filter")
    search.fill("sortino")
    expect(desk_page.locator("#measures tbody tr")).to_have_count(5)
    # Asked for again, with what is chosen by now.
    with desk_page.expect_response(lambda answer: answer.url.endswith("q=sortino") and "window" in answer.url):
        held[0].continue_()
    expect(search).to_have_value("sortino")
    expect(desk_page.locator("#measures tbody tr")).to_have_count(5)


def test_report_is_made_at_the_first_click_and_then_downloaded(desk_page: Page, computed: str) -> None:
    desk_page.goto(f"/performance/{computed}")
    with desk_page.expect_download(timeout=RESULT_MS) as download:
        desk_page.get_by_role("link", name="CSV report").click()
    assert download.value.suggested_filename == f"{computed}-2021-01-04-2022-12-28-tear-sheet.csv"
    expect(desk_page.get_by_text("with the positions and limits of then")).to_be_visible()
    with desk_page.expect_download() as at_once:
        desk_page.get_by_role("link", name="PDF report").click()
    assert at_once.value.path().read_bytes().startswith(b"%PDF")
    with desk_page.expect_popup() as tab:
        desk_page.get_by_role("link", name="HTML report").click()
    expect(tab.value.get_by_role("heading", level=1)).to_have_text("A book of one share")


def test_page_that_stays_open_says_that_the_book_has_changed(
    desk_page: Page, client: httpx.Client, computed: str
) -> None:
    desk_page.goto(f"/performance/{computed}")
    expect(desk_page.get_by_role("heading", name="2021-01-04 to 2022-12-28")).to_be_visible()
    told = desk_page.get_by_text("The book has changed since these figures were calculated.")
    expect(told).to_have_count(0)
    trade = {"symbol": "AAPL", "quantity": 1, "price": 126.04, "traded_at": "2022-12-28T21:00:00Z"}
    _answer(client.post(f"/api/v1/portfolios/{computed}/trades", json=trade))
    expect(told).to_be_visible(timeout=40_000)  # it looks every 20 s
    assert lines(desk_page, "growth")


def test_progress_of_a_report_outlives_the_result_that_it_stands_in(desk_page: Page, computed: str) -> None:
    desk_page.goto(f"/performance/{computed}")
    desk_page.evaluate(BEGIN_REPORT_AND_DRAW_ANEW)
    expect(desk_page.locator("#report[data-before]")).to_have_count(0)
    desk_page.evaluate("globalThis.progress.textContent = 'It failed.'")
    expect(desk_page.locator("#report-progress")).to_have_text("It failed.")
    expect(desk_page.locator("#report-progress")).to_be_visible()


def test_viewer_reads_and_computes_nothing(page_as: Callable[..., Page]) -> None:
    page = page_as("viewer")
    page.goto("/performance/PORTFOLIO_001")
    expect(page.get_by_role("heading", level=1)).to_have_text("Performance of PORTFOLIO_001")
    expect(page.get_by_role("button", name=re.compile("Compute"))).to_have_count(0)


def test_another_portfolio_is_chosen_by_keyboard(desk_page: Page, computed: str) -> None:
    desk_page.goto(f"/performance/{computed}")
    desk_page.get_by_label("Portfolio", exact=True).select_option("PORTFOLIO_001")
    expect(desk_page).to_have_url(re.compile("/performance/PORTFOLIO_001$"))
    desk_page.goto("/performance")
    expect(desk_page).to_have_url(re.compile("/performance/PORTFOLIO_001$"))
