"""Reading back a topic's stream: what a client missed, and whether all of it is still there."""

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from apps.realtime.topics import HEAD_SECONDS, Message, head_key, new_epoch, stream_key

READS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class History:
    """A topic at one moment: the epoch and seq of its last message, and the messages after `after`, in order."""

    epoch: str
    seq: int
    after: int
    messages: list[Message]

    def continues(self, epoch: str | None, seq: int) -> bool:
        """Whether a reader who stands at `seq` of `epoch` (None: of any) is brought up to date without a gap."""
        if (epoch or self.epoch) != self.epoch or not self.after <= seq <= self.seq:
            return False
        return len(self.messages) - self._place_after(seq) == self.seq - seq

    def contradicts(self, last: Message | None) -> bool:
        """Whether a reader was given something else, under this epoch, than what stands here: Redis has lost writes."""
        if last is None or last.epoch != self.epoch:
            return False
        if self.seq < last.seq:
            return True
        here = self.messages[self._place_after(last.seq) - 1 :][:1] if self.messages else []
        return any(message.seq == last.seq and message.text != last.text for message in here)

    def nearest(self, epoch: str, seq: int) -> int:
        """Where a reader who cannot be brought up to date goes on: before the first message that is new to him."""
        new = self.messages[self._place_after(seq) :] if epoch == self.epoch else self.messages
        return new[0].seq - 1 if new else self.seq

    def since(self, after: int | None) -> "History":
        """The same moment for a reader who asked for less."""
        if after is None:
            return History(self.epoch, self.seq, self.seq, [])
        return History(self.epoch, self.seq, after, self.messages[self._place_after(after) :])

    def _place_after(self, seq: int) -> int:
        return bisect_right(self.messages, seq, key=lambda message: message.seq)


async def read_history(redis: Redis, topic: str, after: int | None = None) -> History:
    """The topic's head and what its stream holds after `after` (None: nothing but the head), read in one step.

    A topic without a head gets one, so that its subscribers know the epoch of the first message to come.
    """
    async with redis.pipeline(transaction=True) as reading:
        reading.hsetnx(head_key(topic), "epoch", new_epoch())
        reading.expire(head_key(topic), HEAD_SECONDS)
        reading.hmget(head_key(topic), "epoch", "seq")
        if after is not None:
            reading.xrange(stream_key(topic), min=f"({after}-0")
        _, _, (epoch, seq), *entries = await reading.execute()
    return _history(topic, epoch, int(seq or 0), after, entries[0] if entries else [])


async def begin_anew(redis: Redis, topic: str, epoch: str) -> None:
    """Ends an epoch that cannot be trusted, unless somebody has: readers are told, instead of given a mixture."""
    call: Any = redis.eval(_BEGIN_ANEW, 2, head_key(topic), stream_key(topic), epoch, new_epoch())
    await call


_BEGIN_ANEW = """
if redis.call('HGET', KEYS[1], 'epoch') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'seq', 0)
  redis.call('DEL', KEYS[2])
end
"""


def _history(topic: str, epoch: str, seq: int, after: int | None, entries: list) -> History:
    messages = [Message(topic, epoch, int(key.partition("-")[0]), fields["text"]) for key, fields in entries]
    known = [message for message in messages if message.seq <= seq]
    return History(epoch, seq, seq if after is None else after, known)


class SharedReads:
    """One read of a topic for all who ask for it before it begins.

    After an outage 2,000 sockets ask for the same stream at once. Nobody joins a read that is under way: it may not
    hold what came just before he asked.
    """

    def __init__(self, read: Callable[[str, int | None], Awaitable[History]]) -> None:
        self._read = read
        self._at_once = asyncio.Semaphore(READS_AT_ONCE)
        self._next: dict[str, _Read] = {}
        self._last: dict[str, _Read] = {}

    async def read(self, topic: str, after: int | None) -> History:
        """Raises what the read raises."""
        read = self._next.get(topic) or self._new(topic)
        read.widen(after)
        # Who is cancelled must not cancel it for the others.
        return (await asyncio.shield(read.task)).since(after)

    def close(self) -> None:
        for read in [*self._next.values(), *self._last.values()]:
            read.task.cancel()

    def _new(self, topic: str) -> "_Read":
        read = self._next[topic] = _Read(self._last.get(topic))
        read.task = asyncio.get_running_loop().create_task(self._carry_out(topic, read))
        read.task.add_done_callback(_look_at)
        return read

    async def _carry_out(self, topic: str, read: "_Read") -> History:
        if read.before is not None:
            await asyncio.wait([read.before.task])
            read.before = None
        async with self._at_once:
            del self._next[topic]
            self._last[topic] = read
            try:
                return await self._read(topic, read.after)
            finally:
                if self._last.get(topic) is read:
                    del self._last[topic]


class _Read:
    task: asyncio.Task[History]

    def __init__(self, before: "_Read | None") -> None:
        self.before = before
        self.after: int | None = None

    def widen(self, after: int | None) -> None:
        if after is not None:
            self.after = after if self.after is None else min(self.after, after)


def _look_at(task: asyncio.Task[History]) -> None:
    """Every reader may be gone: then nobody else takes notice of the error."""
    if not task.cancelled():
        task.exception()
