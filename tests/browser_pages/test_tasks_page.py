"""Tasks in a browser: one asked for elsewhere appears, is followed to its end, cancelled, retried, replayed."""

import re
from typing import Any

import httpx
from playwright.sync_api import Locator, Page, expect

from tests.running import ANALYZE, Platform

LONG = {"method": "monte_carlo", "paths": 300_000, "horizon_days": 10}


def analyze(client: httpx.Client, **inputs: Any) -> str:
    answer = client.post(ANALYZE, json={"portfolio_id": "PORTFOLIO_001", **inputs})
    assert answer.status_code == 202, answer.text
    return answer.json()["task_id"]


def ended(client: httpx.Client, task_id: str) -> dict[str, Any]:
    task = client.get(f"/api/v1/tasks/{task_id}", params={"wait": 30}).json()
    assert task["status"] != "processing", task
    return task


def row_of(page: Page, task_id: str) -> Locator:
    return page.locator(f'tr[data-task="{task_id}"]')


def test_task_asked_for_elsewhere_appears_and_ends_without_a_reload(desk_page: Page, client: httpx.Client) -> None:
    desk_page.goto("/tasks")
    expect(desk_page.get_by_role("heading", level=1)).to_have_text("Tasks")
    task_id = analyze(client, seed=101, method="monte_carlo")
    expect(row_of(desk_page, task_id)).to_contain_text("succeeded")
    expect(row_of(desk_page, task_id)).to_contain_text("took")


def test_list_is_filtered_and_the_address_says_so(desk_page: Page, client: httpx.Client) -> None:
    ended(client, analyze(client, confidence=0.95))
    desk_page.goto("/tasks")
    desk_page.get_by_label("Kind").select_option("risk.analyze")
    expect(desk_page).to_have_url(re.compile(r"/tasks\?kind=risk\.analyze$"))
    for row in desk_page.locator("tr[data-task] th a").all():
        expect(row).to_have_text("risk.analyze")
    desk_page.get_by_label("Status").select_option("cancelled")
    desk_page.get_by_label("Portfolio").fill("NO_SUCH_BOOK")
    desk_page.get_by_label("Portfolio").press("Enter")
    expect(desk_page).to_have_url(re.compile(r"portfolio_id=NO_SUCH_BOOK"))
    expect(desk_page.get_by_text("No task is of this kind, status and portfolio.")).to_be_visible()
    desk_page.reload()
    expect(desk_page.get_by_label("Portfolio")).to_have_value("NO_SUCH_BOOK")


def test_task_that_waits_is_cancelled_after_a_question_and_asked_for_again(
    desk_page: Page, client: httpx.Client, own_platform: Platform
) -> None:
    """Its worker is stopped meanwhile, so that it waits for as long as it takes to click."""
    own_platform.stop("risk-worker")
    try:
        task_id = analyze(client, seed=102, method="monte_carlo")
        desk_page.goto("/tasks")
        expect(row_of(desk_page, task_id)).to_contain_text("Waiting for a worker")
        row_of(desk_page, task_id).get_by_role("button", name="Cancel").click()
        dialog = desk_page.get_by_role("dialog")
        expect(dialog).to_contain_text("Cancel risk.analyze?")
        dialog.get_by_role("button", name="Back").click()
        expect(dialog).to_have_count(0)
        expect(row_of(desk_page, task_id).get_by_role("button", name="Cancel")).to_be_focused()
        assert client.get(f"/api/v1/tasks/{task_id}").json()["status"] == "processing"
        row_of(desk_page, task_id).get_by_role("button", name="Cancel").click()
        dialog.get_by_role("button", name="Cancel the task").click()
        expect(row_of(desk_page, task_id)).to_contain_text("cancelled")
    finally:
        own_platform.start("risk-worker")
    row_of(desk_page, task_id).get_by_role("link").first.click()
    expect(desk_page.get_by_role("heading", level=1)).to_have_text("risk.analyze")
    desk_page.get_by_role("button", name="Retry").click()
    desk_page.wait_for_url(lambda url: "/tasks/" in url and task_id not in url)
    expect(desk_page.locator("[data-status=succeeded]")).to_be_visible()
    expect(desk_page.get_by_role("link", name="an earlier task")).to_have_attribute("href", f"/tasks/{task_id}")


def test_page_of_a_task_follows_it_to_its_result(desk_page: Page, client: httpx.Client) -> None:
    task_id = analyze(client, seed=103, **LONG)
    desk_page.goto(f"/tasks/{task_id}")
    expect(desk_page.locator("[data-status=succeeded]")).to_be_visible()
    expect(desk_page.get_by_role("group", name="Inputs")).to_contain_text('"paths": 300000')
    expect(desk_page.get_by_role("group", name="Result")).to_contain_text('"var":')


def test_result_is_replayed_from_its_snapshot_bit_for_bit(desk_page: Page, client: httpx.Client) -> None:
    task = ended(client, analyze(client, confidence=0.975))
    desk_page.goto(f"/tasks/{task['task_id']}")
    desk_page.get_by_role("button", name="Replay from its snapshot").click()
    expect(desk_page.get_by_text("Reproduced: every bit of the result came out again.")).to_be_visible()


def test_error_of_a_task_stands_with_its_remedy(desk_page: Page, client: httpx.Client) -> None:
    task = ended(client, analyze(client, as_of="1900-01-01"))
    assert task["status"] == "failed"
    desk_page.goto(f"/tasks/{task['task_id']}")
    expect(desk_page.get_by_role("group", name="Error")).to_contain_text(task["error"]["detail"])
    expect(desk_page.get_by_role("group", name="Error")).to_contain_text(task["error"]["remedy"])


def test_viewer_sees_nothing_of_others_and_no_button(page_as: Any, client: httpx.Client) -> None:
    task_id = analyze(client, confidence=0.96)
    page = page_as("viewer")
    page.goto("/tasks")
    expect(page.get_by_text("No task that you may see was asked for yet.")).to_be_visible()
    expect(row_of(page, task_id)).to_have_count(0)
