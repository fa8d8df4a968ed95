"""How every component does, as the operations page shows it: what needs a hand first."""

from dataclasses import dataclass
from typing import Any

from django.utils.dateparse import parse_datetime

from apps.operations.findings import Status
from apps.operations.health import health_body
from apps.operations.sections import SECTIONS

_WORST_FIRST = (Status.UNHEALTHY, Status.DEGRADED)


@dataclass(frozen=True, slots=True)
class ShownFinding:
    """`section` is the anchor in docs/runbook.md, `about` that section's heading."""

    number: str
    status: str
    symptom: str
    cause: str
    remedy: str
    section: str
    about: str


@dataclass(frozen=True, slots=True)
class Component:
    name: str
    title: str
    status: str
    detail: str
    latency_ms: float
    findings: tuple[ShownFinding, ...]


def health_figures(*, seconds: float, with_names: bool) -> dict[str, Any]:
    """Takes `seconds` at the most.

    `with_names`: of portfolios and tasks, as GET …/system/health gives them to those who may know of all.
    """
    body = health_body(seconds=seconds, with_names=with_names)
    components = [_component(name, told) for name, told in body["components"].items()]
    ill = [each for status in _WORST_FIRST for each in components if each.status == status]
    return {
        "status": body["status"],
        "version": body["version"],
        "looked_at": parse_datetime(body["timestamp"]),
        "ill": ill,
        "well": [each for each in components if each.status == Status.HEALTHY],
        "words": _words(ill, len(components)),
    }


def _component(name: str, told: dict[str, Any]) -> Component:
    findings = tuple(_finding(number, finding) for number, finding in enumerate(told["findings"], 1))
    return Component(name, _title(name), told["status"], told["detail"], told["latency_ms"], findings)


def _finding(number: int, told: dict[str, Any]) -> ShownFinding:
    section = told["link"].partition("#")[2]
    words = {name: str(told[name]) for name in ("status", "symptom", "cause", "remedy")}
    return ShownFinding(str(number), **words, section=section, about=SECTIONS.get(section, section))


def _title(name: str) -> str:
    return {"websocket": "WebSocket"}.get(name, name.replace("_", " ").capitalize())


def _words(ill: list[Component], total: int) -> str:
    """In a sentence, which is read aloud when it changes."""
    if not ill:
        return f"All {total} components are healthy."
    named = ", ".join(f"{each.title} is {each.status}" for each in ill)
    return f"{total - len(ill)} of {total} components are healthy; {named}."
