"""How many bytes a page takes over the wire, headers and all, as Chromium's network stack counts them."""

from typing import Any

from playwright.sync_api import Page


def weighed(page: Page, path: str, *, settled: str = "#connection[data-state=live]") -> dict[str, int]:
    """Of each address that the page loads, until `settled` is there; nothing comes from the browser's cache."""
    session = page.context.new_cdp_session(page)
    addresses: dict[str, str] = {}
    sizes: dict[str, int] = {}

    def asked(event: dict[str, Any]) -> None:
        addresses[event["requestId"]] = event["request"]["url"]

    def ended(event: dict[str, Any]) -> None:
        if address := addresses.get(event["requestId"]):
            sizes[address] = sizes.get(address, 0) + int(event["encodedDataLength"])

    session.on("Network.requestWillBeSent", asked)
    session.on("Network.loadingFinished", ended)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    page.goto(path, wait_until="networkidle")
    page.wait_for_selector(settled)
    session.detach()
    return sizes
