"""A real browser for tests of pages: Debian's Chromium, headless, driven by Playwright.

from tests.browser import browser_of_a_test, signed_in  # noqa: F401

def test_a_page(browser: Browser, platform: Platform):
    page = signed_in(browser, platform)
    page.goto("/api/docs")
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from nautilus.local.environment import local_secrets
from tests.running import Platform

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Chromium calls its maker at every start; the tests have no network, and a container has no sandbox for root.
FLAGS = ["--no-sandbox", "--no-proxy-server", "--disable-background-networking", "--disable-component-update"]
PATIENCE_SECONDS = 60


# Not for a whole session: while Playwright runs, its event loop stands in the way of every other one in the thread.
@pytest.fixture(name="browser")
def browser_of_a_test() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@contextmanager
def running_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=FLAGS)
        yield browser
        browser.close()


def signed_in(browser: Browser, platform: Platform) -> Page:
    """A page of the platform's admin user, in a browser profile of its own."""
    page = visitor(browser, platform)
    page.goto("/admin/login/")
    page.fill("[name=username]", "admin")
    page.fill("[name=password]", local_secrets(platform.home)["admin_password"])
    page.press("[name=password]", "Enter")
    page.wait_for_url("**/admin/")
    return page


def visitor(browser: Browser, platform: Platform) -> Page:
    """A page of somebody who has not signed in."""
    page = browser.new_context(base_url=platform.address).new_page()
    page.set_default_timeout(PATIENCE_SECONDS * 1000)
    return page


def _chromium() -> str:
    for name in NAMES:
        if path := shutil.which(name):
            return path
    return pytest.fail("Chromium is missing, and these tests need one. On Debian: apt-get install chromium")
