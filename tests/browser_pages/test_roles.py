"""Signing in and out, and what each role is shown of the frame: a page's own tests say what stands on the page."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser_pages.conftest import PageAs
from tests.browser_pages.walked import BOOK, PAGES

READERS_PAGES = ["Overview", "Portfolio", "Performance", "Limits and alerts", "Strategies", "Tasks", "Operations"]
# What a page lets one do is a button; a viewer reads.
WEIGHTY = ("Acknowledge", "Halt", "Deploy", "Roll back", "Approve", "Restart", "Stop monitoring", "Add channel")


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


@pytest.mark.parametrize("walked", PAGES, ids=lambda walked: walked.name)
def test_viewer_is_offered_nothing_that_the_api_would_refuse(page_as: PageAs, furnished, walked, client, watch) -> None:
    page = page_as("viewer")
    watch.expect(404)  # a task of somebody else
    page.goto(walked.address(client), wait_until="networkidle")
    expect(page.get_by_role("heading", level=1)).not_to_be_empty()
    for name in WEIGHTY:
        expect(page.get_by_role("button", name=name)).to_have_count(0)


@pytest.mark.parametrize("walked", PAGES, ids=lambda walked: walked.name)
def test_pages_of_a_viewer_without_a_portfolio_say_what_is_missing(
    page_as: PageAs, furnished, walked, client, watch
) -> None:
    page = page_as("viewer", desks=())
    watch.expect(404)
    page.goto(walked.address(client))
    expect(page.get_by_role("heading", level=1)).not_to_be_empty()
    assert len(page.locator("main").inner_text()) > 30
