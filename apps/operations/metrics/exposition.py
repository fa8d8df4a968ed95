"""The whole answer of GET /metrics."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector

from apps.operations.metrics import sources
from apps.operations.metrics.asking import ASKING
from apps.operations.metrics.families import counted_families, single
from apps.operations.metrics.folder import read_folder
from apps.operations.metrics.sources.registry import SOURCES, register_source
from nautilus.counting.counters import REGISTRY
from nautilus.counting.processes import counting_folder

for module in iter_modules(sources.__path__):
    import_module(f"{sources.__name__}.{module.name}")


@register_source("processes")
def processes() -> Iterator[Metric]:
    """What all processes counted; without a folder that they share, what this one did."""
    folder: Path | None = counting_folder()
    if folder is None:
        yield from REGISTRY.collect()
        return
    counted = read_folder(folder)
    yield single("processes_counting", "Processes that live and have counted something", counted.processes)
    yield from counted_families(counted)


class _Collected(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def metrics_text(names: Iterable[str] | None = None) -> bytes:
    """Prometheus' text format, of all sources or of those named; takes `LIMIT_SECONDS` at the most."""
    wanted = SOURCES if names is None else {name: SOURCES[name] for name in names}
    return as_text(ASKING.ask(wanted))


def as_text(families: Iterable[Metric]) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(families))
    return generate_latest(registry)
