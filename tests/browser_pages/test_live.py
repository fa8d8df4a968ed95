"""What changes while a page is open: it is seen without a reload, also where Redis or the web process was away."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser_pages.conftest import PageAs
from tests.browser_pages.furnishing import RISK, make_limit, var_99
from tests.browser_pages.test_accessibility import too_wide
from tests.browser_pages.walked import BOOK, PHONE
from tests.browser_pages.watching import Watch
from tests.running import Platform, wait_until

LIVE_AGAIN = re.compile("Live|Caught up")
# The monitor looks every 5 s; a page says after 15 s of silence that it hears nothing.
SOON_MS = 60_000

FOLLOW = """
async (topic) => {
  const { follow } = await import("/static/dashboard/js/live.js");
  globalThis.stop = follow(topic, () => {});
}
"""

MakeLimit = Callable[[float], dict[str, Any]]


@pytest.fixture
def breach(client: httpx.Client) -> Iterator[MakeLimit]:
    """Makes a limit that is breached as soon as it is looked at: `breach(0.5)` at half of what VaR is now."""
    made: list[int] = []

    def make(share: float) -> dict[str, Any]:
        limit = make_limit(client, "var_99", round(share * var_99(client)) + 0.25)
        made.append(limit["id"])
        return limit

    yield make
    for limit_id in made:
        client.delete(f"{RISK}/limits/{limit_id}")


def stays_open(page: Page) -> Callable[[], None]:
    """What is given fails where the page was loaded anew since."""
    page.evaluate("globalThis.sameDocument = true")

    def check() -> None:
        assert page.evaluate("globalThis.sameDocument === true"), "the page was loaded anew"

    return check


def connection(page: Page) -> Locator:
    return page.locator("#connection")


def has_moved(page: Page) -> None:
    """Waits for a live figure of the overview."""
    value = page.locator(f"tr[data-portfolio={BOOK}] [data-figure=value]")
    before = value.inner_text()
    expect(value).not_to_have_text(before, timeout=SOON_MS)


def alert_of(page: Page, limit: dict[str, Any]) -> Locator:
    """Its threshold is no other limit's."""
    return page.locator("#alerts li").filter(has_text=f"{limit['threshold_value']:.2f}")


def waiting_alerts(client: httpx.Client) -> set[int]:
    """Those of the book that nobody has acknowledged, as the API has them."""
    rows = client.get(f"{RISK}/alerts/{BOOK}", params={"page_size": 100}).json()["alerts"]
    waiting = (row for row in rows if row["acknowledged_at"] is None)
    return {row["id"] for row in waiting if row["severity"] != "info" and row["event_type"] != "test"}


def shown_alerts(page: Page) -> set[int]:
    rows = page.locator("#alerts li").filter(has=page.locator(f"a[href$='/{BOOK}']"))
    return {int(each) for each in rows.evaluate_all("all => all.map((each) => each.dataset.alert)")}


def test_breach_appears_without_a_reload(desk_page: Page, breach: MakeLimit) -> None:
    desk_page.goto("/")
    expect(connection(desk_page)).to_have_text("Live")
    check = stays_open(desk_page)
    limit = breach(0.5)
    expect(alert_of(desk_page, limit)).to_be_visible(timeout=SOON_MS)
    row = desk_page.locator(f"tr[data-portfolio={BOOK}]")
    expect(row.locator(".badge.bad", has_text="breach")).to_be_visible()
    expect(desk_page.locator("#news")).to_contain_text("New alert, critical: ")
    check()


def test_alert_that_is_acknowledged_goes_from_every_open_page(
    desk_page: Page, page_as: PageAs, breach: MakeLimit, client: httpx.Client
) -> None:
    other = page_as("risk_manager")
    for page in (desk_page, other):
        page.goto("/")
        expect(connection(page)).to_have_text("Live")
    limit = breach(0.55)
    alert = alert_of(desk_page, limit)
    expect(alert_of(other, limit)).to_be_visible(timeout=SOON_MS)
    expect(alert).to_be_visible()
    alert.get_by_role("button", name="Acknowledge").click()
    expect(alert).to_be_hidden()
    expect(alert_of(other, limit)).to_be_hidden()


def test_focus_goes_on_from_a_row_that_is_gone_and_the_key_presses_nothing_more(
    desk_page: Page, breach: MakeLimit
) -> None:
    desk_page.goto("/")
    expect(connection(desk_page)).to_have_text("Live")
    first, second = breach(0.44), breach(0.46)
    expect(alert_of(desk_page, first)).to_be_visible(timeout=SOON_MS)
    expect(alert_of(desk_page, second)).to_be_visible(timeout=SOON_MS)
    alert = desk_page.locator("#alerts li").first
    alert_id = alert.get_attribute("data-alert")
    alert.get_by_role("button", name="Acknowledge").press("Enter")
    expect(desk_page.locator(f"[data-alert='{alert_id}']")).to_have_count(0)
    expect(desk_page.locator("#alerts li").first).to_be_focused()
    desk_page.keyboard.press("Tab")
    assert desk_page.evaluate("document.activeElement.closest('li') === document.querySelector('#alerts li')")


def test_what_happens_before_a_page_hears_of_it_is_not_missed(
    desk_page: Page, page_as: PageAs, breach: MakeLimit, client: httpx.Client
) -> None:
    """The page is drawn with an alert; it is acknowledged while the script that would follow it is under way."""
    other = page_as("risk_manager")
    other.goto("/")
    limit = breach(0.52)
    expect(alert_of(other, limit)).to_be_visible(timeout=SOON_MS)
    alert_id = alert_of(other, limit).get_attribute("data-alert")

    def acknowledge(route: Route) -> None:
        assert client.post(f"{RISK}/alerts/events/{alert_id}/acknowledge").is_success
        route.continue_()

    desk_page.route("**/nautilus-client*", acknowledge)
    with desk_page.expect_response("/") as drawn:
        desk_page.goto("/")
    assert f'data-alert="{alert_id}"' in drawn.value.text()
    expect(alert_of(desk_page, limit)).to_be_hidden(timeout=15_000)  # before the list comes by time


def test_topic_that_is_refused_is_named_and_the_page_stays_live(desk_page: Page) -> None:
    desk_page.goto("/tasks")
    expect(connection(desk_page)).to_have_text("Live")
    desk_page.evaluate(FOLLOW, "risk:alerts:NO_SUCH_BOOK")
    expect(connection(desk_page)).to_contain_text("Live in part: ")
    expect(connection(desk_page)).to_contain_text("NO_SUCH_BOOK")
    expect(connection(desk_page)).to_have_attribute("data-state", "partly")
    desk_page.set_viewport_size(PHONE)
    assert too_wide(desk_page) <= 0
    desk_page.evaluate("stop()")
    expect(connection(desk_page)).to_have_text("Live")


@pytest.mark.parametrize("ahead_seconds", [-600, 600])
def test_ages_are_told_by_the_servers_clock(desk_page: Page, ahead_seconds: int) -> None:
    shifted = f"const right = Date.now; Date.now = () => right() + {1000 * ahead_seconds}"
    desk_page.add_init_script(f"{{ {shifted} }}")
    desk_page.goto("/")
    age = "async (at) => (await import('/static/dashboard/js/format.js')).secondsSince(at)"
    for settled in ("Connecting|Live", "Live"):
        expect(connection(desk_page)).to_have_text(re.compile(settled))
        now = datetime.now(UTC)
        seconds = desk_page.evaluate(age, (now - timedelta(seconds=30)).isoformat())
        assert 25 < seconds < 35
    expect(desk_page.locator(f"tr[data-portfolio={BOOK}] time[data-age]")).to_have_text(re.compile(r"^\d+ s ago$"))


def test_figures_move_by_themselves_and_say_how_old_they_are(desk_page: Page) -> None:
    desk_page.goto("/")
    has_moved(desk_page)
    age = desk_page.locator(f"tr[data-portfolio={BOOK}] time[data-age]")
    expect(age).to_have_text(re.compile(r"^\d+ s ago$"))


def test_page_says_that_redis_is_away_and_misses_nothing(
    desk_page: Page, own_platform: Platform, watch: Watch, breach: MakeLimit, client: httpx.Client
) -> None:
    desk_page.goto("/")
    expect(connection(desk_page)).to_have_text("Live")
    check = stays_open(desk_page)
    with watch.away():
        own_platform.stop("redis")
        limit = breach(0.6)  # told while nobody can hear it
        expect(connection(desk_page)).to_contain_text("Disconnected", timeout=SOON_MS)
        expect(connection(desk_page)).to_have_attribute("data-state", "waiting")
        own_platform.start("redis")
        expect(connection(desk_page)).to_have_text(LIVE_AGAIN, timeout=SOON_MS)
        expect(alert_of(desk_page, limit)).to_be_visible(timeout=SOON_MS)
    wait_until(lambda: shown_alerts(desk_page) == waiting_alerts(client), 30, "the page to show what the API has")
    expect(connection(desk_page)).to_have_text("Live", timeout=SOON_MS)
    check()


def test_figures_of_a_stopped_engine_look_stale(desk_page: Page, own_platform: Platform) -> None:
    desk_page.goto("/")
    age = desk_page.locator(f"tr[data-portfolio={BOOK}] time[data-age]")
    expect(age).to_have_text(re.compile("s ago"))
    own_platform.stop("analytics-engine")
    own_platform.stop("market-feed")
    expect(age).to_have_class("is-stale", timeout=SOON_MS)
    expect(desk_page.locator("#freshness .badge.good").filter(has_text="streaming")).to_be_hidden(timeout=SOON_MS)


def test_page_comes_back_by_itself_where_the_web_process_was_killed(
    desk_page: Page, own_platform: Platform, watch: Watch, breach: MakeLimit
) -> None:
    desk_page.goto("/")
    expect(connection(desk_page)).to_have_text("Live")
    check = stays_open(desk_page)
    limit = breach(0.65)
    with watch.away():
        own_platform.kill("web")
        expect(connection(desk_page)).to_contain_text("Disconnected", timeout=SOON_MS)
        expect(connection(desk_page)).to_have_text(LIVE_AGAIN, timeout=SOON_MS)
    expect(alert_of(desk_page, limit)).to_be_visible(timeout=SOON_MS)
    check()


def test_messages_that_were_missed_are_counted(page_as: PageAs, own_platform: Platform, watch: Watch) -> None:
    """A viewer follows portfolios one by one: of each topic every message comes, late ones too."""
    page = page_as("viewer")
    page.goto("/")
    expect(connection(page)).to_have_text("Live")
    has_moved(page)  # what is not subscribed to yet begins with what comes from then on, and misses nothing
    with watch.away():
        own_platform.kill("web")
        expect(connection(page)).to_contain_text("Disconnected", timeout=SOON_MS)
        expect(connection(page)).to_have_text(re.compile(r"Caught up \d+ messages?"), timeout=SOON_MS)
        expect(connection(page)).to_have_text("Live", timeout=SOON_MS)
