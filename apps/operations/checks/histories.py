"""Whether versions are what their hashes say: read anew every while, beside the checks, as it may take seconds."""

import threading
import time

from apps.operations.background import Run
from apps.operations.diagnosis.probes.version_history import look
from apps.operations.diagnosis.registry import Diagnosis
from apps.operations.findings import Finding
from apps.operations.naming import NamingFinding

READ_EVERY_SECONDS = 20.0
FIRST_WAIT_SECONDS = 0.5  # for the first reading of a process; later ones are told when they have ended


class Histories:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._run: Run[Diagnosis] | None = None
        self._ended: Run[Diagnosis] | None = None

    def latest(self) -> tuple[str, tuple[Finding, ...]]:
        """What was read last, in words with its age, and what is wrong. Raises what the reading raised."""
        with self._lock:
            self._go_on()
            run = self._ended
            if run is not None and run.error is not None:
                self._run = self._ended = None  # the next look tries again at once
        if run is None:
            return "not read yet", ()
        if run.error is not None:
            raise run.error
        assert run.answer is not None, "the reading returned nothing; expected a Diagnosis"
        return f"read {time.monotonic() - run.began:.0f} s ago", tuple(map(_private, run.answer.findings))

    def _go_on(self) -> None:
        if self._run is None:
            self._run = Run("histories of versions", look)
            self._run.start()
        if self._run.has_ended(FIRST_WAIT_SECONDS if self._ended is None else 0.0):
            self._ended = self._run
            if time.monotonic() - self._ended.began > READ_EVERY_SECONDS:
                self._run = None


def _private(finding: Finding) -> Finding:
    """The probe's, for a person with a shell, names a desk's strategy, versions and authors."""
    return NamingFinding(
        finding.status,
        finding.symptom,
        finding.cause,
        finding.remedy,
        finding.section,
        finding.fix,
        cause_for_all="What is stored was changed past the platform, by SQL or by a bad disk.",
        symptom_for_all="A version or a deployment is not what its hashes say",
        remedy_for_all="scripts/manage.sh doctor --only version-history",
    )


HISTORIES = Histories()
