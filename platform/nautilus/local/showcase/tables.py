"""The two tables: portfolios with their risk and performance, deployments with their backtest and what they made."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from nautilus.local.showcase.deployments import Deployed
from nautilus.local.showcase.jobs import PERFORMANCE, RISK, Job

MISSING = "-"


def print_in_full(console: Console, table: Table) -> None:
    """At the table's own width: a figure cut short is worse than a line that a narrow terminal wraps."""
    needed = console.measure(table, options=console.options.update(width=1000)).maximum
    wide = Console(file=console.file, force_terminal=console.is_terminal, width=max(needed, console.width))
    wide.print("", table, "", sep="\n")


def portfolios_table(portfolios: Sequence[dict[str, Any]], jobs: Sequence[Job]) -> Table:
    figures = ("value", "cash", "VaR 99 %", "ES 99 %", "total", "annual", "Sharpe", "max drawdown", "seconds")
    table = _table(("portfolio",), figures)
    for portfolio in portfolios:
        of_it = [job for job in jobs if job.portfolio_id == portfolio["id"]]
        table.add_row(portfolio["id"], *_portfolio_cells(portfolio, of_it))
    return table


def _table(names: Sequence[str], figures: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 0))
    for title in names:
        table.add_column(title, no_wrap=True)
    for title in figures:
        table.add_column(title, justify="right", no_wrap=True)
    return table


def _portfolio_cells(portfolio: dict[str, Any], jobs: Sequence[Job]) -> Iterator[str]:
    results = {job.kind: job.result for job in jobs}
    risk, metrics = results[RISK], results[PERFORMANCE].get("metrics", {})
    yield _amount(risk.get("portfolio_value", portfolio.get("value")))
    yield _amount(portfolio.get("cash"))
    yield _amount(risk.get("var"))
    yield _amount(risk.get("expected_shortfall"))
    yield _percent(metrics.get("total_return"))
    yield _percent(metrics.get("annual_return"))
    yield _ratio(metrics.get("sharpe"))
    yield _percent(metrics.get("max_drawdown"))
    yield f"{max(job.seconds for job in jobs):.2f}"


def deployments_table(deployments: Sequence[Deployed], jobs: Sequence[Job]) -> Table:
    """Sharpe and drawdown are those of the backtest, the return is what the portfolio made since the start."""
    table = _table(
        ("deployment", "strategy", "portfolio", "status"), ("Sharpe", "drawdown", "trades", "value", "return")
    )
    returns = {job.portfolio_id: job.result.get("metrics", {}).get("total_return") for job in jobs}
    for deployed in deployments:
        table.add_row(*_deployment_cells(deployed, returns.get(deployed.portfolio_id)))
    return table


def _deployment_cells(deployed: Deployed, total_return: float | None) -> Iterator[str]:
    figures = deployed.backtest
    yield deployed.id
    yield f"{deployed.strategy}, version {deployed.version}"
    yield deployed.portfolio_id
    yield deployed.status
    yield _ratio(figures.get("sharpe"))
    yield _percent(figures.get("max_drawdown"))
    yield str(deployed.trades)
    yield _amount(deployed.portfolio.get("value"))
    yield _percent(total_return)


def _amount(value: float | None) -> str:
    return MISSING if value is None else f"{value:,.2f}"


def _ratio(value: float | None) -> str:
    return MISSING if value is None else f"{value:.2f}"


def _percent(fraction: float | None) -> str:
    return MISSING if fraction is None else f"{fraction:.2%}"
