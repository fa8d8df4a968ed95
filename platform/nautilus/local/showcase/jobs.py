"""Jobs on portfolios: submitted all at once, followed to their ends."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from nautilus.local.showcase.answers import API, POLL_INTERVAL_SECONDS, answer, patient_answer
from nautilus.local.showcase.hearing import hear

RISK, PERFORMANCE = "risk", "performance"
PATHS = {RISK: "risk/analyze", PERFORMANCE: "performance"}
HEAR_SECONDS = 20.0  # whoever has not been heard to end by then is asked


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


def submit(client: httpx.Client, kind: str, **inputs: Any) -> Job:
    begun = time.perf_counter()
    task = answer(client.post(f"{API}/sprint3/analytics/{PATHS[kind]}", json=inputs))
    return Job(inputs["portfolio_id"], kind, task["task_id"], begun, task)


def follow_jobs(client: httpx.Client, jobs: list[Job], console: Console, deadline: float) -> None:
    with progress_on(console) as progress:
        bars = {job.task_id: progress.add_task(f"{job.portfolio_id} {job.kind}", total=1, said="") for job in jobs}

        def learn(job: Job, task: dict[str, Any]) -> None:
            job.learn(task)
            _move(progress, bars[job.task_id], job)

        listeners = {f"tasks:{job.task_id}": partial(_listen, job, learn) for job in jobs}
        hear(str(client.base_url), listeners, min(deadline, time.perf_counter() + HEAR_SECONDS))
        _ask(client, jobs, learn, deadline)


def progress_on(console: Console) -> Progress:
    """Bars that move. A log takes none: there their end state is printed, once."""
    return Progress(
        TextColumn("{task.description:32}"),
        BarColumn(30),
        TextColumn("{task.fields[said]:24}"),
        TimeElapsedColumn(),
        console=console,
    )


Learn = Callable[[Job, dict[str, Any]], None]


def _listen(job: Job, learn: Learn, task: dict[str, Any]) -> bool:
    if task.get("result_url"):
        return True  # only the REST API has all of it
    learn(job, task)
    return job.ended


def _ask(client: httpx.Client, jobs: list[Job], learn: Learn, deadline: float) -> None:
    """By the REST API, until all have ended."""
    while open_jobs := [job for job in jobs if not job.ended]:
        if time.perf_counter() > deadline:
            return
        for job in open_jobs:
            learn(job, patient_answer(client, f"{API}/tasks/{job.task_id}", deadline))
        time.sleep(POLL_INTERVAL_SECONDS)


def _move(progress: Progress, bar: TaskID, job: Job) -> None:
    made = job.task.get("progress") or {}
    said = job.task["status"] if job.ended else made.get("message") or "waiting"
    if job.ended:
        progress.update(bar, total=1, completed=1, said=said)
        progress.stop_task(bar)
    else:
        progress.update(bar, total=made.get("total") or 1, completed=made.get("done") or 0, said=said)


def job_failures(jobs: Iterable[Job]) -> Iterator[str]:
    """A line for each that did not succeed."""
    return (_failure(job) for job in jobs if job.task["status"] != "succeeded")


def _failure(job: Job) -> str:
    name = f"{job.portfolio_id} {job.kind} ({job.task_id})"
    if not job.ended:
        return f"{name} did not end within {job.seconds:.0f} s: {job.task.get('progress')}"
    error = job.task["error"] or {}
    return (
        f"{name} {job.task['status']}: {error.get('code')}: {error.get('detail')} {error.get('remedy') or ''}".rstrip()
    )
