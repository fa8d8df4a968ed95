"""The deeper looks of `manage.py doctor`, by name: slower than a check, and for a person who asks."""

from collections.abc import Callable
from dataclasses import dataclass

from django.db import models

from apps.operations.findings import Finding


class Store(models.TextChoices):
    """What a probe asks, so that it is not tried where that gives no answer."""

    POSTGRESQL = "PostgreSQL"
    REDIS = "Redis"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """`detail` says what was looked at, with its figures; `findings` what is wrong with it."""

    detail: str
    findings: tuple[Finding, ...] = ()


Probe = Callable[[], Diagnosis]


@dataclass(frozen=True, slots=True)
class RegisteredProbe:
    name: str
    look: Probe
    needs: frozenset[Store]

    @property
    def purpose(self) -> str:
        return (self.look.__doc__ or "").strip().split("\n")[0]


PROBES: dict[str, RegisteredProbe] = {}


def register_probe(name: str, *needs: Store) -> Callable[[Probe], Probe]:
    """Makes a function a probe; it raises DatabaseError, RedisError or OSError where it could not look.

    The first line of its docstring is what `doctor --list` says of it.
    """

    def register(probe: Probe) -> Probe:
        if name in PROBES and PROBES[name].look is not probe:
            raise ValueError(f"There is a probe {name!r} already.")
        PROBES[name] = RegisteredProbe(name, probe, frozenset(needs))
        return probe

    return register
