"""Probes one after the other, each in a thread of its own with a time limit: a store that hangs does not hang us.

One that hangs is named once; the probes that need it are then passed over, with the reason, until it answers again.
"""

import importlib
import pkgutil
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection

from apps.operations.diagnosis import probes
from apps.operations.diagnosis.registry import PROBES, Diagnosis, RegisteredProbe, Store
from apps.operations.findings import Finding, Status, worst
from nautilus.connections import impatient_redis_client

LIMIT_SECONDS = 10.0
PING_LIMIT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Look:
    """What a probe saw; `failure` says why it could not look, and then there is nothing else."""

    name: str
    elapsed_ms: float
    detail: str = ""
    findings: tuple[Finding, ...] = ()
    failure: str = ""

    @property
    def status(self) -> Status | None:
        """None where it could not look: that is neither good nor bad news."""
        return None if self.failure else worst(finding.status for finding in self.findings)


def load_probes() -> dict[str, RegisteredProbe]:
    """All there are: a file in probes/ is one."""
    for module in pkgutil.iter_modules(probes.__path__):
        importlib.import_module(f"{probes.__name__}.{module.name}")
    return dict(sorted(PROBES.items()))


def look_at(chosen: Iterable[RegisteredProbe], limit_seconds: float = LIMIT_SECONDS) -> Iterator[Look]:
    """The looks as they come. No probe raises, and none takes longer than its limit."""
    silent = silent_stores()
    for probe in chosen:
        reasons = [reason for store, reason in silent.items() if store in probe.needs]
        if reasons:
            yield Look(probe.name, 0.0, failure=f"not looked at: {' '.join(reasons)}")
            continue
        look = _look(probe, limit_seconds)
        if look.failure:
            silent = silent_stores()
        yield look


def silent_stores() -> dict[Store, str]:
    """The stores that give no answer now, with the reason."""
    pings: dict[Store, Callable[[], Any]] = {Store.POSTGRESQL: _ping_postgresql, Store.REDIS: _ping_redis}
    answers = {store: within(PING_LIMIT_SECONDS, ping) for store, ping in pings.items()}
    return {store: f"{store} {_why_silent(answer)}." for store, answer in answers.items() if not answer.returned}


@dataclass(frozen=True, slots=True)
class Answer:
    returned: bool
    value: Any = None
    error: Exception | None = None


def within(seconds: float, function: Callable[[], Any]) -> Answer:
    """What a function returned or raised in a thread of its own, or that it did neither in time.

    A thread that hangs is left behind; it does not keep the process from ending.
    """
    answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
    threading.Thread(target=lambda: answers.put(_answer(function)), daemon=True).start()
    try:
        return answers.get(timeout=seconds)
    except queue.Empty:
        return Answer(returned=False)


def _answer(function: Callable[[], Any]) -> Answer:
    try:
        return Answer(returned=True, value=function())
    except Exception as error:
        return Answer(returned=False, error=error)
    finally:
        connection.close()


def _look(probe: RegisteredProbe, limit_seconds: float) -> Look:
    began = time.monotonic()
    answer = within(limit_seconds, probe.look)
    elapsed_ms = (time.monotonic() - began) * 1000
    if not answer.returned:
        return Look(probe.name, elapsed_ms, failure=f"could not look: {_why(answer, limit_seconds)}")
    diagnosis: Diagnosis = answer.value
    return Look(probe.name, elapsed_ms, diagnosis.detail, diagnosis.findings)


def _why(answer: Answer, limit_seconds: float) -> str:
    if answer.error is None:
        return f"no answer within {limit_seconds:g} s"
    return f"{type(answer.error).__name__}: {' '.join(str(answer.error).split())}"


def _why_silent(answer: Answer) -> str:
    return f"gives no answer ({_why(answer, PING_LIMIT_SECONDS)})"


def _ping_postgresql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _ping_redis() -> None:
    impatient_redis_client().ping()
