"""The order of the showcase: jobs and their table, then deployments, a performance job on each, and theirs."""

import time
from collections.abc import Sequence
from typing import Any

import httpx
from rich.console import Console

from nautilus.local.showcase.answers import API, RefusedError, every_row
from nautilus.local.showcase.deployments import (
    Deployed,
    asked_samples,
    deploy_once,
    deployment_failures,
    follow_deployments,
)
from nautilus.local.showcase.jobs import PERFORMANCE, RISK, Job, follow_jobs, job_failures, submit
from nautilus.local.showcase.tables import deployments_table, portfolios_table, print_in_full

JOB_TIMEOUT_SECONDS = 180.0  # all of them together take two; more means that something is wrong
DEPLOYMENT_TIMEOUT_SECONDS = 300.0  # so do the pipelines and a year of trades, which take some twenty

Asked = Sequence[dict[str, Any]]


def show_samples(
    address: str,
    console: Console,
    timeout_seconds: float = JOB_TIMEOUT_SECONDS,
    deployment_timeout_seconds: float = DEPLOYMENT_TIMEOUT_SECONDS,
    asked: Asked | None = None,
) -> int:
    """Both tables; 0 where all of it came out well, else 1. `asked` are the deployments, by default the samples'."""
    asked = asked_samples() if asked is None else asked
    # trust_env: a proxy set for the outside world must not be asked for loopback.
    with httpx.Client(base_url=address, trust_env=False, timeout=30) as client:
        try:
            failures = _show_jobs(client, console, asked, timeout_seconds)
            if asked:
                failures += _show_deployments(client, console, asked, deployment_timeout_seconds)
        except (RefusedError, httpx.HTTPError) as error:
            console.print(f"The samples could not be shown: {error}", style="bold red", markup=False)
            return 1
    return 1 if failures else 0


def _show_jobs(client: httpx.Client, console: Console, asked: Asked, timeout_seconds: float) -> list[str]:
    """On every portfolio but those of the deployments, which have a table of their own."""
    of_deployments = {each["portfolio_id"] for each in asked}
    listed = every_row(client, f"{API}/portfolios")
    portfolios = [portfolio for portfolio in listed if portfolio["id"] not in of_deployments]
    deadline = time.perf_counter() + timeout_seconds
    jobs = [job for portfolio in portfolios for job in _submit_both(client, portfolio)]
    follow_jobs(client, jobs, console, deadline)
    print_in_full(console, portfolios_table(portfolios, jobs))
    if not portfolios:
        return _told(console, ["There is no portfolio to show: the sample book was not loaded."])
    return _told(console, list(job_failures(jobs)))


def _submit_both(client: httpx.Client, portfolio: dict[str, Any]) -> list[Job]:
    name = portfolio["id"]
    dates = {"start_date": portfolio["inception_date"], "end_date": portfolio["as_of"]}
    return [submit(client, RISK, portfolio_id=name), submit(client, PERFORMANCE, portfolio_id=name, **dates)]


def _show_deployments(client: httpx.Client, console: Console, asked: Asked, timeout_seconds: float) -> list[str]:
    deadline = time.perf_counter() + timeout_seconds
    deployments = [deploy_once(client, each) for each in asked]
    follow_deployments(client, deployments, console, deadline)
    jobs = [_submit_performance(client, each) for each in deployments if each.has_caught_up]
    follow_jobs(client, jobs, console, time.perf_counter() + JOB_TIMEOUT_SECONDS)
    print_in_full(console, deployments_table(deployments, jobs))
    return _told(console, [*deployment_failures(deployments), *job_failures(jobs)])


def _submit_performance(client: httpx.Client, deployed: Deployed) -> Job:
    dates = {"start_date": deployed.start_date, "end_date": deployed.portfolio["as_of"]}
    return submit(client, PERFORMANCE, portfolio_id=deployed.portfolio_id, **dates)


def _told(console: Console, failures: list[str]) -> list[str]:
    for failure in failures:
        console.print(failure, style="red", markup=False, soft_wrap=True)
    return failures
