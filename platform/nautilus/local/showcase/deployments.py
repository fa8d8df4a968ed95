"""Sample strategies on their paper portfolios: deployed once, followed until every recorded day is dealt with."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import Progress, TaskID

from nautilus.local.home import ROOT
from nautilus.local.showcase.answers import API, answer, every_row, patient_answer
from nautilus.local.showcase.hearing import hear
from nautilus.local.showcase.jobs import progress_on

STRATEGY = f"{API}/sprint3/strategy"
SAMPLES = ROOT / "sample_data" / "strategies" / "strategies.json"
UNDER_WAY = ("pending", "validating", "backtesting", "awaiting_approval")
HEAR_SECONDS = 60.0  # whoever has not been heard to become active by then is asked
STATUS_POLL_SECONDS = 0.5


@dataclass(slots=True)
class Deployed:
    """One deployment, as far as this client knows it; `portfolio` and `trades` are those it trades for."""

    row: dict[str, Any]
    strategy: str = ""
    portfolio: dict[str, Any] = field(default_factory=dict)
    trades: int = 0

    @property
    def id(self) -> str:
        return str(self.row["deployment_id"])

    @property
    def portfolio_id(self) -> str:
        return str(self.row["portfolio_id"])

    @property
    def version(self) -> int:
        return int(self.row["version"])

    @property
    def status(self) -> str:
        return str(self.row["status"])

    @property
    def backtest(self) -> dict[str, Any]:
        """Its figures; none where it has not got so far, or was rolled back to without one."""
        results = (step.get("result") or {} for step in self.row["steps"] if step["name"] == "backtest")
        return next(results, {}).get("figures", {})

    @property
    def start_date(self) -> str:
        return str(self.row["start_date"] or self.row["first_day"])

    @property
    def is_under_way(self) -> bool:
        return self.status in UNDER_WAY

    @property
    def has_caught_up(self) -> bool:
        """The newest close of what the portfolio holds is of a day that it has dealt with."""
        last, newest = self.row["last_day"], self.portfolio.get("as_of")
        return self.status == "active" and bool(last and newest) and last >= newest

    @property
    def cannot_go_on(self) -> bool:
        """What is no fault of the strategy is not counted, and tried again after minutes only: nobody waits for it."""
        return self.status == "active" and bool(self.row["last_error"]) and not self.row["failures_in_row"]

    @property
    def is_settled(self) -> bool:
        return self.has_caught_up or self.cannot_go_on or not (self.is_under_way or self.status == "active")


def asked_samples(manifest: Path = SAMPLES) -> list[dict[str, Any]]:
    """The body of each sample's POST."""
    asked: list[dict[str, Any]] = json.loads(manifest.read_text())["deployments"]
    return asked


def deploy_once(client: httpx.Client, asked: dict[str, Any]) -> Deployed:
    """What is, or was, on the sample's portfolio; deployed where there is nothing, or the newest has failed."""
    where = {name: asked[name] for name in ("portfolio_id", "environment")}
    path = f"{STRATEGY}/deployments?{httpx.QueryParams(where)}"
    known = _foremost([Deployed(row) for row in every_row(client, path)])
    deployment_id = known.id if known else answer(client.post(f"{STRATEGY}/deploy", json=asked))["deployment_id"]
    return Deployed(answer(client.get(f"{STRATEGY}/deployments/{deployment_id}")))


def _foremost(newest_first: list[Deployed]) -> Deployed | None:
    for is_foremost in (lambda each: each.is_under_way, lambda each: each.status == "active"):
        if found := next(filter(is_foremost, newest_first), None):
            return found
    newest = next(iter(newest_first), None)
    # Rolled back: somebody wanted that. Failed: perhaps it was the machine.
    return None if newest is None or newest.status == "failed" else newest


def follow_deployments(client: httpx.Client, deployments: list[Deployed], console: Console, deadline: float) -> None:
    """By the socket until they are active, then by the REST API until they have caught up; then all that is shown."""
    with progress_on(console) as progress:
        bars = {each.id: progress.add_task(f"{each.id} {each.portfolio_id}", total=1, said="") for each in deployments}

        def learn(deployed: Deployed, row: dict[str, Any]) -> None:
            deployed.row = row
            _move(progress, bars[deployed.id], deployed)

        for deployed in deployments:
            learn(deployed, deployed.row)
        hear_until = min(deadline, time.perf_counter() + HEAR_SECONDS)
        hear(str(client.base_url), _listeners(deployments, learn), hear_until)
        _ask(client, deployments, learn, deadline)
    for deployed in deployments:
        _complete(client, deployed)


Learn = Callable[[Deployed, dict[str, Any]], None]


def _listeners(deployments: list[Deployed], learn: Learn) -> dict[str, Callable[[dict[str, Any]], bool]]:
    return {f"deployments:{each.id}": partial(_listen, each, learn) for each in deployments if each.is_under_way}


def _listen(deployed: Deployed, learn: Learn, told: dict[str, Any]) -> bool:
    if "steps" in told:  # news of a run or an order are others
        learn(deployed, told)
    return not deployed.is_under_way


def _ask(client: httpx.Client, deployments: list[Deployed], learn: Learn, deadline: float) -> None:
    while unsettled := [deployed for deployed in deployments if not deployed.is_settled]:
        for deployed in unsettled:
            if not deployed.portfolio.get("as_of"):  # null until it holds something
                deployed.portfolio = patient_answer(client, f"{API}/portfolios/{deployed.portfolio_id}", deadline)
            learn(deployed, patient_answer(client, f"{STRATEGY}/deployments/{deployed.id}", deadline))
        if time.perf_counter() > deadline:
            return
        time.sleep(STATUS_POLL_SECONDS)


def _move(progress: Progress, bar: TaskID, deployed: Deployed) -> None:
    steps = deployed.row["steps"]
    done = sum(step["status"] in ("succeeded", "skipped") for step in steps)
    if deployed.is_settled:
        said = f"{deployed.status}, {deployed.row['last_day'] or 'no day yet'}"
        progress.update(bar, total=1, completed=1, said=said)
        progress.stop_task(bar)
    else:
        progress.update(bar, total=len(steps) + 1, completed=done, said=_doing(deployed))


def _doing(deployed: Deployed) -> str:
    if deployed.status == "active":
        return f"trades, at {deployed.row['last_day'] or 'its first day'}"
    running = (step["name"] for step in deployed.row["steps"] if step["status"] == "running")
    return next(running, deployed.status)


def _complete(client: httpx.Client, deployed: Deployed) -> None:
    """What no message tells: figures, names, trades."""
    deployed.row = answer(client.get(f"{STRATEGY}/deployments/{deployed.id}"))
    deployed.portfolio = answer(client.get(f"{API}/portfolios/{deployed.portfolio_id}"))
    deployed.strategy = answer(client.get(f"{STRATEGY}/strategies/{deployed.row['strategy_id']}"))["name"]
    deployed.trades = answer(client.get(f"{API}/portfolios/{deployed.portfolio_id}/trades?page_size=1"))["count"]


def deployment_failures(deployments: Iterable[Deployed]) -> Iterator[str]:
    """A line for each that does not run as it should, or has not traded."""
    for deployed in deployments:
        if why := _failure(deployed):
            yield f"{deployed.id} on {deployed.portfolio_id} {why}"


def _failure(deployed: Deployed) -> str:
    row = deployed.row
    if deployed.status != "active":
        return f"is {deployed.status}, not active: {row['reason'] or 'it did not come so far in the time allowed'}"
    if row["last_error"]:
        return f"is active and does not run: {row['last_error']}"
    if not deployed.has_caught_up:
        return f"has come to {row['last_day'] or 'no day'} in the time allowed, and there are newer prices"
    return "" if deployed.trades else "has not traded"
