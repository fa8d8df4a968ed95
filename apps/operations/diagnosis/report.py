"""What the doctor saw, for a person as a table and for a program as JSON."""

from collections.abc import Sequence
from typing import Any

from django.utils import timezone
from rich.console import Console
from rich.table import Table

from apps.operations.diagnosis.examination import COULD_NOT_LOOK, Done, exit_code
from apps.operations.diagnosis.looking import Look
from apps.operations.findings import Finding, Status

COLOURS = {Status.HEALTHY: "green", Status.DEGRADED: "yellow", Status.UNHEALTHY: "red", None: "magenta"}
COULD_NOT = "could not look"
STATUSES = (Status.HEALTHY.value, Status.DEGRADED.value, Status.UNHEALTHY.value, COULD_NOT)


def as_json(looks: Sequence[Look], done: Sequence[Done]) -> dict[str, Any]:
    return {
        "status": STATUSES[exit_code(looks)],
        "timestamp": f"{timezone.now():%Y-%m-%dT%H:%M:%SZ}",
        "looks": {look.name: _look_as_dict(look) for look in looks},
        "fixes": [each.as_dict() for each in done],
    }


def _look_as_dict(look: Look) -> dict[str, Any]:
    return {
        "status": look.status.value if look.status is not None else COULD_NOT,
        "latency_ms": round(look.elapsed_ms, 1),
        "detail": look.detail or look.failure,
        "findings": [finding.as_dict() | {"fixable": finding.fix is not None} for finding in look.findings],
    }


def print_table(console: Console, looks: Sequence[Look], done: Sequence[Done], *, dry_run: bool = False) -> None:
    console.print(_table(looks))
    for look in looks:
        for finding in look.findings:
            _print_finding(console, look.name, finding)
    for each in done:
        _print_done(console, each, dry_run=dry_run)
    console.print(_conclusion(looks))


def _table(looks: Sequence[Look]) -> Table:
    table = Table("looked at", "status", "what was seen", title="nautilus doctor", title_justify="left")
    for look in looks:
        status = look.status.value if look.status is not None else COULD_NOT
        table.add_row(look.name, f"[{COLOURS[look.status]}]{status}[/]", _plain(look.detail or look.failure))
    return table


def _print_finding(console: Console, name: str, finding: Finding) -> None:
    """A row a line, so that the command can be copied whole."""
    console.print(f"\n[{COLOURS[finding.status]}]{finding.status.value}[/] [bold]{name}[/]: {_plain(finding.symptom)}")
    for title, text in (("cause", finding.cause), ("remedy", finding.remedy), ("link", finding.link)):
        console.print(f"  {title:7} {_plain(text)}", soft_wrap=True)


def _print_done(console: Console, done: Done, *, dry_run: bool) -> None:
    if dry_run:
        console.print(f"\nwould fix [bold]{done.name}[/]: {_plain(done.would)}")
    elif done.failure:
        console.print(f"\n[red]not fixed[/] [bold]{done.name}[/]: {_plain(done.would)}: {_plain(done.failure)}")
    else:
        console.print(f"\n[green]fixed[/] [bold]{done.name}[/]: {_plain(done.did)}")


def _conclusion(looks: Sequence[Look]) -> str:
    code = exit_code(looks)
    fixable = sum(finding.fix is not None for look in looks for finding in look.findings)
    hint = f" {fixable} can be mended by `scripts/manage.sh doctor --fix`." if fixable else ""
    colour = COLOURS[None if code == COULD_NOT_LOOK else list(Status)[code]]
    count = sum(len(look.findings) for look in looks)
    return f"\n[{colour}]{STATUSES[code]}[/]: {len(looks)} looked at, {count} findings.{hint}"


def _plain(text: str) -> str:
    """Brackets of a statement or an error are no markup of rich's."""
    return text.replace("[", r"\[")
