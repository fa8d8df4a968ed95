"""What an error of PostgreSQL or Redis says about the store itself, in the operator's words."""

from dataclasses import replace

from django.conf import settings
from django.db.utils import Error as DatabaseError
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from apps.operations.findings import Finding, Status
from apps.operations.freeing import free_answers
from nautilus.failover import NoPrimaryError, ReplacedError, failover_of

RESTART_DATABASE = "scripts/restart-service.sh postgres"
RESTART_REDIS = "scripts/restart-service.sh redis"
FREE_CONNECTIONS = "scripts/manage.sh doctor --fix --only connections"
SHOW_DISK = "scripts/manage.sh doctor --only disk disk-use"
SHOW_REPLICATION = "scripts/manage.sh redis_failover --status"
CORRECT_DATABASE_URL = "Set user and password of DATABASE_URL right, then start the platform's processes again."
CORRECT_REDIS_URL = "Set the password of REDIS_URL right, then start the platform's processes again."
MOST_CHARACTERS = 300

# Of an attempt to connect psycopg tells no SQLSTATE, only the server's words.
_REFUSALS = ("authentication failed", "no pg_hba.conf entry", "no password supplied", 'FATAL: role "')
_TOO_MANY_CONNECTIONS, _STARTING, _DISK_FULL, _CANCELED = "53300", "57P03", "53100", "57014"


def words_of(error: BaseException) -> str:
    """The error's own words on one line, of a length that fits into a table; its class where it has none."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"


def database_hangs(since: str = "") -> Finding:
    return Finding(
        Status.UNHEALTHY,
        f"The database gives no answer{since}",
        "PostgreSQL takes connections and does not answer: it is stopped, swaps, or waits for its disk.",
        RESTART_DATABASE,
        "database-connection-lost",
    )


def redis_hangs(since: str = "") -> Finding:
    cause = "Redis takes connections and does not answer: it is stopped, swaps, or works on a slow command."
    return _redis_away(f"Redis gives no answer{since}", cause)


def has_several_hosts() -> bool:
    return failover_of(settings.REDIS_URL) is not None


def _redis_away(symptom: str, cause: str) -> Finding:
    """Where there are several servers, one that is away is a primary that was lost."""
    if has_several_hosts():
        return _unhealthy(symptom, cause, SHOW_REPLICATION, "redis-primary-lost")
    return _unhealthy(symptom, cause, RESTART_REDIS, "redis-time-outs")


def database_finding(error: DatabaseError) -> Finding:
    sqlstate, said = getattr(error.__cause__, "sqlstate", None) or "", words_of(error)
    if sqlstate == _TOO_MANY_CONNECTIONS or "too many clients" in said or "connection slots" in said:
        return connections_exhausted(f"All of max_connections are taken: {said}")
    if sqlstate == _DISK_FULL or "No space left" in said:
        return disk_full("The database cannot write", said)
    if "timeout expired" in said or "timed out" in said:
        return database_hangs()
    if sqlstate == _CANCELED:
        return _unhealthy("A query on the database ran over its limit", said, RESTART_DATABASE, "database-slow-query")
    if sqlstate == _STARTING or "starting up" in said or "recovery mode" in said or "shutting down" in said:
        symptom = "The database starts, recovers or shuts down, and takes no query yet"
        return _unhealthy(symptom, said, RESTART_DATABASE, "database-connection-lost")
    if sqlstate.startswith("28") or any(refusal in said for refusal in _REFUSALS):
        cause = f"PostgreSQL refuses the user or the password of DATABASE_URL: {said}"
        return _unhealthy("The database lets nobody in", cause, CORRECT_DATABASE_URL, "database-connection-lost")
    return _unhealthy("The database cannot be reached", said, RESTART_DATABASE, "database-connection-lost")


def connections_exhausted(cause: str) -> Finding:
    symptom = "The database takes no more connections"
    return _unhealthy(symptom, cause, FREE_CONNECTIONS, "database-pool-exhausted")


def disk_full(symptom: str, cause: str) -> Finding:
    return _unhealthy(symptom, cause, SHOW_DISK, "disk-full")


def redis_finding(error: RedisError) -> Finding:
    said = words_of(error)
    if isinstance(error, RedisTimeoutError):
        return redis_hangs()
    if isinstance(error, (NoPrimaryError, ReplacedError)):
        return _unhealthy("Redis has no primary", said, SHOW_REPLICATION, "redis-primary-lost")
    if isinstance(error, BusyLoadingError):
        symptom = "Redis loads its data and takes no command yet"
        return _unhealthy(symptom, said, "scripts/manage.sh doctor --only redis", "redis-restarted")
    if isinstance(error, OutOfMemoryError) or said.startswith("OOM"):
        return redis_memory_full(f"A write was refused: {said}")
    if isinstance(error, ReadOnlyError):
        symptom, cause = "Redis takes no write", f"The Redis that we reach is a replica: {said}"
        return _unhealthy(symptom, cause, SHOW_REPLICATION, "redis-primary-lost")
    if isinstance(error, ResponseError) and said.startswith("MISCONF"):
        return disk_full("Redis takes no write", f"It cannot write to its disk: {said}")
    if isinstance(error, AuthenticationError):
        cause = f"Redis refuses the password of REDIS_URL: {said}"
        return _unhealthy("Redis lets nobody in", cause, CORRECT_REDIS_URL, "redis-time-outs")
    return _redis_away("Redis cannot be reached", said)


def redis_memory_full(cause: str) -> Finding:
    symptom, remedy = "Redis' memory is full: what is written is refused", "scripts/manage.sh doctor --fix --only redis"
    return replace(_unhealthy(symptom, cause, remedy, "redis-memory-full"), fix=free_answers)


def _unhealthy(symptom: str, cause: str, remedy: str, section: str) -> Finding:
    return Finding(Status.UNHEALTHY, symptom, cause, remedy, section)
