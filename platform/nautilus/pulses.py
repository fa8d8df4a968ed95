"""Signs of life of workers and schedulers, in Redis: who runs, what he does, and since when he is silent.

Each process writes an entry of its own into a hash, together with the time of Redis' clock: how long one is silent is
then the same figure for every reader, whatever the clocks of the machines say.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import redis

WORKERS_KEY = "pulses:workers"
SCHEDULERS_KEY = "pulses:schedulers"
ENDINGS_KEY = "pulses:endings"

KEPT_SECONDS = 3600
KEPT_ENDINGS = 100

# Writes an entry with Redis' time in front, and drops those of whoever has been silent for too long.
_WRITE = """
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  local at = tonumber(string.match(redis.call('HGET', KEYS[1], name), '^%S+'))
  if not at or at < now - tonumber(ARGV[3]) then redis.call('HDEL', KEYS[1], name) end
end
return redis.call('HSET', KEYS[1], ARGV[1], string.format('%.6f', now) .. ' ' .. ARGV[2])
"""

# Drops an entry, unless another process writes under that name by now.
_FORGET = """
local entry = redis.call('HGET', KEYS[1], ARGV[1])
if not entry then return 0 end
local pid = cjson.decode(string.match(entry, '^%S+ (.*)$'))['pid']
if pid ~= tonumber(ARGV[2]) then return 0 end
return redis.call('HDEL', KEYS[1], ARGV[1])
"""


@dataclass(frozen=True, slots=True)
class WorkerPulse:
    """One Celery worker. `slots` is how many tasks it carries out at once, `active` how many it does now.

    `received` counts the messages that it took since its start. `lost` counts the processes that were taken from it:
    those of its pool, as when the kernel kills one for memory, and a predecessor that did not end in order; `last_lost`
    says how, and with which task. Times are Unix seconds.
    """

    worker: str
    queues: tuple[str, ...]
    pid: int
    slots: int
    active: int
    received: int
    last_received_at: float | None
    started_at: float
    lost: int = 0
    last_lost_at: float | None = None
    last_lost: str = ""
    silent_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class SchedulerPulse:
    """One Celery beat. `leads` says whether it is the one that sends. Times are Unix seconds."""

    scheduler: str
    pid: int
    leads: bool
    started_at: float
    last_sent_at: float | None
    silent_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class WorkerEnding:
    """A worker that ended itself (watchdog.py), when (Unix seconds), and why."""

    worker: str
    pid: int
    at: float
    reason: str


Pulse = TypeVar("Pulse", WorkerPulse, SchedulerPulse)


def write_worker_pulse(client: redis.Redis, pulse: WorkerPulse) -> None:
    _write(client, WORKERS_KEY, pulse.worker, asdict(pulse))


def write_scheduler_pulse(client: redis.Redis, pulse: SchedulerPulse) -> None:
    _write(client, SCHEDULERS_KEY, pulse.scheduler, asdict(pulse))


def worker_pulses(client: redis.Redis) -> list[WorkerPulse]:
    """By name; a worker that ended in order is not among them, one that was killed is for an hour.

    Raises RedisError where Redis cannot be reached.
    """
    found = [{**entry, "queues": tuple(entry["queues"])} for entry in _read(client, WORKERS_KEY)]
    return sorted((WorkerPulse(**entry) for entry in found), key=lambda pulse: pulse.worker)


def scheduler_pulses(client: redis.Redis) -> list[SchedulerPulse]:
    """By name, those of the last hour; raises RedisError where Redis cannot be reached."""
    found = (SchedulerPulse(**entry) for entry in _read(client, SCHEDULERS_KEY))
    return sorted(found, key=lambda pulse: pulse.scheduler)


def forget_worker(client: redis.Redis, worker: str, pid: int) -> None:
    """For a worker that ends in order: nobody needs to wonder why it is silent."""
    client.eval(_FORGET, 1, WORKERS_KEY, worker, pid)


def forget_scheduler(client: redis.Redis, scheduler: str, pid: int) -> None:
    client.eval(_FORGET, 1, SCHEDULERS_KEY, scheduler, pid)


def write_ending(client: redis.Redis, ending: WorkerEnding) -> None:
    with client.pipeline() as pipe:
        pipe.lpush(ENDINGS_KEY, json.dumps(asdict(ending)))
        pipe.ltrim(ENDINGS_KEY, 0, KEPT_ENDINGS - 1)
        pipe.execute()


def worker_endings(client: redis.Redis) -> list[WorkerEnding]:
    """The last hundred workers that ended themselves, the latest first."""
    entries: Any = client.lrange(ENDINGS_KEY, 0, -1)
    return [WorkerEnding(**json.loads(entry)) for entry in entries]


def _write(client: redis.Redis, key: str, name: str, entry: dict[str, Any]) -> None:
    entry.pop("silent_seconds")
    client.eval(_WRITE, 1, key, name, json.dumps(entry), KEPT_SECONDS)


def _read(client: redis.Redis, key: str) -> Iterator[dict[str, Any]]:
    with client.pipeline() as pipe:
        pipe.hvals(key)
        pipe.time()
        entries, (seconds, microseconds) = pipe.execute()
    for entry in entries:
        at, _, told = _text(entry).partition(" ")
        silent_seconds = max(seconds + microseconds / 1e6 - float(at), 0.0)
        if silent_seconds <= KEPT_SECONDS:
            yield {**json.loads(told), "silent_seconds": silent_seconds}


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
