"""Fixtures for tests of the dashboard's pages in a real browser, on a real platform (`make test-browser`).

    def test_a_page(desk_page: Page, client: httpx.Client) -> None:
        desk_page.goto("/limits")
        expect(desk_page.get_by_role("heading", level=1)).to_have_text("Limits and alerts")

`desk_page` is a page of the admin, `page_as("viewer")` one of a viewer who sees the sample portfolios, `client`
the platform's API. Whatever a test looks at, it fails on what no page may do (watching.py): `watch` is where it says
what it provokes itself.

A platform is started for them. `NAUTILUS_TEST_PLATFORM=HOME:PORT` takes one that runs already, which starts
sooner: `NAUTILUS_TEST_PLATFORM=.nautilus:8001 make test-browser ARGS='-k limits'`. What stops servers is skipped there.
"""

import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, expect
from playwright.sync_api import Error as BrowserError

from nautilus.local.environment import local_secrets
from tests.browser import PATIENCE_SECONDS, running_browser
from tests.browser_pages.furnishing import furnish
from tests.browser_pages.users import SAMPLE_DESK, User, make_user, sign_in
from tests.browser_pages.watching import Watch
from tests.running import Platform, sample_platform

HERE = Path(__file__).parent
# What .ci/run has time for: every page drawn and read by everybody, roles, and what changes while a page is open.
PART_OF_CI = (
    "test_accessibility.py",
    "test_live.py",
    "test_overview_page.py",
    "test_roles.py",
    "test_walk.py",
    "test_weight.py",
)
TEXT_OF_A_FAILED_TEST = 4_000

PageAs = Callable[..., Page]


@pytest.hookimpl(tryfirst=True)  # before `-m` looks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if item.path.name not in PART_OF_CI:
                item.add_marker(pytest.mark.details)
            item.add_marker(pytest.mark.timeout(600))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any) -> Generator[None, Any, Any]:
    """A test that fails says where its pages stood, and what was to be read on them."""
    report = yield
    watch = getattr(item, "funcargs", {}).get("watch")
    if report.failed and watch and report.when == "call":
        report.sections.extend(_shown(page) for page in watch.pages if not page.is_closed())
    return report


def _shown(page: Page) -> tuple[str, str]:
    picture = Path(tempfile.mkdtemp(prefix="nautilus-page-")) / "page.png"
    try:
        page.screenshot(path=picture, full_page=True, timeout=10_000)
        text = page.inner_text("body", timeout=5_000)[:TEXT_OF_A_FAILED_TEST]
    except BrowserError as error:
        text = str(error)
    return (f"{page.url}, drawn in {picture}", text)


@pytest.fixture(scope="package")
def platform() -> Iterator[Platform]:
    """Not the session's: these tests leave limits, alerts and strategies behind."""
    with sample_platform(jobs=True) as platform:
        yield platform


# Not for the session: while Playwright runs, its event loop stands in the way of every other one in the thread.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE_SECONDS * 1000 / 2)
    with running_browser() as browser:
        yield browser


@pytest.fixture
def watch(platform: Platform) -> Watch:
    return Watch(platform.address)


@pytest.fixture
def open_page(browser: Browser, platform: Platform, watch: Watch) -> Iterator[PageAs]:
    """Opens a page in a profile of its own: `open_page(color_scheme="dark")`, or whatever else a profile may have."""
    contexts: list[BrowserContext] = []

    def opened(**profile: Any) -> Page:
        viewport = {"width": 1280, "height": 900}
        contexts.append(browser.new_context(**{"base_url": platform.address, "viewport": viewport, **profile}))
        watch.follow(contexts[-1])
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE_SECONDS * 1000)
        return page

    yield opened
    try:
        watch.check()
    finally:
        for context in contexts:
            context.close()


@pytest.fixture(scope="package")
def desk_state(browser: Browser, platform: Platform) -> StorageState:
    """The admin's session, signed in once. A test that signs out takes `page_as` with `shared=False`."""
    context = browser.new_context(base_url=platform.address)
    sign_in(context.new_page(), User("admin", local_secrets(platform.home)["admin_password"]))
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def desk_page(open_page: PageAs, desk_state: StorageState) -> Page:
    return open_page(storage_state=desk_state)


@pytest.fixture(scope="package")
def states(browser: Browser, platform: Platform) -> dict[frozenset[str], StorageState]:
    """Sessions of users by their roles and desks: each is signed in once."""
    return {}


@pytest.fixture
def page_as(open_page: PageAs, platform: Platform, states: dict[frozenset[str], StorageState]) -> PageAs:
    """`page_as("viewer", "strategist")`; `desks=()` for one who sees no portfolio; not `shared` to sign in afresh."""

    def opened(*roles: str, desks: tuple[str, ...] = (SAMPLE_DESK,), shared: bool = True, **profile: Any) -> Page:
        groups = frozenset([*roles, *desks])
        if shared and groups in states:
            return open_page(storage_state=states[groups], **profile)
        page = open_page(**profile)
        sign_in(page, make_user(platform, [*roles, *desks]))
        if shared:
            states[groups] = page.context.storage_state()
        return page

    return opened


@pytest.fixture(scope="package")
def furnished(platform: Platform) -> None:
    """Every page has something to show."""
    with platform.client() as client:
        furnish(client)


@pytest.fixture
def own_platform(platform: Platform) -> Iterator[Platform]:
    """For a test that stops servers; they run again afterwards."""
    if platform.process is None:
        pytest.skip("the platform is somebody else's, and this test stops its servers")
    yield platform
    platform.start_stopped()


@pytest.fixture
def client(platform: Platform) -> Iterator[httpx.Client]:
    """May do everything: on this machine the API takes whoever asks without a browser for an admin."""
    with platform.client() as client:
        yield client
