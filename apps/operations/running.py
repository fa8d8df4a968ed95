"""Runs checks beside each other, each in a thread of its own and with a time limit.

A check that hangs keeps its thread until the store answers or gives up, and is not started a second time meanwhile: its
component says since when there is no answer. Two callers at once share what is under way.
"""

import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.utils import Error as DatabaseError
from redis.exceptions import RedisError

from apps.operations.background import Run
from apps.operations.blame import finding_of_error, finding_of_silence
from apps.operations.checks.registry import CHECKS, COMPONENTS, Check
from apps.operations.findings import Finding, Health, Status
from apps.operations.naming import words_for_all

__all__ = ["CHECK_SECONDS", "ComponentHealth", "Run", "is_hanging", "run_all", "run_checks"]

# A whole answer stays within 2 s: what asking who asks has taken goes off this (api/views.py).
CHECK_SECONDS = 1.7

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ComponentHealth:
    """What a check came to, and how long it took; for one that goes on, how long it has taken so far."""

    health: Health
    latency_ms: float

    @property
    def status(self) -> Status:
        return self.health.status

    def as_dict(self, *, with_names: bool = False) -> dict[str, Any]:
        """As health bodies have it: the words of the leading finding, then all findings (naming.py)."""
        worded = Finding.as_dict if with_names else words_for_all
        leading = self.health.leading
        words = worded(leading) if leading else dict.fromkeys(("symptom", "cause", "remedy", "link"))
        return {
            **words,
            "status": self.status.value,
            "latency_ms": self.latency_ms,
            "detail": self.health.detail,
            "findings": [worded(finding) for finding in self.health.findings],
        }


_under_way: dict[str, Run[Health]] = {}
_lock = threading.Lock()


def run_checks(names: Iterable[str] | None = None, *, seconds: float = CHECK_SECONDS) -> dict[str, ComponentHealth]:
    """How the components do, all of them or those named, in the contract's order; takes `seconds` at the most.

    Raises ValueError for a name that is no component.
    """
    wanted = _known(names)
    return run_all({name: CHECKS[name] for name in wanted}, seconds=seconds)


def run_all(checks: Mapping[str, Check], *, seconds: float = CHECK_SECONDS) -> dict[str, ComponentHealth]:
    runs = {name: _run_of(name, check) for name, check in checks.items()}
    return {name: _outcome(name, run, seconds) for name, run in runs.items()}


def is_hanging(name: str, seconds: float) -> bool:
    """Whether a check that began so long ago or longer still goes on."""
    run = _under_way.get(name)
    return run is not None and run.elapsed_seconds >= seconds


def _known(names: Iterable[str] | None) -> list[str]:
    wanted = list(COMPONENTS if names is None else names)
    if unknown := [name for name in wanted if name not in COMPONENTS]:
        raise ValueError(f"{unknown[0]!r} is no component; expected some of {', '.join(COMPONENTS)}.")
    return [name for name in COMPONENTS if name in wanted and name in CHECKS]


def _run_of(name: str, check: Check) -> Run[Health]:
    with _lock:
        run = _under_way.get(name)
        if run is None:
            run = Run(f"check {name}", check, at_end=lambda: _forget(name))
            if run.start():  # its end waits for the lock, and so comes after this
                _under_way[name] = run
        return run


def _forget(name: str) -> None:
    with _lock:
        _under_way.pop(name, None)


def _outcome(name: str, run: Run[Health], seconds: float) -> ComponentHealth:
    if not run.has_ended(seconds):
        health = _without_answer(name, run)
    elif run.error is not None:
        health = _failed(name, run.error)
    else:
        assert run.answer is not None, f"the check of {name} returned nothing; expected a Health"
        health = run.answer
    return ComponentHealth(health, round(run.elapsed_seconds * 1000, 1))


def _without_answer(name: str, run: Run[Health]) -> Health:
    finding = finding_of_silence(name, run.waits_for, run.began_at, run.elapsed_seconds)
    return Health(f"no answer since {run.began_at:%Y-%m-%dT%H:%M:%SZ}", (finding,))


def _failed(name: str, error: Exception) -> Health:
    finding = finding_of_error(name, error)
    if not isinstance(error, (DatabaseError, RedisError)):
        logger.error("The check of %s failed", name, exc_info=error)
    return Health(f"the check failed: {type(error).__name__}", (finding,))
