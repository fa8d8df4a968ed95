"""From due rows to messages on their topics, shard by shard, each behind its fence.

A chunk of rows is computed while Redis publishes the one before: each takes about half of a step.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from django.conf import settings
from redis import Redis

from apps.analytics.streaming.groups import Unvalued
from apps.analytics.streaming.known_quotes import KnownQuotes
from apps.analytics.streaming.leases import fence_of
from apps.analytics.streaming.messages import (
    Circumstances,
    Gaps,
    Told,
    messages_of,
    messages_of_failed,
    messages_without_value,
)
from apps.analytics.streaming.standing import Part
from apps.analytics.streaming.step import Figures, compute
from apps.analytics.streaming.tenure import Tenure
from apps.realtime.topics import publish_batches
from apps.risk.windows import Rows

# A step's arrays stay small, and its first books are out while the last are computed.
ROWS_AT_ONCE = 128

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sending:
    """A chunk on its way: what is told by shard, under which lease, and the seqs that come back."""

    told: dict[int, list[Told]]
    leases: dict[int, str]
    answers: "Future[list[list[int]]]"


class Publisher:
    """`renew` is called between the chunks of a long step, so that leases last through it."""

    def __init__(self, tenure: Tenure, client: Redis, clock_us: Callable[[], int], renew: Callable[[], None]) -> None:
        self._tenure = tenure
        self._client = client
        self._clock_us = clock_us
        self._renew = renew
        # One, so that nothing overtakes what was sent before; it starts with the first chunk, after any fork.
        self._sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sender")
        self.fenced = 0

    def publish(self, part: Part, rows: Rows, known: KnownQuotes, around: Circumstances, leases: dict[int, str]) -> int:
        """Sends the rows' updates under the leases that were held when they were computed; how many went out.

        Raises RedisError: what was not sent stays pending.
        """
        sent, sending = 0, None
        in_order = rows[np.argsort(part.books.shards[rows], kind="stable")]
        for start in range(0, len(in_order), ROWS_AT_ONCE):
            some = in_order[start : start + ROWS_AT_ONCE]
            told = _by_shard(part, self._messages(part, some, known, around))
            sent += self._arrived(part, sending)
            sending = self._send(told, leases)
            self._renew()
        return sent + self._arrived(part, sending)

    def _messages(self, part: Part, rows: Rows, known: KnownQuotes, around: Circumstances) -> Iterator[Told]:
        gaps = self._gaps(part, rows)
        if isinstance(part.books, Unvalued):
            yield from messages_without_value(part.books, rows.tolist(), around, gaps)
            return
        prices = part.prices(known)
        for found in compute(part.books, rows, prices):
            if isinstance(found, Figures):
                yield from messages_of(found, prices, around, gaps)
            else:
                yield from messages_of_failed(part.books, found, around, gaps)

    def _gaps(self, part: Part, rows: Rows) -> Gaps:
        begun, now_us = rows[part.begun[rows]], self._clock_us()
        ids, shards = part.books.ids, part.books.shards
        return {ids[row]: self._tenure.gap(int(shards[row]), now_us) for row in begun.tolist()}

    def _send(self, told: dict[int, list[Told]], leases: dict[int, str]) -> Sending:
        batches = [
            (fence_of(shard, leases[shard]), [message for _, both in rows for message in both])
            for shard, rows in told.items()
        ]
        kept = settings.STREAM_HISTORY_MESSAGES
        answers = self._sender.submit(publish_batches, batches, client=self._client, history_messages=kept)
        return Sending(told, leases, answers)

    def _arrived(self, part: Part, sending: Sending | None) -> int:
        """How many rows went out, once they have. Raises RedisError."""
        if sending is None:
            return 0
        sent = 0
        for (shard, rows), seqs in zip(sending.told.items(), sending.answers.result(), strict=True):
            if len(seqs) == sum(len(both) for _, both in rows):
                sent += self._settle(part, shard, rows, sending.leases[shard])
            else:
                self._tenure.lose(shard, sending.leases[shard])
                self.fenced += 1
        return sent

    def _settle(self, part: Part, shard: int, told: list[Told], lease: str) -> int:
        # Under another lease by now, these are to be sent again, with the gap that lies between.
        if self._tenure.leases.get(shard) == lease:
            part.settle(np.array([row for row, _ in told]))
        self._tenure.published(shard, self._clock_us())
        return len(told)


def _by_shard(part: Part, messages: Iterator[Told]) -> dict[int, list[Told]]:
    shards = part.books.shards.tolist()
    sorted_out: dict[int, list[Told]] = defaultdict(list)
    for row, both in messages:
        sorted_out[shards[row]].append((row, both))
    return sorted_out
