"""Who is asked at a scrape, by name: each beside the others, in a thread and with a time limit of its own."""

from collections.abc import Callable, Iterable

from prometheus_client import Metric

# Raises whatever hinders it: then all its figures are absent, and nautilus_scrape_up says 0.
Source = Callable[[], Iterable[Metric]]

SOURCES: dict[str, Source] = {}


def register_source(name: str) -> Callable[[Source], Source]:
    def register(source: Source) -> Source:
        if SOURCES.get(name, source) is not source:
            raise ValueError(f"There is a source {name!r} already.")
        SOURCES[name] = source
        return source

    return register
