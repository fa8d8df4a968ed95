"""Every page, and for everybody: drawn, by axe-core in light and dark, on a phone, by keyboard."""

from itertools import pairwise
from typing import Literal

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser_pages import axe
from tests.browser_pages.conftest import PageAs
from tests.browser_pages.walked import PAGES, PHONE, Walked, drawn_charts
from tests.running import wait_until

COLOURS: tuple[Literal["light", "dark"], ...] = ("light", "dark")

pytestmark = pytest.mark.usefixtures("furnished")


def too_wide(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.mark.parametrize("walked", PAGES, ids=lambda walked: walked.name)
def test_page_is_drawn_and_read_by_ear_and_by_keyboard(walked: Walked, desk_page: Page, client: httpx.Client) -> None:
    walked.open(desk_page, client)
    check_drawn(desk_page)
    for colours in COLOURS:
        desk_page.emulate_media(color_scheme=colours)
        expect(desk_page.locator("html.dark")).to_have_count(int(colours == "dark"))
        assert not (found := axe.faults(desk_page)), "\n".join([colours, *found])
    check_headings(desk_page)
    check_reasons(desk_page)
    check_keyboard(desk_page)


@pytest.mark.parametrize("colours", COLOURS)
def test_axe_finds_nothing_serious_before_one_has_signed_in(colours: str, open_page: PageAs) -> None:
    page = open_page(color_scheme=colours)
    page.goto("/sign-in")
    assert not (found := axe.faults(page)), "\n".join(found)


@pytest.mark.parametrize("walked", PAGES, ids=lambda walked: walked.name)
def test_page_fits_a_phone(walked: Walked, open_page: PageAs, desk_state: dict, client: httpx.Client) -> None:
    page = open_page(storage_state=desk_state, viewport=PHONE, has_touch=True, is_mobile=True)
    walked.open(page, client)
    assert too_wide(page) <= 0
    assert not (found := axe.faults(page)), "\n".join(found)


def check_drawn(page: Page) -> None:
    assert page.locator("main").inner_text().strip()
    wait_until(lambda: all(drawn_charts(page).values()), 20, f"the charts of {page.url} to be drawn")
    expect(page.locator("main .failed").filter(visible=True)).to_have_count(0)


def check_headings(page: Page) -> None:
    """They begin with one of the first level and leave no level out."""
    levels = page.eval_on_selector_all(
        "main :is(h1, h2, h3, h4)",
        "all => all.filter((each) => each.checkVisibility()).map((each) => +each.tagName[1])",
    )
    assert levels[:1] == [1]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels


def check_reasons(page: Page) -> None:
    """Whoever has no pointer comes by the reason of a dash or a badge too."""
    unreached = page.eval_on_selector_all(
        "main [title]",
        r"""all => all
          .filter((each) => each.textContent.trim() === "\u2013" || each.matches("span.badge"))
          .filter((each) => each.title && (each.tabIndex !== 0 || each.role !== "note"))
          .map((each) => each.outerHTML)""",
    )
    assert not unreached, unreached


def check_keyboard(page: Page) -> None:
    """The first stop skips to the content, and from there it goes on."""
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null"), page.evaluate(
        "document.activeElement.outerHTML"
    )


def test_menu_opens_and_closes_by_keyboard(desk_page: Page) -> None:
    desk_page.goto("/")
    menu = desk_page.locator("details.menu summary")
    menu.focus()
    desk_page.keyboard.press("Enter")
    expect(desk_page.get_by_role("link", name="API documentation")).to_be_visible()
    desk_page.keyboard.press("Escape")
    expect(desk_page.get_by_role("link", name="API documentation")).to_be_hidden()
    expect(menu).to_be_focused()


def test_light_and_dark_are_chosen_by_a_button_and_kept(desk_page: Page) -> None:
    desk_page.goto("/")
    expect(desk_page.locator("html")).not_to_have_class("dark")
    desk_page.get_by_role("button", name="Light or dark").click()
    expect(desk_page.locator("html")).to_have_class("dark")
    desk_page.goto("/tasks")
    expect(desk_page.locator("html")).to_have_class("dark")
