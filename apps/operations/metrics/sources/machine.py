"""The machine and the process that answers the scrape."""

import platform
import resource
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import django
import psutil
from django.conf import settings
from prometheus_client import Metric

from apps.operations.metrics.families import gauge, single
from apps.operations.metrics.sources.registry import register_source


@register_source("machine")
def machine() -> Iterator[Metric]:
    yield from process()
    usages = {name: shutil.disk_usage(folder) for name, folder in _places().items()}
    free = [((name,), usage.free) for name, usage in usages.items()]
    yield gauge("disk_free_bytes", "Free room, of the answering process' machine", ["place"], free)
    sizes = [((name,), usage.total) for name, usage in usages.items()]
    yield gauge("disk_size_bytes", "The whole of it", ["place"], sizes)
    yield single("machine_memory_available_bytes", "What can still be had", psutil.virtual_memory().available)
    yield single("machine_memory_size_bytes", "What there is", psutil.virtual_memory().total)
    yield single("machine_load", "Load average of a minute", psutil.getloadavg()[0])
    yield single("machine_cores", "Cores", psutil.cpu_count() or 1)


def process() -> Iterator[Metric]:
    """Of the one process that answers: all that is told with `?part=process`."""
    own = psutil.Process()
    name = [f"{socket.gethostname()}:{own.pid}"]
    versions = (settings.SPECTACULAR_SETTINGS["VERSION"], platform.python_version(), django.__version__)
    yield gauge("build_info", "Versions; the value is 1", ["version", "python", "django"], [(versions, 1)])
    yield gauge(
        "process_open_files", "Open files and sockets of the answering process", ["process"], [(name, own.num_fds())]
    )
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    yield gauge("process_open_files_max", "How many it may have", ["process"], [(name, most)])
    memory = own.memory_info().rss
    yield gauge("process_resident_bytes", "What it takes of the machine's memory", ["process"], [(name, memory)])


def _places() -> dict[str, Path]:
    places: dict[str, Path | None] = {
        "home": settings.NAUTILUS_HOME,
        "matrices": settings.MATRIX_DIR,
        "temporary": Path(tempfile.gettempdir()),
    }
    return {name: Path(folder) for name, folder in places.items() if folder and folder.exists()}
