"""A worker that watches itself: it writes its pulse, and ends when it no longer takes tasks, to be started again.

Celery on Redis may connect anew and consume no more, without a word (celery issues 8030, 8091, 9054, 10205). What it
worked on is safe: its rows' leases run out, and the sweep gives them to others (docs/decisions/0014).
"""

import logging
import os
import signal
import sys
import threading
import time
import traceback
from typing import Any

import psutil
from celery import bootsteps, signals
from celery.worker import state
from django.conf import settings
from redis.exceptions import OutOfMemoryError, RedisError

from nautilus.connections import redis_client
from nautilus.patience import Look, Patience
from nautilus.pulses import (
    WorkerEnding,
    WorkerPulse,
    forget_worker,
    worker_endings,
    worker_pulses,
    write_ending,
    write_worker_pulse,
)

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
PULSE_SECONDS = 5.0
# Between two looks: more than this, and it was this process that stood still, or its machine.
STOOD_STILL_SECONDS = 5.0
LAST_WORDS_SECONDS = 5.0
EXIT_CODE = 70  # EX_SOFTWARE of sysexits.h
# Beyond its hard time limit a task is none that still runs, whatever Celery's books say.
OVERDUE_SECONDS = 30.0
# A predecessor that has been silent for longer is none that this worker was started for.
RECENT_SECONDS = 300.0


class WatchdogStep(bootsteps.StartStopStep):
    """Starts a worker's watchdog once its pool runs, and stops it before the pool stops."""

    requires = ("celery.worker.components:Pool",)

    def create(self, w: Any) -> "Watchdog":
        return Watchdog(w)

    def close(self, w: Any) -> None:
        self.obj.leave()


class Watchdog:
    """A thread in a worker's main process."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._state = WorkerState(worker)
        self._patience = Patience(settings.WORKER_PATIENCE_SECONDS)
        self._leaving = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._pulse_due = 0.0
        self._knows_predecessor = False
        self._is_redis_away = False

    def start(self) -> None:
        self._state.listen()
        signals.worker_shutting_down.connect(self.leave, weak=False)
        self._leave_before_soft_shutdown()
        self._thread.start()

    def leave(self, *_: Any, **__: Any) -> None:
        self._leaving.set()

    def stop(self) -> None:
        self._leaving.set()
        self._stopped.set()
        self._thread.join(LAST_WORDS_SECONDS)
        try:
            forget_worker(redis_client(), self._worker.hostname, os.getpid())
        except RedisError as error:
            logger.warning("the pulse of %s stays in Redis, which cannot be reached: %s", self._worker.hostname, error)

    def _leave_before_soft_shutdown(self) -> None:
        """There the event loop is at rest while running tasks end, and Celery sends its signal only afterwards."""
        wait = self._worker.wait_for_soft_shutdown

        def leave_and_wait() -> None:
            self.leave()
            wait()

        self._worker.wait_for_soft_shutdown = leave_and_wait

    def _watch(self) -> None:
        last = time.monotonic()
        while not self._stopped.wait(LOOK_SECONDS):
            now = time.monotonic()
            if now - last > STOOD_STILL_SECONDS:
                self._patience.forgive()
            last = now
            self._look_once(now)

    def _look_once(self, now: float) -> None:
        try:
            reason = self._complaint(now)
            self._write_pulse_where_there_is_room(now)
        except RedisError as error:
            self._patience.forgive()
            self._say_redis_is_away(error)
        except Exception:
            logger.exception("the watchdog of %s could not look at it", self._worker.hostname)
        else:
            if reason and not self._leaving.is_set():
                self._end(reason)

    def _complaint(self, now: float) -> str | None:
        queues = self._state.queues
        with redis_client().pipeline(transaction=False) as pipe:
            for queue in queues:
                pipe.llen(queue)
            waiting = sum(pipe.execute())
        return self._patience.complaint(self._state.look(now, waiting))

    def _write_pulse_where_there_is_room(self, now: float) -> None:
        """A Redis whose memory is full still gives its messages out: who takes none of them is ill all the same."""
        try:
            self._write_pulse(now)
            self._is_redis_away = False
        except OutOfMemoryError as error:
            self._say_redis_is_away(error)

    def _write_pulse(self, now: float) -> None:
        if now >= self._pulse_due and not self._stopped.is_set():
            if not self._knows_predecessor:
                self._state.learn_of_predecessor(worker_pulses(redis_client()), worker_endings(redis_client()))
                self._knows_predecessor = True
            write_worker_pulse(redis_client(), self._state.pulse())
            self._pulse_due = now + PULSE_SECONDS

    def _say_redis_is_away(self, error: RedisError) -> None:
        if not self._is_redis_away:
            logger.warning("the watchdog of %s waits for Redis: %s", self._worker.hostname, error)
        self._is_redis_away = True

    def _end(self, reason: str) -> None:
        """Ends this process and all below it; does not return."""
        # What this process is ill with may be a lock that the log needs too.
        threading.Timer(LAST_WORDS_SECONDS, _exit_now).start()
        name = self._worker.hostname
        logger.critical("%s ends itself, to be started again: %s. It stood at:\n%s", name, reason, _main_thread_stack())
        try:
            write_ending(redis_client(), WorkerEnding(name, os.getpid(), time.time(), reason))
        except RedisError as error:
            logger.warning("Redis was not told that %s ends: %s", name, error)
        _exit_now()


def _main_thread_stack() -> str:
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    return "".join(traceback.format_stack(frame)) if frame else "(no main thread)"


def _exit_now() -> None:
    """Not sys.exit, which only ends a thread, nor a signal, which waits for the main thread that no longer turns."""
    for child in psutil.Process().children(recursive=True):
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    os._exit(EXIT_CODE)


class WorkerState:
    """What Celery's books say of a worker, read from the watchdog's thread without a lock."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._started_at = time.time()
        self._turns = 0
        self._is_asked = False
        self._received = 0
        self._last_received_at: float | None = None
        self._lost = 0
        self._last_lost_at: float | None = None
        self._last_lost = ""

    @property
    def queues(self) -> tuple[str, ...]:
        """Those that it should consume from: what an operator cancelled is not among them."""
        return tuple(self._worker.app.amqp.queues.consume_from)

    def listen(self) -> None:
        # What has expired or was revoked is taken from the queue as well.
        arrivals = (signals.task_received, signals.task_revoked, signals.task_rejected, signals.task_unknown)
        for arrival in arrivals:
            arrival.connect(self._count_arrival, weak=False)
        self._listen_for_losses()

    def look(self, now: float, waiting: int) -> Look:
        self._ask_the_loop()
        active, held = self._requests()
        return Look(
            at=now,
            turns=self._turns,
            is_consuming=self._is_consuming(),
            progress=self._received + state.all_total_count[0],
            active=active,
            slots=self._slots(),
            held=held,
            waiting=waiting,
        )

    def pulse(self) -> WorkerPulse:
        active, _ = self._requests()
        return WorkerPulse(
            worker=self._worker.hostname,
            queues=self.queues,
            pid=os.getpid(),
            slots=self._slots(),
            active=active,
            received=self._received,
            last_received_at=self._last_received_at,
            started_at=self._started_at,
            lost=self._lost,
            last_lost_at=self._last_lost_at,
            last_lost=self._last_lost,
        )

    def learn_of_predecessor(self, pulses: list[WorkerPulse], endings: list[WorkerEnding]) -> None:
        """One of this name that left its pulse behind did not end in order: what it worked on waits for its leases."""
        name = self._worker.hostname
        left = next((one for one in pulses if one.worker == name and one.silent_seconds < RECENT_SECONDS), None)
        if left is None or left.pid == os.getpid():
            return
        reason = next((one.reason for one in endings if (one.worker, one.pid) == (name, left.pid)), "")
        how = f"ended itself: {reason}" if reason else "ended without a word, as one does that is killed"
        self._note_loss(f"its process {left.pid} {how}")

    def _count_arrival(self, **_: Any) -> None:
        self._received += 1
        self._last_received_at = time.time()

    def _ask_the_loop(self) -> None:
        """The event loop counts its turn by itself, at once: a call from a thread wakes it (kombu's Hub)."""
        if not self._is_asked:
            self._is_asked = True
            self._worker.hub.call_soon(self._answer)

    def _answer(self) -> None:
        self._turns += 1
        self._is_asked = False

    def _requests(self) -> tuple[int, int]:
        """How many tasks run, and how many it holds that have not begun."""
        active = _alive(state.active_requests)
        oldest = time.time() - (settings.CELERY_TASK_TIME_LIMIT + OVERDUE_SECONDS)
        running = [request for request in active if not request.time_start or request.time_start > oldest]
        return len(running), len(_alive(state.reserved_requests) - active)

    def _slots(self) -> int:
        return int(self._worker.pool.num_processes)

    def _is_consuming(self) -> bool:
        """Whether the consumer's channel asks Redis for each of its queues."""
        consumer = getattr(self._worker, "consumer", None)
        channel = consumer and consumer.connection and consumer.task_consumer and consumer.task_consumer.channel
        if not channel or channel.connection is None:
            return False
        return set(self.queues) <= set(channel.active_queues) and channel in channel.connection.cycle._channels

    def _listen_for_losses(self) -> None:
        pool = getattr(self._worker.pool, "_pool", None)
        if pool is None:  # threads: one that dies takes the worker along
            return
        mark = pool.mark_as_worker_lost

        def mark_and_count(job: Any, exitcode: int) -> None:
            self._count_loss(job.correlation_id, exitcode)
            mark(job, exitcode)

        pool.mark_as_worker_lost = mark_and_count

    def _count_loss(self, task_id: str, exitcode: int) -> None:
        request = state.requests.get(task_id)
        self._note_loss(f"{_how(exitcode)} took a pool process while it had {request or task_id}")

    def _note_loss(self, what: str) -> None:
        self._lost += 1
        self._last_lost_at = time.time()
        self._last_lost = what
        logger.error("%s lost a process: %s", self._worker.hostname, what)


def _alive(requests: Any) -> set[Any]:
    """What stands in a WeakSet that another thread changes: its set is copied in one step of the interpreter."""
    return {request for reference in requests.data.copy() if (request := reference()) is not None}


def _how(exitcode: int) -> str:
    if exitcode >= 0:
        return f"exit code {exitcode}"
    name = signal.Signals(-exitcode).name
    memory = ", as from the kernel where memory runs out," if name == "SIGKILL" else ""
    return f"signal {-exitcode} ({name}){memory}"
