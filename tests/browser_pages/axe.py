"""What axe-core finds on a page, said so that it can be mended."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

NOT_TAKEN = ("serious", "critical")


def faults(page: Page) -> list[str]:
    """Serious and critical ones, each with the elements concerned."""
    found = Axe().run(page).response["violations"]
    return [_told(violation) for violation in found if violation["impact"] in NOT_TAKEN]


def _told(violation: dict[str, Any]) -> str:
    places = [f"{' '.join(map(str, node['target']))}: {node['failureSummary']}" for node in violation["nodes"]]
    return f"{violation['impact']} {violation['id']}, {violation['help']}\n  " + "\n  ".join(places)
