"""The sample jobs of `make run`: a VaR and a performance job on each portfolio, as any client runs them.

They are submitted by the public REST API and followed by a socket; where that cannot be had, by asking for them.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from nautilus_client import AsyncClient, Gap, NautilusError

API = "/api/v1"
RISK, PERFORMANCE = "risk", "performance"
JOB_TIMEOUT_SECONDS = 180.0  # all of them together take two; more means that something is wrong
HEAR_SECONDS = 20.0  # whoever has not been heard to end by then is asked
SOCKET_RETRIES = 2
POLL_INTERVAL_SECONDS = 0.1
GONE_AFTER_SECONDS = 15.0  # a web process that was killed is back before that


class RefusedError(Exception):
    """The API answered with an error; the text is its own."""


@dataclass(slots=True)
class Job:
    """One submitted task, as far as this client knows it."""

    portfolio_id: str
    kind: str
    task_id: str
    submitted: float
    task: dict[str, Any]
    seconds: float = 0.0

    def learn(self, task: dict[str, Any]) -> None:
        self.task = task
        self.seconds = time.perf_counter() - self.submitted

    @property
    def ended(self) -> bool:
        return self.task["status"] != "processing"

    @property
    def result(self) -> dict[str, Any]:
        return self.task["result"] or {} if self.task["status"] == "succeeded" else {}


def show_sample_jobs(address: str, console: Console, timeout_seconds: float = JOB_TIMEOUT_SECONDS) -> int:
    """Submits all jobs at once, shows their progress, then a table; 0 where every job succeeded, else 1."""
    # trust_env: a proxy set for the outside world must not be asked for loopback.
    with httpx.Client(base_url=address, trust_env=False, timeout=30) as client:
        try:
            portfolios = list(_portfolios(client))
            jobs = [job for portfolio in portfolios for job in _submit(client, portfolio)]
            _follow(client, jobs, console, time.perf_counter() + timeout_seconds)
        except (RefusedError, httpx.HTTPError) as error:
            console.print(f"The sample jobs could not be run: {error}", style="bold red", markup=False)
            return 1
    _print_in_full(console, _table(portfolios, jobs))
    return _report_failures(portfolios, jobs, console)


def _print_in_full(console: Console, table: Table) -> None:
    """At the table's own width: a figure cut short is worse than a line that a narrow terminal wraps."""
    needed = console.measure(table, options=console.options.update(width=1000)).maximum
    wide = Console(file=console.file, force_terminal=console.is_terminal, width=max(needed, console.width))
    wide.print("", table, "", sep="\n")


def _portfolios(client: httpx.Client) -> Iterator[dict[str, Any]]:
    url: str | None = f"{API}/portfolios"
    while url:
        page = _answer(client.get(url))
        yield from page["results"]
        url = page["next"]


def _submit(client: httpx.Client, portfolio: dict[str, Any]) -> Iterator[Job]:
    name = portfolio["id"]
    dates = {"start_date": portfolio["inception_date"], "end_date": portfolio["as_of"]}
    for kind, path, inputs in (
        (RISK, "risk/analyze", {"portfolio_id": name}),
        (PERFORMANCE, "performance", {"portfolio_id": name, **dates}),
    ):
        begun = time.perf_counter()
        task = _answer(client.post(f"{API}/sprint3/analytics/{path}", json=inputs))
        yield Job(name, kind, task["task_id"], begun, task)


def _answer(response: httpx.Response) -> dict[str, Any]:
    if response.is_success:
        found: dict[str, Any] = response.json()
        return found
    raise RefusedError(
        f"{response.request.method} {response.request.url}: {response.status_code} {response.text[:1000]}"
    )


def _follow(client: httpx.Client, jobs: list[Job], console: Console, deadline: float) -> None:
    columns = (
        TextColumn("{task.description:32}"),
        BarColumn(30),
        TextColumn("{task.fields[said]:24}"),
        TimeElapsedColumn(),
    )
    # A log takes no moving bars: there the bars' end state is printed, once.
    with Progress(*columns, console=console) as progress:
        bars = {job.task_id: progress.add_task(f"{job.portfolio_id} {job.kind}", total=1, said="") for job in jobs}

        def learn(job: Job, task: dict[str, Any]) -> None:
            job.learn(task)
            _move(progress, bars[job.task_id], job)

        _hear(str(client.base_url), jobs, learn, min(deadline, time.perf_counter() + HEAR_SECONDS))
        _ask(client, jobs, learn, deadline)


Learn = Callable[[Job, dict[str, Any]], None]


def _hear(address: str, jobs: list[Job], learn: Learn, deadline: float) -> None:
    """By the socket, as far as that goes."""

    async def hear_all() -> None:
        async with (
            asyncio.timeout(deadline - time.perf_counter()),
            AsyncClient(address, retries=SOCKET_RETRIES) as client,
        ):
            await asyncio.gather(*(_hear_one(client, job, learn) for job in jobs))

    # In a thread: a signal's exception that hits another task than the main one would be lost in an event loop.
    hearing = ThreadPoolExecutor(max_workers=1)
    try:
        with suppress(NautilusError, TimeoutError):
            hearing.submit(asyncio.run, hear_all()).result()
    finally:
        hearing.shutdown(wait=False)


async def _hear_one(client: AsyncClient, job: Job, learn: Learn) -> None:
    async with client.subscribe(f"tasks:{job.task_id}", since=0) as changes:
        async for change in changes:
            if isinstance(change, Gap) or change.data.get("result_url"):
                return  # only the REST API has all of it
            learn(job, change.data)
            if job.ended:
                return


def _ask(client: httpx.Client, jobs: list[Job], learn: Learn, deadline: float) -> None:
    """By the REST API, until all have ended."""
    while open_jobs := [job for job in jobs if not job.ended]:
        if time.perf_counter() > deadline:
            return
        for job in open_jobs:
            learn(job, _poll(client, job, deadline))
        time.sleep(POLL_INTERVAL_SECONDS)


def _poll(client: httpx.Client, job: Job, deadline: float) -> dict[str, Any]:
    """The task as it stands; a web process that is just being restarted is given time to come back."""
    patience = min(deadline, time.perf_counter() + GONE_AFTER_SECONDS)
    while True:
        try:
            return _answer(client.get(f"{API}/tasks/{job.task_id}"))
        except httpx.TransportError:
            if time.perf_counter() > patience:
                raise
            time.sleep(POLL_INTERVAL_SECONDS)


def _move(progress: Progress, bar: TaskID, job: Job) -> None:
    made = job.task.get("progress") or {}
    said = job.task["status"] if job.ended else made.get("message") or "waiting"
    if job.ended:
        progress.update(bar, total=1, completed=1, said=said)
        progress.stop_task(bar)
    else:
        progress.update(bar, total=made.get("total") or 1, completed=made.get("done") or 0, said=said)


def _table(portfolios: list[dict[str, Any]], jobs: list[Job]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 0))
    table.add_column("portfolio", no_wrap=True)
    for title in ("value", "cash", "VaR 99 %", "ES 99 %", "total", "annual", "Sharpe", "max drawdown", "seconds"):
        table.add_column(title, justify="right", no_wrap=True)
    for portfolio in portfolios:
        table.add_row(portfolio["id"], *_cells(portfolio, [job for job in jobs if job.portfolio_id == portfolio["id"]]))
    return table


def _cells(portfolio: dict[str, Any], jobs: list[Job]) -> Iterator[str]:
    results = {job.kind: job.result for job in jobs}
    risk, metrics = results[RISK], results[PERFORMANCE].get("metrics", {})
    yield _amount(risk.get("portfolio_value", portfolio.get("value")))
    yield _amount(portfolio.get("cash"))
    yield _amount(risk.get("var"))
    yield _amount(risk.get("expected_shortfall"))
    yield _percent(metrics.get("total_return"))
    yield _percent(metrics.get("annual_return"))
    yield "-" if metrics.get("sharpe") is None else f"{metrics['sharpe']:.2f}"
    yield _percent(metrics.get("max_drawdown"))
    yield f"{max(job.seconds for job in jobs):.2f}"


def _amount(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{fraction:.2%}"


def _report_failures(portfolios: list[dict[str, Any]], jobs: list[Job], console: Console) -> int:
    failures = [_failure(job) for job in jobs if job.task["status"] != "succeeded"]
    if not portfolios:
        failures = ["There is no portfolio to show: the sample book was not loaded."]
    for failure in failures:
        console.print(failure, style="red", markup=False, soft_wrap=True)
    return 1 if failures else 0


def _failure(job: Job) -> str:
    name = f"{job.portfolio_id} {job.kind} ({job.task_id})"
    if not job.ended:
        return f"{name} did not end within {job.seconds:.0f} s: {job.task.get('progress')}"
    error = job.task["error"] or {}
    return (
        f"{name} {job.task['status']}: {error.get('code')}: {error.get('detail')} {error.get('remedy') or ''}".rstrip()
    )
