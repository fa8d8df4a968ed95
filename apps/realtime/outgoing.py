"""Messages on their way out of this process: at once where Redis takes them, else in order when it is back.

What is not known to have arrived is sent again under the same name, which Redis carries out once. Where too many wait,
the oldest go, and their topics' numbers with them, so that every reader sees the gap (docs/decisions/0011).
"""

import atexit
import logging
import os
import secrets
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from threading import Condition, Event, Thread, current_thread

from celery.signals import worker_process_shutdown
from django.conf import settings
from redis.exceptions import BusyLoadingError, ConnectionError, RedisError, ResponseError

from nautilus.connections import impatient_redis_client
from nautilus.failover import NoPrimaryError

# So many go out in one step of Redis, which does nothing else meanwhile: about a millisecond.
MESSAGES_AT_ONCE = 64
CHARACTERS_AT_ONCE = 1 << 20
LOST_TOPICS_AT_ONCE = 500
MOST_LOST_TOPICS = 100_000  # whose losses are counted; some 15 MB
# So long Redis knows what it has carried out.
NOTE_SECONDS = 600
# After this it may be about to forget: what may have arrived that long ago is given up, and not sent a second time.
GIVEN_UP_AFTER_SECONDS = 540
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
EXIT_SECONDS = 2.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ready:
    """A message as publish.lua takes it."""

    topic: str
    lines: str


@dataclass(slots=True)
class Attempt:
    """What is sent in one step, also when it is sent again; `risked_at` is since when it may have arrived."""

    name: str
    messages: tuple[Ready, ...] = ()
    lost: tuple[tuple[str, int], ...] = ()
    risked_at: float | None = None


class Outgoing:
    """The outbox of one process. In this order: attempts with unknown ends, numbers of what was lost, the queue."""

    def __init__(self, send: Callable[[Attempt], list[int]]) -> None:
        self._send = send
        self.start_anew()

    def start_anew(self) -> None:
        """Empty: also in a child after a fork, as what waits is the parent's to send."""
        self._changed = Condition()
        self._hurry = Event()
        self._publisher, self._numbers = secrets.token_hex(8), count(1)
        self._unsettled: deque[Attempt] = deque()
        self._queue: deque[Ready] = deque()
        self._queue_bytes = 0
        self._lost: Counter[str] = Counter()
        self._dropped = 0
        self._away_since: float | None = None
        self._thread: Thread | None = None

    def discard(self) -> None:
        """Forgets what waits, and its topics never hear of it: for tests."""
        with self._changed:
            self._unsettled.clear()
            self._queue.clear()
            self._lost.clear()
            self._queue_bytes = 0
            self._hurry.set()

    @property
    def waiting(self) -> int:
        with self._changed:
            return len(self._queue) + sum(len(attempt.messages) for attempt in self._unsettled)

    def publish(self, messages: Sequence[Ready]) -> list[int | None]:
        """The seqs, None for each message that waits. Takes as long as one answer of Redis may take, at the most."""
        rest, seqs = deque(_steps(messages)), list[int | None]()
        try:
            while rest:
                seqs += self._publish(rest.popleft())
        except BaseException:  # a time limit of the task that publishes
            self._put_off([message for some in rest for message in some])
            raise
        return seqs

    def _publish(self, messages: Sequence[Ready]) -> Sequence[int | None]:
        with self._changed:
            if self._is_waiting():
                self._put_off(messages)
                return [None] * len(messages)
            attempt = self._attempt(messages)
        try:
            return _taken(attempt, self._send(attempt))
        except (RedisError, OSError) as error:
            self._keep(attempt, error)
            return [None] * len(messages)
        except BaseException as error:  # as above
            self._keep(attempt, error)
            raise

    def _attempt(self, messages: Sequence[Ready] = (), lost: Sequence[tuple[str, int]] = ()) -> Attempt:
        return Attempt(f"{self._publisher}:{next(self._numbers)}", tuple(messages), tuple(lost))

    def _is_waiting(self) -> bool:
        return bool(self._unsettled or self._lost or self._queue)

    # --- Waiting ----------------------------------------------------------------------------------------------
    def _put_off(self, messages: Sequence[Ready]) -> None:
        with self._changed:
            self._wait(messages)
            self._ensure_sending()

    def _wait(self, messages: Sequence[Ready]) -> None:
        for message in messages:
            self._queue.append(message)
            self._queue_bytes += sys.getsizeof(message.lines)
        most, most_bytes = settings.REALTIME_OUTBOX_MESSAGES, settings.REALTIME_OUTBOX_BYTES
        while len(self._queue) > most or self._queue_bytes > most_bytes:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        message = self._queue.popleft()
        self._queue_bytes -= sys.getsizeof(message.lines)
        self._lose(message.topic)
        if not self._dropped:
            logger.warning("Too many messages wait for Redis: from here on the oldest are dropped")
        self._dropped += 1

    def _lose(self, topic: str, how_many: int = 1) -> None:
        self._lost[topic] += how_many
        if len(self._lost) > MOST_LOST_TOPICS:
            forgotten = next(iter(self._lost))
            del self._lost[forgotten]
            logger.error(
                "Messages of '%s' were dropped, and no reader will be told: too many topics lost some", forgotten
            )

    def _keep(self, attempt: Attempt, error: BaseException) -> None:
        with self._changed:
            _note_risk(attempt, error)
            self._unsettled.append(attempt)
            self._ensure_sending()  # before the log, where a time limit may strike
            if self._away_since is None:
                self._away_since = time.monotonic()
                logger.warning("Messages wait: Redis did not take one on '%s': %s", attempt.messages[0].topic, error)

    def _ensure_sending(self) -> None:
        if not self._is_waiting() or (self._thread and self._thread.is_alive()):
            return
        thread = Thread(target=self._send_waiting, name="outgoing-messages", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # too many threads, or the interpreter ends
            logger.warning("Messages wait until the next one is published: no thread sends them: %s", error)
        else:
            self._thread = thread

    # --- Going out --------------------------------------------------------------------------------------------
    def _send_waiting(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while (attempt := self._next()) is not None:
            if self._arrives(attempt):
                pause = FIRST_PAUSE_SECONDS
                continue
            self._hurry.wait(pause)
            self._hurry.clear()
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _next(self) -> Attempt | None:
        with self._changed:
            if self._thread is not current_thread():  # a time limit struck who started it, and another was started
                return None
            if self._unsettled and _is_too_old(self._unsettled[0]):
                self._give_up(self._unsettled[0])
            if not self._unsettled and not self._form():
                self._end_outage()
                return None
            return self._unsettled[0]

    def _form(self) -> bool:
        if self._lost:
            lost = tuple(islice(self._lost.items(), LOST_TOPICS_AT_ONCE))
            for topic, _ in lost:
                del self._lost[topic]
            self._unsettled.append(self._attempt(lost=lost))
        elif self._queue:
            messages = next(_steps(self._queue))
            for message in messages:
                self._queue.popleft()
                self._queue_bytes -= sys.getsizeof(message.lines)
            self._unsettled.append(self._attempt(messages))
        return bool(self._unsettled)

    def _arrives(self, attempt: Attempt) -> bool:
        if not _redis_answers():  # what is sent to a server that does not may be carried out much later
            return False
        try:
            _taken(attempt, self._send(attempt))
        except (RedisError, OSError) as error:
            _note_risk(attempt, error)
            return False
        except Exception:
            logger.exception("Messages that cannot be sent are given up")
            self._give_up(attempt)
            return False
        self._settle(attempt)
        return True

    def _settle(self, attempt: Attempt) -> None:
        with self._changed:
            if attempt in self._unsettled:
                self._unsettled.remove(attempt)

    def _give_up(self, attempt: Attempt) -> None:
        """Its numbers are lost where it stood: what was published after it comes after the gap."""
        lost = Counter(message.topic for message in attempt.messages) + Counter(dict(attempt.lost))
        with self._changed:
            if attempt in self._unsettled:
                place = self._unsettled.index(attempt)
                self._unsettled[place] = self._attempt(lost=tuple(lost.items()))
            self._dropped += len(attempt.messages)

    def _end_outage(self) -> None:
        seconds = time.monotonic() - (self._away_since or time.monotonic())
        logger.warning("Redis takes messages again after %.1f s; %d were dropped meanwhile", seconds, self._dropped)
        self._away_since, self._dropped, self._thread = None, 0, None
        self._changed.notify_all()

    # --- The end of the process -------------------------------------------------------------------------------
    def finish(self, seconds: float = EXIT_SECONDS) -> None:
        """Gives what waits so long to go out, and says what is lost."""
        with self._changed:
            if not self._is_waiting():
                return
            self._hurry.set()
            if not self._changed.wait_for(lambda: not self._is_waiting(), seconds):
                self._say_lost()

    def _say_lost(self) -> None:
        messages = [*(each for attempt in self._unsettled for each in attempt.messages), *self._queue]
        topics = Counter(message.topic for message in messages) + self._lost
        shown = ", ".join(f"{topic} ({how_many})" for topic, how_many in topics.most_common(20))
        logger.error("The process ends, and %d messages are lost with it, on: %s", topics.total(), shown)


def _steps(messages: Sequence[Ready] | deque[Ready]) -> Iterator[list[Ready]]:
    """In parts that Redis takes in one step."""
    part: list[Ready] = []
    characters = 0
    for message in messages:
        characters += len(message.lines)
        if part and (len(part) == MESSAGES_AT_ONCE or characters > CHARACTERS_AT_ONCE):
            yield part
            part, characters = [], len(message.lines)
        part.append(message)
    if part:
        yield part


def _taken(attempt: Attempt, seqs: list[int]) -> list[int | None]:
    """None for those of which the script said that their topic does not take them."""
    log_refused([message.topic for message in attempt.messages], seqs)
    return [seq or None for seq in seqs]


def log_refused(topics: Sequence[str], seqs: Sequence[int]) -> None:
    for topic, seq in zip(topics, seqs, strict=True):
        if not seq:
            logger.error("Redis refused a message on '%s': its keys are another program's, or not ours to write", topic)


def _note_risk(attempt: Attempt, error: BaseException) -> None:
    if attempt.risked_at is None and _may_have_arrived(error):
        attempt.risked_at = time.monotonic()


def _may_have_arrived(error: BaseException) -> bool:
    """Not where the server said no, and not where there was none."""
    if isinstance(error, (ResponseError, BusyLoadingError, NoPrimaryError)):
        return False
    return not (isinstance(error, ConnectionError) and isinstance(error.__context__, ConnectionRefusedError))


def _redis_answers() -> bool:
    try:
        return bool(impatient_redis_client().ping())
    except (RedisError, OSError):
        return False
    except Exception:  # the thread must not die of it, say of a wrong address
        logger.exception("Redis could not be asked whether it is back")
        return False


def _is_too_old(attempt: Attempt) -> bool:
    return attempt.risked_at is not None and time.monotonic() - attempt.risked_at > GIVEN_UP_AFTER_SECONDS


def tie_to_process(outgoing: Outgoing) -> None:
    """To its fork, and to its end: Celery's prefork children leave by os._exit, which skips what atexit has."""
    os.register_at_fork(after_in_child=outgoing.start_anew)
    atexit.register(outgoing.finish)
    worker_process_shutdown.connect(lambda **_: outgoing.finish(), weak=False)
