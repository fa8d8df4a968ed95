"""All that the doctor looks at, the checks and the probes, as one list; and what is done about it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from apps.operations.checks.registry import COMPONENTS
from apps.operations.diagnosis.fixing import Fix
from apps.operations.diagnosis.looking import LIMIT_SECONDS, Look, load_probes, look_at, within
from apps.operations.findings import Finding, Status
from apps.operations.running import run_checks

FIX_LIMIT_SECONDS = 600.0

HEALTHY, DEGRADED, UNHEALTHY, COULD_NOT_LOOK = range(4)
_CODES = {Status.HEALTHY: HEALTHY, Status.DEGRADED: DEGRADED, Status.UNHEALTHY: UNHEALTHY, None: COULD_NOT_LOOK}


@dataclass(frozen=True, slots=True)
class Done:
    """What was done about a finding; `failure` says why it could not be."""

    name: str
    would: str
    did: str = ""
    failure: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "would": self.would, "did": self.did or None, "failure": self.failure or None}


def names() -> dict[str, str]:
    """Everything that can be looked at, with what it is: the components first, then the probes."""
    components = dict.fromkeys(COMPONENTS, "the health check of this component, as /system/health has it")
    return components | {name: probe.purpose for name, probe in load_probes().items()}


def examine(chosen: Sequence[str], limit_seconds: float = LIMIT_SECONDS) -> list[Look]:
    """Looks at what is named, or at everything where nothing is. Raises ValueError for a name that there is not."""
    if unknown := [name for name in chosen if name not in names()]:
        raise ValueError(f"There is nothing named {unknown[0]!r} to look at; expected some of {', '.join(names())}.")
    wanted = set(chosen or names())
    probes = [probe for name, probe in load_probes().items() if name in wanted]
    return [*_components(wanted, limit_seconds), *look_at(probes, limit_seconds)]


def _components(wanted: Iterable[str], limit_seconds: float) -> Iterator[Look]:
    chosen = [name for name in COMPONENTS if name in wanted]
    for name, found in run_checks(chosen, seconds=limit_seconds).items() if chosen else ():
        yield Look(name, found.latency_ms, found.health.detail, found.health.findings)


def exit_code(looks: Iterable[Look]) -> int:
    """0 healthy, 1 degraded, 2 unhealthy, 3 something could not be looked at and nothing else is unhealthy."""
    codes = {_CODES[look.status] for look in looks}
    return UNHEALTHY if UNHEALTHY in codes else max(codes, default=HEALTHY)


def mend(looks: Iterable[Look], *, dry_run: bool = False) -> Iterator[Done]:
    """Does, finding by finding, what is safe; where it is only asked what it would do, changes nothing."""
    for look in looks:
        for finding in look.findings:
            if finding.fix is not None:
                yield Done(look.name, _would(finding)) if dry_run else _do(look.name, finding)


def _would(finding: Finding) -> str:
    return finding.fix.would if isinstance(finding.fix, Fix) else f"mend by itself: {finding.symptom}"


def _do(name: str, finding: Finding) -> Done:
    assert finding.fix is not None
    answer = within(FIX_LIMIT_SECONDS, finding.fix)
    if answer.returned:
        return Done(name, _would(finding), did=str(answer.value))
    said = f"no end within {FIX_LIMIT_SECONDS:g} s" if answer.error is None else str(answer.error).strip()
    return Done(name, _would(finding), failure=said)
