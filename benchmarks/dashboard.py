"""What the dashboard's first page takes: bytes over the wire, and the browser's processor while figures stream in."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import CDPSession, Page
from rich.console import Console
from rich.table import Table

from nautilus.local.environment import local_secrets
from nautilus.local.home import ROOT
from tests.browser import running_browser
from tests.browser_pages.users import User, sign_in
from tests.browser_pages.weighing import weighed
from tests.running import Platform, environment_of, running_platform, wait_until

PORTFOLIOS = 100
# Updates a second of all portfolios together: none, what the goal says, and the same for each portfolio.
RATES = [int(rate) for rate in os.environ.get("BENCH_RATES", f"0,10,{10 * PORTFOLIOS}").split(",")]
SECONDS = int(os.environ.get("BENCH_SECONDS", 20))
WARM_UP_SECONDS = 5
TITLE = f"The overview of {PORTFOLIOS} portfolios while figures stream in"
LIMITS = {"var_99": 25_000, "expected_shortfall_975": 30_000}
# Others would publish as well.
STOPPED = ("market-feed", "analytics-engine")


def run(rounds: int, calls: int) -> dict[str, Any]:
    """One run of SECONDS for each rate, whatever `rounds` and `calls` are."""
    home = Path(tempfile.mkdtemp(prefix="nautilus-bench-"))
    with running_platform(home) as platform, running_browser() as browser:
        ids = _portfolios(platform)
        for name in STOPPED:
            platform.stop(name)
        context = browser.new_context(base_url=platform.address, viewport={"width": 1280, "height": 900})
        page = context.new_page()
        sign_in(page, User("admin", local_secrets(platform.home)["admin_password"]))
        bytes_sent = sum(weighed(page, "/").values())
        runs = {str(rate): _run(platform, page, context.new_cdp_session(page), rate, ids) for rate in RATES}
    return {
        "title": TITLE,
        "goal": "first page under 200 kB compressed; at 10 updates/s under 30 % of one core",
        "first_page_bytes": bytes_sent,
        "portfolios": PORTFOLIOS,
        "seconds": SECONDS,
        "runs": runs,
    }


def _portfolios(platform: Platform) -> list[str]:
    """With the two limits that the page draws as bars; without trades, so that only we publish their figures."""
    ids = [f"DESK_{number:03d}" for number in range(PORTFOLIOS)]
    terms = {"base_currency": "USD", "initial_cash": 1_000_000, "inception_date": "2022-01-03"}
    with platform.client() as client:
        for each in ids:
            client.post("/api/v1/portfolios", json={"id": each, "name": each, **terms}).raise_for_status()
            for kind, threshold in LIMITS.items():
                limit = {"portfolio_id": each, "kind": kind, "threshold_value": threshold}
                client.post("/api/v1/sprint3/risk/limits", json=limit).raise_for_status()
    return ids


def _run(platform: Platform, page: Page, session: CDPSession, rate: int, ids: list[str]) -> dict[str, Any]:
    page.goto("/")
    page.wait_for_selector("#connection[data-state=live]")
    publisher = _publisher(platform, rate, ids)
    time.sleep(WARM_UP_SECONDS)
    session.send("Performance.enable")
    before, used = _metrics(session), _cpu_seconds()
    page.wait_for_timeout(1_000 * SECONDS)
    after, used_after = _metrics(session), _cpu_seconds()
    publisher.send_signal(signal.SIGTERM)
    said = json.loads(publisher.communicate(timeout=60)[0])
    wait_until(lambda: _shows(page, said["last"]), 10, "the page to show the last figures")
    seconds = after["Timestamp"] - before["Timestamp"]
    shares = {name: (after[name] - before[name]) / seconds for name in ("TaskDuration", "ScriptDuration")}
    drawing = ("LayoutDuration", "RecalcStyleDuration")
    return {
        "updates_per_second": said["per_second"],
        "main_thread": round(shares["TaskDuration"], 4),
        "of_it_scripts": round(shares["ScriptDuration"], 4),
        "of_it_layout_and_style": round(sum(after[name] - before[name] for name in drawing) / seconds, 4),
        "browser_cores": round((used_after - used) / seconds, 4),
        "heap_megabytes": round(after["JSHeapUsedSize"] / 2**20, 1),
    }


def _publisher(platform: Platform, rate: int, ids: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.dashboard_publisher", str(rate), *ids],
        cwd=ROOT,
        env={**os.environ, **environment_of(platform), "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"},
        stdout=subprocess.PIPE,
        text=True,
    )


def _metrics(session: CDPSession) -> dict[str, float]:
    return {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}


def _cpu_seconds() -> float:
    """Of all of the browser's processes: what paints is another one than what runs the page."""
    times = [each.cpu_times() for each in psutil.Process().children(recursive=True) if "chrom" in each.name()]
    return sum(each.user + each.system for each in times)


def _shows(page: Page, last: dict[str, float]) -> bool:
    """The page writes amounts from 1,000 on in whole units."""
    texts = "rows => rows.map((row) => [row.dataset.portfolio, row.querySelector('[data-figure=value]').textContent])"
    shown = dict(page.eval_on_selector_all("tr[data-portfolio]", texts))
    return all(shown.get(each) == f"{value:,.0f}" for each, value in last.items())


def show(console: Console, answer: dict[str, Any]) -> None:
    table = Table("updates/s", "main thread", "scripts", "layout, style", "browser, cores", "heap MB", title=TITLE)
    for one in answer["runs"].values():
        shares = (one["main_thread"], one["of_it_scripts"], one["of_it_layout_and_style"], one["browser_cores"])
        table.add_row(
            f"{one['updates_per_second']:,.0f}", *(f"{share:.1%}" for share in shares), f"{one['heap_megabytes']:.1f}"
        )
    console.print(table)
    console.print(f"First page: {answer['first_page_bytes'] / 1e3:.0f} kB. Goal: {answer['goal']}.", highlight=False)
