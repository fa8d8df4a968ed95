"""Deletes what is old, a thousand rows in a transaction, so that nobody waits for a lock; and compresses what rests."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from apps.operations.timeseries.extension import look
from apps.operations.timeseries.hypertables import is_hypertable
from apps.operations.timeseries.models import RetentionRun
from apps.operations.timeseries.rules import RULES, Rule
from apps.operations.timeseries.tables import BY_TABLE, SERIES, TimeSeries

BATCH = 1_000
# For a table and night; what is left then the next night goes on with.
MOST_SECONDS = 120.0
# Between two batches others have their turn.
PAUSE_SECONDS = 0.01
_LOCK = 0x6E6175_7265  # "naure": one run at a time, whoever asks

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """`deleted`: rows, or chunks of a hypertable."""

    table: str
    deleted: int = 0
    compressed: int = 0
    is_done: bool = True
    error: str = ""


def enforce_retention(now: datetime | None = None) -> list[Swept]:
    """Every rule once; nothing where another process is at it. One that fails does not stop the others."""
    now = now or timezone.now()
    with _alone() as is_alone:
        if not is_alone:
            return []
        extension = look()
        swept = [_noted(rule.table, partial(_enforce, rule, now)) for rule in RULES if rule.keep_days]
        resting = [
            each for each in SERIES if each.unsettled and extension.compresses(each) and is_hypertable(each.table)
        ]
        return swept + [_noted(each.table, partial(_compress, each, now)) for each in resting]


def _noted(table: str, work: Callable[[], Swept]) -> Swept:
    began_at, began = timezone.now(), time.monotonic()
    try:
        swept = work()
    except DatabaseError as error:
        logger.exception("Old rows of %s were not deleted", table)
        swept = Swept(table, is_done=False, error=str(error).strip())
    told = {"deleted": swept.deleted, "compressed": swept.compressed, "is_done": swept.is_done, "error": swept.error}
    told |= {"began_at": began_at, "seconds": time.monotonic() - began}
    RetentionRun.objects.update_or_create(table=table, defaults=told)
    return swept


def _enforce(rule: Rule, now: datetime) -> Swept:
    before = now - timedelta(days=rule.keep_days)
    if rule.table in BY_TABLE and look().version and is_hypertable(rule.table):
        return _drop_chunks(rule.table, before)
    return _delete(rule, before)


def _delete(rule: Rule, before: datetime) -> Swept:
    deleted, deadline = 0, time.monotonic() + MOST_SECONDS
    while keys := list(rule.old(before).values_list("pk", flat=True)[:BATCH]):
        deleted += _delete_batch(rule, before, keys)
        if time.monotonic() > deadline:
            return Swept(rule.table, deleted, is_done=False)
        time.sleep(PAUSE_SECONDS)
    return Swept(rule.table, deleted)


@transaction.atomic
def _delete_batch(rule: Rule, before: datetime, keys: list[object]) -> int:
    """The rows of the table itself that went; the rule is asked again, as some may be needed again meanwhile."""
    rows = rule.old(before).filter(pk__in=keys)
    model = rows.model
    return rows.delete()[1].get(model._meta.label, 0)


def _drop_chunks(table: str, before: datetime) -> Swept:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM drop_chunks(%s::regclass, older_than => %s::timestamptz)", [table, before])
        return Swept(table, cursor.fetchone()[0])


def _compress(series: TimeSeries, now: datetime) -> Swept:
    """Chunks that are old enough and hold no row that may be locked: that fails in a compressed one."""
    resting = [chunk for chunk in _uncompressed(series, now) if _is_settled(chunk, series)]
    with connection.cursor() as cursor:
        for chunk in resting:
            cursor.execute("SELECT compress_chunk(%s::regclass, if_not_compressed => true)", [chunk])
    return Swept(series.table, compressed=len(resting))


def _uncompressed(series: TimeSeries, now: datetime) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT format('%%I.%%I', chunk_schema, chunk_name) FROM timescaledb_information.chunks"
            " WHERE hypertable_name = %s AND NOT is_compressed AND range_end < %s ORDER BY range_end",
            [series.table, now - timedelta(days=series.compress_after_days)],
        )
        return [name for (name,) in cursor.fetchall()]


def _is_settled(chunk: str, series: TimeSeries) -> bool:
    with connection.cursor() as cursor:
        # Both are names and conditions of ours.
        cursor.execute(f"SELECT NOT EXISTS (SELECT FROM {chunk} WHERE {series.unsettled})")  # noqa: S608
        return bool(cursor.fetchone()[0])


@contextmanager
def _alone() -> Iterator[bool]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        is_alone = bool(cursor.fetchone()[0])
    try:
        yield is_alone
    finally:
        if is_alone:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
