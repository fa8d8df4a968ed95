"""What the first page takes over the wire, and how often."""

from playwright.sync_api import Page

from tests.browser_pages.weighing import weighed

MOST_BYTES = 200_000


def test_first_page_takes_less_than_200_kilobytes(desk_page: Page) -> None:
    sizes = weighed(desk_page, "/")
    assert sum(sizes.values()) < MOST_BYTES, sorted(sizes.items(), key=lambda each: -each[1])


def test_what_pages_are_made_of_is_loaded_once(desk_page: Page) -> None:
    desk_page.goto("/", wait_until="networkidle")
    desk_page.goto("/tasks", wait_until="networkidle")
    loaded = "performance.getEntriesByType('resource').map(({ name, transferSize }) => [name, transferSize])"
    shared = ("/css/parts.css", "/js/live.js")
    sizes = {name: size for name, size in desk_page.evaluate(loaded) if name.endswith(shared)}
    assert sizes
    assert not any(sizes.values()), sizes
