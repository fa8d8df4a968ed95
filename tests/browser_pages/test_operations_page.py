"""Operations in a browser: health that changes by itself, remedies to copy, and what an operator does."""

from typing import Any

import httpx
from playwright.sync_api import Page, expect

from tests.browser_pages.watching import Watch
from tests.running import Platform

CACHE = "/api/v1/cache/status"
MONITORING = "/api/v1/sprint3/risk/monitoring/status"


def test_every_section_comes_by_itself(desk_page: Page) -> None:
    desk_page.goto("/operations")
    expect(desk_page.locator("#health [data-component]")).to_have_count(13)
    expect(desk_page.locator("#queues")).to_contain_text("risk_queue")
    expect(desk_page.locator("#queues")).to_contain_text("slots busy")
    expect(desk_page.locator("#sockets")).to_contain_text("Open sockets")
    expect(desk_page.locator("#market-data")).to_contain_text("Streaming engine")
    expect(desk_page.locator("#cache")).to_contain_text("Hit ratio")


def test_reason_of_a_dash_is_read_by_keyboard_and_by_tap_until_one_goes_on(page_as: Any) -> None:
    page = page_as("operator", has_touch=True)
    page.goto("/operations")
    dash = page.locator("#queues").get_by_role("note", name="Nothing waits.").first
    page.locator("#queues-scroll").focus()
    page.keyboard.press("Tab")
    expect(page.locator("#queues [data-why]:focus")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("[data-why]:focus")).to_have_count(0)
    dash.tap()
    expect(dash).to_be_focused()
    assert dash.evaluate("dash => getComputedStyle(dash, '::after').position") == "fixed"
    page.wait_for_timeout(6_000)  # the section is asked for again every 5 s, and is not while somebody reads of it
    expect(dash).to_be_focused()


def test_operator_stops_and_starts_the_monitor_after_a_question(page_as: Any, client: httpx.Client) -> None:
    page = page_as("operator")
    page.goto("/operations")
    try:
        page.get_by_role("button", name="Stop monitoring").click()
        page.get_by_role("dialog").get_by_role("button", name="Stop monitoring").click()
        expect(page.locator("#monitoring")).to_contain_text("stopped")
        assert not client.get(MONITORING).json()["enabled"]
        page.get_by_role("button", name="Start monitoring").click()
        expect(page.locator("#monitoring .badge")).not_to_have_text("stopped")
        assert client.get(MONITORING).json()["enabled"]
    finally:
        client.post("/api/v1/sprint3/risk/monitoring/start")


def test_worker_that_is_gone_is_told_with_the_command_that_mends_it(desk_page: Page, own_platform: Platform) -> None:
    desk_page.goto("/operations")
    expect(desk_page.locator('#health tr[data-component="workers"]')).to_be_visible()
    own_platform.stop("strategy-deployer")
    try:
        workers = desk_page.locator('#health article[data-component="workers"]')
        expect(workers).to_contain_text("Nobody takes from strategy_queue")
        expect(workers.get_by_label("What mends it").first).to_have_text("scripts/restart-service.sh strategy-deployer")
        expect(desk_page.locator("#announced")).to_contain_text("Workers is unhealthy")
        expect(desk_page.locator('[data-queue="strategy_queue"]')).to_contain_text("none")
        workers.get_by_role("link", name="No worker is left").click()
        expect(desk_page.get_by_role("heading", level=1)).to_have_text("No worker is left")
    finally:
        own_platform.start("strategy-deployer")
    desk_page.goto("/operations")
    expect(desk_page.locator('#health tr[data-component="workers"]')).to_be_visible()


def test_remedy_is_copied(desk_page: Page) -> None:
    desk_page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    desk_page.goto("/operations/runbook/queue-grown-long")
    block = desk_page.locator(".command").first
    block.get_by_role("button", name="Copy").click()
    expect(desk_page.get_by_text("Copied.")).to_be_visible()
    assert desk_page.evaluate("navigator.clipboard.readText()") == block.locator("pre").text_content()


def test_cache_mode_is_enabled_for_minutes_and_ended(desk_page: Page, client: httpx.Client) -> None:
    desk_page.goto("/operations")
    end = desk_page.get_by_role("button", name="End the aggressive mode")
    expect(desk_page.locator("#cache")).to_contain_text("normal")
    expect(end).to_be_hidden()
    desk_page.get_by_label("Keep answers longer, for so many minutes").fill("2")
    desk_page.get_by_role("button", name="Enable the aggressive mode").click()
    expect(desk_page.locator("#cache [data-mode=aggressive]")).to_be_visible()
    assert client.get(CACHE).json()["mode"] == "aggressive"
    end.click()
    expect(desk_page.locator("#cache [data-mode=normal]")).to_be_visible()
    assert client.get(CACHE).json()["mode"] == "normal"


def test_cache_is_cleared_by_prefix_after_a_question(desk_page: Page) -> None:
    desk_page.goto("/operations")
    desk_page.get_by_label("Answers of").select_option("risk")
    desk_page.get_by_role("button", name="Clear", exact=True).click()
    dialog = desk_page.get_by_role("dialog")
    expect(dialog).to_contain_text("Clear the answers of risk?")
    dialog.get_by_role("button", name="Clear the cache").click()
    expect(desk_page.get_by_text("answers are gone")).to_be_visible()


def test_sockets_restart_after_a_question_and_this_page_is_live_again(desk_page: Page) -> None:
    desk_page.goto("/operations")
    expect(desk_page.locator("#connection")).to_have_attribute("data-state", "live")
    desk_page.get_by_role("button", name="Restart the sockets").click()
    desk_page.get_by_role("dialog").get_by_role("button", name="Restart the sockets").click()
    expect(desk_page.get_by_text("clients come back by themselves.")).to_be_visible()
    expect(desk_page.locator("#connection")).to_have_attribute("data-state", "live")


def test_streaming_engines_restart_after_a_question(desk_page: Page) -> None:
    desk_page.goto("/operations")
    desk_page.get_by_role("button", name="Restart the streaming engines").click()
    desk_page.get_by_role("dialog").get_by_role("button", name="Restart the engines").click()
    expect(desk_page.get_by_text("The engines read their books anew, within a second.")).to_be_visible()


def test_while_redis_is_away_each_section_says_so_and_comes_back(
    desk_page: Page, own_platform: Platform, watch: Watch
) -> None:
    desk_page.goto("/operations")
    expect(desk_page.locator("#cache")).to_contain_text("Hit ratio")
    with watch.away():
        own_platform.stop("redis")
        try:
            for section in ("queues", "cache", "sockets"):
                expect(desk_page.locator(f"#{section}")).to_contain_text("Redis")
                expect(desk_page.locator(f"#{section}")).to_contain_text("scripts/restart-service.sh redis")
            expect(desk_page.locator('#health article[data-component="redis"]')).to_be_visible()
        finally:
            own_platform.start("redis")
        expect(desk_page.locator("#cache")).to_contain_text("Hit ratio")
        expect(desk_page.locator("#queues")).to_contain_text("slots busy")
        expect(desk_page.locator("#connection")).to_have_attribute("data-state", "live")


def test_viewer_sees_health_and_prices_and_acts_on_nothing(page_as: Any) -> None:
    page = page_as("viewer")
    page.goto("/operations")
    expect(page.locator("#health [data-component]")).to_have_count(13)
    expect(page.locator("#market-data")).to_contain_text("Price feed")
    for section in ("queues", "sockets", "cache", "monitoring"):
        expect(page.locator(f"#{section}")).to_have_count(0)
    expect(page.locator("[data-act]")).to_have_count(0)
