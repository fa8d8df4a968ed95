"""Celery beat of which several may run: one of them leads and sends, the others stand by for it.

Who leads holds a lease in Redis that it renews every second. While it cannot renew it, it sends nothing: for some
seconds none may send, and never two. When each task was sent last stands in Redis too, so that who takes over sends no
nightly task again; a file keeps it for a Redis that was wiped.
"""

import json
import logging
import os
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis
from celery.beat import ScheduleEntry, Scheduler
from celery.schedules import crontab
from celery.utils.nodenames import gethostname
from django.conf import settings
from redis.exceptions import RedisError

from nautilus.connections import redis_client
from nautilus.pulses import SchedulerPulse, forget_scheduler, write_scheduler_pulse

logger = logging.getLogger(__name__)

LEASE_KEY = "scheduler:leader"
SENT_KEY = "scheduler:last_sent"

TICK_SECONDS = 1.0
# So long must the lease have been free before one that stands by takes it: where Redis was wiped, it is the leader's
# who is still there and renews it at each tick.
FREE_SECONDS = 4.0

# Takes the lease or renews it: 1 where it is ours now, 0 where it is another's, -1 where it is free and not wanted yet.
_HOLD = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
if not holder and ARGV[3] == '0' then return -1 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class Leadership:
    """The lease of one scheduler, and since when another's is free."""

    def __init__(self, name: str) -> None:
        self.leads = False
        self._token = f"{name} {uuid.uuid4().hex}"
        self._is_new = True
        self._free_since: float | None = None

    def hold(self, client: redis.Redis) -> bool:
        """Whether this scheduler leads for the next `SCHEDULER_LEASE_SECONDS`; raises RedisError where none can say."""
        self.leads, led = False, self.leads
        may_take = led or self._is_new or self._has_been_free()
        lease_ms = settings.SCHEDULER_LEASE_SECONDS * 1000
        answer: Any = client.eval(_HOLD, 1, LEASE_KEY, self._token, lease_ms, int(may_take))
        self._is_new = False
        self._see(is_free=answer == -1)
        self.leads = answer == 1
        return self.leads

    def release(self, client: redis.Redis) -> None:
        self.leads = False
        client.eval(_RELEASE, 1, LEASE_KEY, self._token)

    def _has_been_free(self) -> bool:
        return self._free_since is not None and time.monotonic() - self._free_since >= FREE_SECONDS

    def _see(self, *, is_free: bool) -> None:
        if not is_free:
            self._free_since = None
        elif self._free_since is None:
            self._free_since = time.monotonic()


class LeadingScheduler(Scheduler):
    """Sends what is due while it leads."""

    def __init__(self, *args: Any, schedule_filename: str = "", **kwargs: Any) -> None:
        self.name = f"scheduler@{gethostname()}:{os.getpid()}"
        self._file = Path(f"{schedule_filename}.json")
        self._leadership = Leadership(self.name)
        self._started_at = time.time()
        self._last_sent_at: float | None = None
        self._was_leading = False
        self._is_redis_away = False
        self._is_one_put_back = False
        self._look_due = 0.0
        super().__init__(*args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Seconds to the next tick; sends one task at the most."""
        if not self._may_send():
            return TICK_SECONDS
        self._is_one_put_back = False
        delay: float = super().tick(*args, **kwargs)
        if self._is_one_put_back:
            self._heap = None  # Celery's: it has the entry at its next time of the day
            return TICK_SECONDS
        return min(delay, TICK_SECONDS)

    def apply_async(self, entry: ScheduleEntry, *args: Any, **kwargs: Any) -> Any:
        """Notes what was sent, and only that: Celery's caller logs an error and goes on as if it had been."""
        try:
            result = super().apply_async(entry, *args, **kwargs)
        except Exception:
            self._put_back(entry)
            raise
        self._note_sent(entry)
        return result

    def _put_back(self, entry: ScheduleEntry) -> None:
        """It is tried again at the next tick where its next time would be tomorrow; an interval's comes soon enough."""
        if isinstance(entry.schedule, crontab):
            self.schedule[entry.name].last_run_at = entry.last_run_at
            self._is_one_put_back = True
            self.sync()  # Celery may just have written it to the file as sent

    def _note_sent(self, entry: ScheduleEntry) -> None:
        self._last_sent_at = time.time()
        try:
            redis_client().hset(SENT_KEY, entry.name, self._last_sent_at)
        except RedisError as error:
            logger.warning("when %s was sent is not kept: %s", entry.name, error)

    def setup_schedule(self) -> None:
        super().setup_schedule()
        self._remember(_read_times(self._file))

    def sync(self) -> None:
        """The file that the next start reads where Redis knows nothing; the one that leads writes it."""
        if self._leadership.leads:
            times = {name: entry.last_run_at.timestamp() for name, entry in self.schedule.items() if entry.last_run_at}
            _write_times(self._file, times)

    def close(self) -> None:
        super().close()
        try:
            self._leadership.release(redis_client())
            forget_scheduler(redis_client(), self.name, os.getpid())
        except RedisError as error:
            logger.warning("%s could not give its lease back: %s", self.name, error)

    def _may_send(self) -> bool:
        """Renews the lease once a second: between two ticks that send there is no time to lose it."""
        now = time.monotonic()
        if now < self._look_due and self._was_leading and self._leadership.leads:
            return True
        self._look_due = now + TICK_SECONDS
        try:
            leads = self._leadership.hold(redis_client())
            self._follow(leads)
            self._write_pulse(leads)
        except RedisError as error:
            self._say_redis_is_away(error)
            return False
        self._is_redis_away = False
        return leads

    def _follow(self, leads: bool) -> None:
        """Where this one has come to lead, it goes on from where the last one was."""
        if leads and not self._was_leading:
            logger.info("%s leads and sends", self.name)
            sent: Any = redis_client().hgetall(SENT_KEY)
            self._remember({name: float(at) for name, at in sent.items()})
            self._heap = None  # Celery's: built anew from the entries
        elif self._was_leading and not leads:
            logger.warning("%s has lost its lease: another one sends", self.name)
        self._was_leading = leads

    def _remember(self, sent: dict[str, float]) -> None:
        """When each task was sent last, by whomever; a new entry says that it was just now."""
        for name, at in sent.items():
            entry, when = self.schedule.get(name), datetime.fromtimestamp(at, UTC)
            if entry is not None and (not entry.total_run_count or entry.last_run_at < when):
                entry.last_run_at = when

    def _write_pulse(self, leads: bool) -> None:
        pulse = SchedulerPulse(self.name, os.getpid(), leads, self._started_at, self._last_sent_at)
        write_scheduler_pulse(redis_client(), pulse)

    def _say_redis_is_away(self, error: RedisError) -> None:
        if not self._is_redis_away:
            logger.warning("%s sends nothing until Redis answers: %s", self.name, error)
        self._is_redis_away = True


def _read_times(file: Path) -> dict[str, float]:
    """Unix seconds by name; none where the file is missing or spoilt, as at the first start."""
    try:
        return {str(name): float(at) for name, at in json.loads(file.read_text()).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        logger.warning("%s cannot be read (%s): what was due while no scheduler ran is not sent late", file, error)
        return {}


def _write_times(file: Path, times: dict[str, float]) -> None:
    """Whole or not at all; a full disk stops no scheduler."""
    written = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        written.write_text(json.dumps(times, indent=1) + "\n")
        written.replace(file)
    except OSError as error:
        logger.warning("%s could not be written: %s", file, error)
