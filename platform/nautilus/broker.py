"""Celery's Redis transport, mended in three places where a worker did not survive the loss of Redis (kombu 5.7.0).

All were seen with a Redis that stops for some seconds under load (docs/decisions/0007). To be dropped when kombu has
mended them: tests/test_faults.py stops Redis under a worker that holds messages.
"""

from typing import Any

from kombu.transport import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


class QoS(redis.QoS):
    def restore_unacked(self, client: Any = None) -> Any:
        """Gives messages back to their queues, while there is a connection to do it by.

        Once it is lost, kombu raised an AttributeError here, which nobody expects: the worker ended. The messages are
        not lost: the sweep sends again what no worker has (apps/tasks/dispatch.py).
        """
        if self.channel.connection.client is None:
            self._delivered.clear()
            return None
        return super().restore_unacked(client)


class Channel(redis.Channel):
    QoS = QoS

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        """The event loop's own connections say at once that they are lost, and Celery connects anew.

        redis-py would reconnect them by itself, and then wait on the new socket for the answer to a command that went
        out on the old one: the worker stood still for ever, without a word.

        A job that ends when the worker has connected anew is acknowledged on the channel that it came by, which is
        closed. Its connection is lost, says this; kombu raised an AttributeError, which nobody expects: the worker
        ended. The message comes again, and is dropped, as its task has ended (apps/tasks/execution.py).
        """
        if self.connection is None:
            raise ConnectionError("The channel is closed: its connection to Redis was lost.")
        parameters: dict[str, Any] = super()._connparams(asynchronous)
        return parameters | {"retry": Retry(NoBackoff(), 0)} if asynchronous else parameters


class Transport(redis.Transport):
    Channel = Channel
