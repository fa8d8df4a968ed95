"""The web process: `python -m nautilus.serve`. HTTP and sockets at one address (design.md, decision 1)."""

import argparse
import os
import resource

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nautilus.settings")

import uvicorn
from django.conf import settings

from nautilus.websocket_protocol import WebSocketProtocol

# Above the 64 KiB that a frame may have, so that one too large is answered with an error and not with a closed socket;
# from here on it is closed with 1009.
MAX_FRAME_BYTES = 4 * 2**20
# Sockets that come back after a restart all come at once.
BACKLOG = 4096


def main() -> None:
    arguments = _parsed()
    _allow_many_files()
    uvicorn.run(
        "nautilus.asgi:application",
        host=arguments.host,
        port=arguments.port,
        lifespan="on",
        ws=WebSocketProtocol,
        ws_max_size=MAX_FRAME_BYTES,
        ws_ping_interval=settings.WEBSOCKET_HEARTBEAT_SECONDS,
        ws_ping_timeout=settings.WEBSOCKET_HEARTBEAT_SECONDS,
        ws_per_message_deflate=settings.WEBSOCKET_DEFLATE,
        proxy_headers=False,
        backlog=BACKLOG,
        access_log=False,
        log_config=None,  # Django's
        timeout_graceful_shutdown=settings.HTTP_SHUTDOWN_SECONDS,
    )


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m nautilus.serve", description=__doc__)
    parser.add_argument("--host", default=settings.HTTP_HOST, help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, default=settings.HTTP_PORT, help="default %(default)s")
    return parser.parse_args()


def _allow_many_files() -> None:
    """A socket is an open file, and many systems let a process have 1,024 unless it asks for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.WEBSOCKET_MAX_CONNECTIONS + 1_024
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


if __name__ == "__main__":
    main()
