"""Celery's Redis transport: it follows the primary, and is mended in three places where a worker was lost with Redis.

All were seen with a Redis that stops for some seconds under load (kombu 5.7.0, docs/decisions/0007). To be dropped
when kombu has mended them: tests/test_faults.py stops Redis under a worker that holds messages.
"""

from typing import Any

from django.conf import settings
from kombu.transport import redis, virtual
from redis.backoff import NoBackoff
from redis.exceptions import OutOfMemoryError
from redis.retry import Retry

from nautilus.failover import failover_of
from nautilus.following import following


class QoS(redis.QoS):
    def append(self, message: Any, delivery_tag: str) -> None:
        """Notes in Redis that a message was taken, so that it comes again if it is not acknowledged.

        A Redis whose memory is full has no room for the note, and the message is taken all the same: each one done
        makes room, and what is lost is sent again by the sweep. kombu let the error end the worker.
        """
        try:
            super().append(message, delivery_tag)
        except OutOfMemoryError:
            virtual.QoS.append(self, message, delivery_tag)

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

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Where REDIS_URL names several servers, all connections of the channel follow the primary."""
        failover = failover_of(settings.REDIS_URL)
        self._following = following(failover) if failover else {}
        if failover:
            self.connection_class = self.connection_class_ssl = self._following["connection_class"]
        super().__init__(*arguments, **options)

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
        parameters: dict[str, Any] = self._following | super()._connparams(asynchronous)
        return parameters | {"retry": Retry(NoBackoff(), 0)} if asynchronous else parameters


class Transport(redis.Transport):
    Channel = Channel
    # A worker that connects needs some bytes for its bindings: where there are none, it tries again and does not end.
    connection_errors = (*redis.Transport.connection_errors, OutOfMemoryError)
