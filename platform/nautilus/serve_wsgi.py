"""HTTP alone, by Django as WSGI under granian: `python -m nautilus.serve_wsgi`, the `backend` of containers.

Sockets, long polls and health are answered by `python -m nautilus.serve` beside it; docker/nginx says which path goes
where, docs/scaling.md what each of the two can do.
"""

import argparse
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nautilus.settings")

from django.conf import settings
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

# As nautilus.serve: clients that come back after a restart all come at once.
BACKLOG = 4096
# A thread keeps its connection to PostgreSQL; one that ends for idleness opens another when it comes back.
IDLE_THREAD_SECONDS = 600
# granian's own messages go the way of all others, Django's handlers.
LOGGING = {"handlers": {}, "formatters": {}, "loggers": {"_granian": {"propagate": True}}}


def main() -> None:
    arguments = _parsed()
    Granian(
        "nautilus.settled_wsgi:application",
        address=arguments.host,
        port=arguments.port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=settings.HTTP_PROCESSES,
        blocking_threads=settings.HTTP_THREADS,
        blocking_threads_idle_timeout=IDLE_THREAD_SECONDS,
        backlog=BACKLOG,
        log_dictconfig=LOGGING,
        log_level=LogLevels.error,
        respawn_failed_workers=True,
        workers_kill_timeout=max(settings.HTTP_SHUTDOWN_SECONDS, 1),
    ).serve()


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m nautilus.serve_wsgi", description=__doc__)
    parser.add_argument("--host", default=settings.HTTP_HOST, help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, default=settings.HTTP_PORT, help="default %(default)s")
    return parser.parse_args()


if __name__ == "__main__":
    main()
