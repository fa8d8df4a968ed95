"""Reading back a topic's stream: what a client missed, and whether all of it is still there."""

from dataclasses import dataclass

from redis.asyncio import Redis

from apps.realtime.topics import HEAD_SECONDS, Message, head_key, new_epoch, stream_key


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
        return sum(message.seq > seq for message in self.messages) == self.seq - seq

    def nearest(self, epoch: str, seq: int) -> int:
        """Where a reader who cannot be brought up to date goes on: before the first message that is new to him."""
        start = self.messages[0].seq - 1 if self.messages else self.seq
        return start if epoch != self.epoch else max(start, min(seq, self.seq))


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


def _history(topic: str, epoch: str, seq: int, after: int | None, entries: list) -> History:
    messages = [Message(topic, epoch, int(key.partition("-")[0]), fields["text"]) for key, fields in entries]
    known = [message for message in messages if message.seq <= seq]
    return History(epoch, seq, seq if after is None else after, known)
