"""The deeper looks of `manage.py doctor`, by name: slower than a check, and for a person who asks."""

from collections.abc import Callable
from dataclasses import dataclass

from apps.operations.findings import Finding


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """`detail` says what was looked at, with its figures; `findings` what is wrong with it."""

    detail: str
    findings: tuple[Finding, ...] = ()


Probe = Callable[[], Diagnosis]

PROBES: dict[str, Probe] = {}


def register_probe(name: str) -> Callable[[Probe], Probe]:
    """Makes a function a probe; it raises DatabaseError, RedisError or OSError where it could not look."""

    def register(probe: Probe) -> Probe:
        if PROBES.get(name, probe) is not probe:
            raise ValueError(f"There is a probe {name!r} already.")
        PROBES[name] = probe
        return probe

    return register
