"""All sources at once: one that hangs costs a scrape its time limit and its own figures, and is not asked a second time
while it hangs."""

import logging
import threading
from collections.abc import Iterator, Mapping
from functools import partial

from prometheus_client import Metric

from apps.operations.metrics.families import gauge
from apps.operations.metrics.sources.registry import Source
from apps.operations.running import Run

LIMIT_SECONDS = 1.8

logger = logging.getLogger(__name__)


class Asking:
    """Of one process: knows which sources hang since an earlier scrape."""

    def __init__(self) -> None:
        self._hanging: dict[str, Run[list[Metric]]] = {}
        self._lock = threading.Lock()

    def ask(self, sources: Mapping[str, Source], limit_seconds: float = LIMIT_SECONDS) -> list[Metric]:
        """The families of the sources that answered in time, and which of them did."""
        runs = {name: self._begun(name, source) for name, source in sources.items()}
        answered = {name: run for name, run in runs.items() if run and _has_answered(name, run, limit_seconds)}
        return list(_told(list(sources), answered))

    def _begun(self, name: str, source: Source) -> Run[list[Metric]] | None:
        """None where an earlier look still hangs: what it will say is not of now."""
        with self._lock:
            hanging = self._hanging.get(name)
            if hanging is not None and not hanging.has_ended(0):
                return None
            run: Run[list[Metric]] = Run(f"metrics {name}", partial(_listed, source))
            self._hanging[name] = run
            run.start()
            return run


def _listed(source: Source) -> list[Metric]:
    return list(source())


def _has_answered(name: str, run: Run[list[Metric]], limit_seconds: float) -> bool:
    if not run.has_ended(limit_seconds):
        logger.warning("The metrics of '%s' did not come within %g s", name, limit_seconds)
        return False
    if run.error is not None:
        logger.warning("The metrics of '%s' cannot be read: %s: %s", name, type(run.error).__name__, run.error)
    return run.answer is not None


def _told(names: list[str], answered: Mapping[str, Run[list[Metric]]]) -> Iterator[Metric]:
    for run in answered.values():
        yield from run.answer or ()
    up = [((name,), float(name in answered)) for name in names]
    yield gauge("scrape_up", "Whether the source answered: 0 says that its figures are absent", ["source"], up)
    took = [((name,), run.elapsed_seconds) for name, run in answered.items()]
    yield gauge("scrape_duration_seconds", "How long the source took to answer", ["source"], took)


ASKING = Asking()
