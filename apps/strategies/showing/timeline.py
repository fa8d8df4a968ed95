"""The way of a deployment, step by step, as its page shows it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from apps.strategies.models import Deployment, DeploymentStep
from apps.strategies.showing.curve import Curve, equity_curve
from apps.strategies.showing.results import Table, result_tables

Status = DeploymentStep.Status

# Names of Material Symbols, and of colours in strategies/admin.css.
_SIGNS = {
    Status.PENDING: ("schedule", "idle"),
    Status.RUNNING: ("pending", "busy"),
    Status.SUCCEEDED: ("check_circle", "good"),
    Status.FAILED: ("error", "bad"),
    Status.SKIPPED: ("skip_next", "idle"),
    Status.CANCELLED: ("cancel", "warn"),
}


@dataclass(frozen=True, slots=True)
class ShownStep:
    """`log`, `tables` and `curve` are empty for who reads no book."""

    name: str
    status: str
    icon: str
    tone: str
    began_at: datetime | None
    took: str
    attempts: int
    log: str
    tables: list[Table]
    curve: Curve | None


def timeline(deployment: Deployment, *, with_results: bool) -> list[ShownStep]:
    return [_shown(step, with_results) for step in deployment.steps.all()]


def _shown(step: DeploymentStep, with_results: bool) -> ShownStep:
    result: dict[str, Any] = (step.result or {}) if with_results else {}
    waits = step.name == "approval" and step.status == Status.RUNNING
    icon, tone = ("hourglass_top", "warn") if waits else _SIGNS[Status(step.status)]
    return ShownStep(
        name=step.name,
        status="waits for somebody" if waits else step.status,
        icon=icon,
        tone=tone,
        began_at=step.started_at,
        took=_took(step),
        attempts=step.attempts,
        log=step.log if with_results else "",
        tables=result_tables(step.name, result),
        curve=equity_curve(result.get("curve")),
    )


def _took(step: DeploymentStep) -> str:
    if step.started_at is None:
        return ""
    if step.finished_at is None:
        return f"{duration((timezone.now() - step.started_at).total_seconds())} so far"
    return duration((step.finished_at - step.started_at).total_seconds())


def duration(seconds: float) -> str:
    """In the two largest units: "3 d 4 h", "2 min 5 s"; below a minute in seconds."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
