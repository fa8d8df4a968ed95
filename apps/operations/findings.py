"""What a look at the platform comes to: how a component does, and what is wrong with it.

A finding is written for the operator who reads it at night: the symptom as he sees it, the cause that was found, the
one command that mends it, and the section of docs/runbook.md that tells the rest.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import models

from apps.operations.sections import SECTIONS


class Status(models.TextChoices):
    """From good to bad: `worst` goes by this order."""

    HEALTHY = "healthy"
    DEGRADED = "degraded", "degraded: works, and needs a hand soon"
    UNHEALTHY = "unhealthy", "unhealthy: something that clients or the desk rely on does not work"


_ORDER = list(Status)


def worst(statuses: Iterable[Status]) -> Status:
    return max(statuses, key=_ORDER.index, default=Status.HEALTHY)


@dataclass(frozen=True, slots=True)
class Finding:
    """`section` is an anchor of docs/runbook.md. `fix` mends it and says what it did; None where a person must.

    `fix` does nothing that could lose work, data or a figure.
    """

    status: Status
    symptom: str
    cause: str
    remedy: str
    section: str
    fix: Callable[[], str] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.section not in SECTIONS:
            raise ValueError(f"docs/runbook.md has no section {self.section!r}; add it to sections.py and there.")

    @property
    def link(self) -> str:
        return f"docs/runbook.md#{self.section}"

    def as_dict(self) -> dict[str, Any]:
        names = ("symptom", "cause", "remedy", "link")
        return {"status": self.status.value, **{name: getattr(self, name) for name in names}}


@dataclass(frozen=True, slots=True)
class Health:
    """How a component does: `detail` in a sentence with its figures, and what is wrong, the worst first."""

    detail: str
    findings: tuple[Finding, ...] = ()

    @property
    def status(self) -> Status:
        return worst(finding.status for finding in self.findings)

    @property
    def leading(self) -> Finding | None:
        """The finding that the component answers with: the first of the worst."""
        return next((finding for finding in self.findings if finding.status == self.status), None)
