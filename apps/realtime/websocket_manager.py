"""The sockets of all server processes, asked and acted upon from any process.

    from apps.realtime.websocket_manager import WebSocketManager
    WebSocketManager().get_connection_stats()

It holds no socket itself: it asks the hubs over Redis (control.py) and adds up what they answer. Every method raises
RedisError where Redis does not answer. A process that heard and did not answer is counted in `silent_processes`.
"""

from typing import Any

from django.conf import settings
from redis import Redis

from apps.realtime import statistics
from apps.realtime.control import Answers, ask_hubs
from nautilus.api.errors import UnavailableError
from nautilus.connections import redis_client


class NoServerProcessError(UnavailableError):
    code = "no_socket_server"


class WebSocketManager:
    # Of one process; the sum over all is `max` in the stats.
    MAX_CONNECTIONS: int = settings.WEBSOCKET_MAX_CONNECTIONS

    def __init__(self, client: Redis | None = None, timeout_seconds: float = 1.0) -> None:
        """Answers that take longer than `timeout_seconds` are not waited for."""
        self._client = client or redis_client()
        self._timeout_seconds = timeout_seconds

    # --- Looking --------------------------------------------------------------------------------------
    def ask(self, command: str = "report") -> Answers:
        return ask_hubs(command, timeout_seconds=self._timeout_seconds, client=self._client)

    def get_connection_stats(self) -> dict[str, Any]:
        return statistics.connection_stats(self.ask())

    def get_subscriptions(self, prefix: str = "") -> dict[str, Any]:
        return statistics.subscriptions(self.ask(), self._client, prefix)

    def get_performance(self) -> dict[str, Any]:
        return statistics.performance(self.ask(), self._client)

    # --- Acting ---------------------------------------------------------------------------------------
    def cleanup_stale_connections(self) -> int:
        """Closes the sockets whose client is gone or does not read; answers with how many there were."""
        return _connections_closed(self._answered("cleanup"))

    def restart(self) -> dict[str, Any]:
        """Closes every socket with 1012 and starts the hubs again; clients come back with `since`.

        Raises NoServerProcessError where no process did it.
        """
        answers = self._answered("restart")
        return {
            "restarted": True,
            "processes": len(answers),
            "connections_closed": _connections_closed(answers),
            "silent_processes": answers.silent,
        }

    def _answered(self, command: str) -> Answers:
        answers = self.ask(command)
        if not answers:
            raise _nobody(command, answers.asked)
        return answers


def _connections_closed(answers: Answers) -> int:
    return sum(answer["connections_closed"] for answer in answers)


def _nobody(command: str, asked: int) -> NoServerProcessError:
    if asked:
        return NoServerProcessError(
            f"None of {asked} socket server processes answered '{command}' in time.",
            "Look whether they carried it out (GET …/websocket/stats); else restart the processes.",
        )
    return NoServerProcessError(
        f"No socket server process listens for '{command}'.", "Start one: `make status` shows `web`."
    )
