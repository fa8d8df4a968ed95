"""Django's backend for PostgreSQL, with a look at a kept connection that costs no round trip."""

import select

from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus


class DatabaseWrapper(base.DatabaseWrapper):
    def is_usable(self) -> bool:
        """Asked once a request of a connection that is kept between requests (conn_health_checks).

        Django sends `SELECT 1`, 0.1 ms of every request. A server that has ended the connection has sent that: on a
        connection that waits for nothing there is something to read. One that vanished without a word shows at the
        first statement, as it would have shown at that one.
        """
        connection = self.connection
        if connection is None or connection.closed:
            return False
        if connection.info.transaction_status == TransactionStatus.INERROR:
            return False  # as SELECT 1 would find out
        socket = select.poll()
        socket.register(connection.pgconn.socket, select.POLLIN)
        return not socket.poll(0)
