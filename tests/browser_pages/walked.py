"""The pages that tests and pictures go through."""

from collections.abc import Callable
from dataclasses import dataclass

import httpx
from playwright.sync_api import Page, expect

BOOK = "PORTFOLIO_001"
MERGED = "MERGED_BY_HAND"  # a strategy with a merge request that waits
PHONE = {"width": 390, "height": 844}


@dataclass(frozen=True, slots=True)
class Walked:
    """`path` is asked for where a page's address is known only once there is something to show."""

    name: str
    path: str | Callable[[httpx.Client], str]
    title: str  # the heading has it

    def address(self, client: httpx.Client) -> str:
        return self.path if isinstance(self.path, str) else self.path(client)

    def open(self, page: Page, client: httpx.Client) -> None:
        """Until it follows its topics, has asked for all that it asks for, and has drawn its charts."""
        page.goto(self.address(client))
        expect(page.get_by_role("heading", level=1)).to_contain_text(self.title)
        expect(page.locator("#connection")).to_have_attribute("data-state", "live")
        page.wait_for_load_state("networkidle")


def drawn_charts(page: Page) -> dict[str, bool]:
    """Of each canvas, whether there is anything on it."""
    found: dict[str, bool] = page.evaluate(
        "() => Object.fromEntries([...document.querySelectorAll('canvas')].map((canvas) =>"
        " [canvas.id || canvas.ariaLabel, Boolean(globalThis.Chart?.getChart(canvas)?.data.datasets.length)]))"
    )
    return found


def newest_task(client: httpx.Client) -> str:
    rows = client.get("/api/v1/tasks", params={"kind": "risk.analyze", "portfolio_id": BOOK}).json()["results"]
    return f"/tasks/{rows[0]['task_id']}"


def waiting_merge_request(client: httpx.Client) -> str:
    rows = client.get(f"/api/v1/sprint3/strategy/versions/{MERGED}/merge-requests").json()["results"]
    return f"/strategies/{MERGED}/merge-requests/{rows[0]['merge_request_id']}"


PAGES = (
    Walked("overview", "/", "Overview"),
    Walked("portfolio", f"/portfolios/{BOOK}", BOOK),
    Walked("performance", f"/performance/{BOOK}", ""),
    Walked("limits", "/limits", "Limits"),
    Walked("alerts", "/limits?view=alerts", ""),
    Walked("channels", "/limits?view=channels", ""),
    Walked("strategies", "/strategies", "Strategies"),
    Walked("strategy", "/strategies/STRATEGY_001", "Momentum"),
    Walked("merge-request", waiting_merge_request, "Merge request"),
    Walked("deployment", "/deployments/DEPLOY_001", "DEPLOY_001"),
    Walked("tasks", "/tasks", "Tasks"),
    Walked("task", newest_task, "risk.analyze"),
    Walked("operations", "/operations", "Operations"),
    Walked("runbook", "/operations/runbook/queue-grown-long", ""),
)
