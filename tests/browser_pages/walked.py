"""The pages that tests and pictures go through."""

from dataclasses import dataclass

import httpx
from playwright.sync_api import Page, expect


@dataclass(frozen=True, slots=True)
class Walked:
    name: str
    path: str
    title: str  # the heading has it

    def open(self, page: Page) -> None:
        """Until it follows its topics, has asked for all that it asks for, and has drawn its charts."""
        page.goto(self.path)
        expect(page.get_by_role("heading", level=1)).to_contain_text(self.title)
        expect(page.locator("#connection")).to_have_attribute("data-state", "live")
        page.wait_for_load_state("networkidle")


BOOK = "PORTFOLIO_001"
PAGES = (
    Walked("overview", "/", "Overview"),
    Walked("portfolio", f"/portfolios/{BOOK}", BOOK),
    Walked("performance", f"/performance/{BOOK}", ""),
    Walked("limits", "/limits", "Limits"),
    Walked("alerts", "/limits?view=alerts", ""),
    Walked("channels", "/limits?view=channels", ""),
    Walked("strategies", "/strategies", "Strategies"),
    Walked("strategy", "/strategies/STRATEGY_001", "Momentum"),
    Walked("deployment", "/deployments/DEPLOY_001", "DEPLOY_001"),
    Walked("tasks", "/tasks", "Tasks"),
    Walked("operations", "/operations", "Operations"),
)


def newest_task(client: httpx.Client) -> Walked:
    """The page of one task: its address is known only where there are tasks."""
    rows = client.get("/api/v1/tasks", params={"kind": "risk.analyze", "portfolio_id": BOOK}).json()["results"]
    return Walked("task", f"/tasks/{rows[0]['task_id']}", "")
