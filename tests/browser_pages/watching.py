"""What no page may do, whatever a test looks at: write errors to the console, ask another host, break its policy."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, WebError, WebSocket

# What Chromium and htmx themselves write where nobody answers, and where the answer is a refusal.
NOT_REACHED = re.compile(r"WebSocket connection to|net::ERR_|htmx:(?:afterRequest|sendError|timeout)")
# And that a request gave way to a newer one for the same element (hx-sync): of one that failed there is more to read.
GAVE_WAY = re.compile(r"^htmx:(?:afterRequest|sendAbort)$")
REFUSED = re.compile(r"responded with a status of (\d{3})|Response Status Error Code (\d{3})")
OF_THE_PAGE_ITSELF = ("data", "blob", "about")
# Chromium writes these to the console as well, but not of every kind.
TELL_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`Content-Security-Policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`))
"""


@dataclass  # without slots: Playwright leaves attributes on whose methods it calls
class Watch:
    """Over all pages of one test.

    `watch.expect(409)` before a test provokes a refusal: Chromium writes it to the console, however well the page
    takes it. `with watch.away():` around what stops a server.
    """

    address: str
    faults: list[str] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    _expected: set[int] = field(default_factory=set)
    _is_away: bool = False

    def follow(self, context: BrowserContext) -> None:
        context.add_init_script(TELL_VIOLATIONS)
        context.on("console", self._on_console)
        context.on("weberror", self._on_error)
        context.on("request", self._on_request)
        context.on("page", self._on_page)

    def expect(self, *statuses: int) -> None:
        self._expected.update(statuses)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Until the block ends, that nobody answers is no fault of the page. End it when the page is live again."""
        self._is_away = True
        yield
        self._settle()
        self._is_away = False

    def check(self) -> None:
        self._settle()
        assert not self.faults, "What no page may do:\n" + "\n".join(self.faults)

    def _settle(self) -> None:
        """Playwright hands over what happened while it is being asked something."""
        for page in self.pages:
            if not page.is_closed():
                page.evaluate("1")

    def _on_page(self, page: Page) -> None:
        self.pages.append(page)
        page.on("websocket", self._on_socket)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not self._is_allowed(message.text):
            where = message.location
            self.faults.append(f"console: {message.text} ({where.get('url')}:{where.get('lineNumber')})")

    def _is_allowed(self, text: str) -> bool:
        refused = REFUSED.search(text)
        status = int(refused[1] or refused[2]) if refused else 0
        if GAVE_WAY.search(text):
            return True
        if self._is_away and (status >= 500 or NOT_REACHED.search(text)):
            return True
        return status in self._expected

    def _on_error(self, error: WebError) -> None:
        self.faults.append(f"page error: {error.error.stack or error.error.message}")

    def _on_request(self, request: Request) -> None:
        self._check_host(request.url)

    def _on_socket(self, socket: WebSocket) -> None:
        self._check_host(socket.url)

    def _check_host(self, url: str) -> None:
        asked = urlsplit(url)
        if asked.scheme not in OF_THE_PAGE_ITSELF and asked.netloc != urlsplit(self.address).netloc:
            self.faults.append(f"another host: {url}")
