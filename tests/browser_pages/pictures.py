"""`make screenshots`: a picture of every page in light and dark, for docs/dashboard.md.

Takes a platform of its own, or the one that NAUTILUS_TEST_PLATFORM=HOME:PORT names.
"""

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Browser, Page, StorageState
from rich.console import Console

from nautilus.local.environment import local_secrets
from nautilus.local.home import ROOT
from tests.browser import running_browser
from tests.browser_pages.furnishing import furnish
from tests.browser_pages.users import User, sign_in
from tests.browser_pages.walked import PAGES, PHONE, Walked
from tests.running import Platform, named_platform, running_platform

FOLDER = ROOT / "docs" / "images" / "dashboard"
COLOURS = ("light", "dark")
DESK = {"width": 1280, "height": 800}
MOST_HEIGHT = 1_800  # below that a page goes on like this
PALETTE = 200  # colours: a fifth of the bytes, and nobody sees a difference
ON_A_PHONE = ("overview", "portfolio")
SETTLED_MS = 4_000  # figures come in, a chart is drawn
SIGN_IN = "sign-in"


def main() -> None:
    console = Console()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with _platform() as platform, platform.client() as client, running_browser() as browser:
        furnish(client)
        for path in _pictures(browser, platform, client):
            console.print(f"{path.relative_to(ROOT)}, {path.stat().st_size / 1e3:.0f} kB", highlight=False)


@contextmanager
def _platform() -> Iterator[Platform]:
    if running := named_platform():
        yield running
        return
    with running_platform(Path(tempfile.mkdtemp(prefix="nautilus-pictures-")), jobs=True) as platform:
        yield platform


def _pictures(browser: Browser, platform: Platform, client: httpx.Client) -> Iterator[Path]:
    state = _signed_in(browser, platform)
    for colours in COLOURS:
        profile = {"base_url": platform.address, "color_scheme": colours}
        desk = browser.new_context(**profile, storage_state=state, viewport=DESK).new_page()
        phone = browser.new_context(**profile, storage_state=state, viewport=PHONE, has_touch=True).new_page()
        for walked in PAGES:
            yield _picture(desk, walked, client, f"{walked.name}-{colours}")
            if walked.name in ON_A_PHONE:
                yield _picture(phone, walked, client, f"{walked.name}-phone-{colours}")
        stranger = browser.new_context(**profile, viewport=DESK).new_page()
        stranger.goto(f"/{SIGN_IN}")
        yield _kept(stranger.screenshot(), f"{SIGN_IN}-{colours}")


def _signed_in(browser: Browser, platform: Platform) -> StorageState:
    context = browser.new_context(base_url=platform.address)
    sign_in(context.new_page(), User("admin", local_secrets(platform.home)["admin_password"]))
    return context.storage_state()


def _picture(page: Page, walked: Walked, client: httpx.Client, name: str) -> Path:
    walked.open(page, client)
    page.wait_for_timeout(SETTLED_MS)
    height = int(page.evaluate("document.documentElement.scrollHeight"))
    size = page.viewport_size or DESK
    clip = {"x": 0, "y": 0, "width": size["width"], "height": min(height, MOST_HEIGHT)}
    return _kept(page.screenshot(full_page=True, clip=clip), name)


def _kept(picture: bytes, name: str) -> Path:
    path = FOLDER / f"{name}.png"
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(PALETTE).save(path, optimize=True)
    return path


if __name__ == "__main__":
    main()
