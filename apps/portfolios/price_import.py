"""Imports daily prices: all or nothing, and a repeat of the same file changes nothing."""

from dataclasses import asdict, dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from apps.portfolios.copying import copy_table
from apps.portfolios.errors import UploadGoneError
from apps.portfolios.models import PriceVersion, Upload
from apps.portfolios.price_table import PriceTable, read_prices
from apps.portfolios.prices import current_price_version
from apps.portfolios.tables import check_beginning
from apps.tasks.execution import Job, Outcome
from apps.tasks.models import Task
from apps.tasks.submission import submit_task
from nautilus.postgresql.limits import allowed_seconds

KIND = "market_data.import"
UPLOADS_KEPT_FOR = timedelta(days=7)

# Two imports must not interleave: a version's number says which prices it holds, so numbers are given in turn.
_IMPORT_LOCK = 0x6E617574_01

_SQL = Path(__file__).parent / "sql"


@dataclass(frozen=True, slots=True)
class PriceImport:
    """What an import did; `price_version` is the one that the prices are in now, new or not."""

    rows: int
    inserted: int
    changed: int
    unchanged: int
    symbols: int
    first_date: str
    last_date: str
    price_version: int


def submit_price_import(name: str, content: bytes, user: Any) -> Task:
    """Keeps the file and asks a worker to import it. Refuses at once what its beginning shows to be wrong."""
    check_beginning(content)
    with transaction.atomic():
        upload = Upload.objects.create(name=name[:200], content=content, sha256=sha256(content).hexdigest())
        return submit_task(KIND, {"upload_id": upload.id, "name": upload.name, "sha256": upload.sha256}, user=user)


def run_price_import(job: Job) -> Outcome:
    """The job: reads and checks the file; writes in the transaction that ends the task, so once."""
    upload = _upload_of(job.task)
    job.progress(0, 3, "reading the file")
    prices = read_prices(bytes(upload.content))
    job.progress(1, 3, "writing the prices")

    def store() -> dict[str, Any]:
        done = write_prices(prices, upload.name)
        upload.delete()
        return asdict(done)

    return Outcome({"rows": len(prices)}, store)


def _upload_of(task: Task) -> Upload:
    upload = Upload.objects.filter(pk=task.inputs["upload_id"]).first()
    if upload is None:
        raise UploadGoneError(f"The file of this import, '{task.inputs['name']}', is no longer kept.", "Send it again.")
    return upload


def import_prices(content: bytes, source: str) -> PriceImport:
    """Reads a file and imports it, in one go."""
    return write_prices(read_prices(content), source)


def write_prices(prices: PriceTable, source: str) -> PriceImport:
    """One transaction: what is new or differs becomes the next price version; nothing new makes none."""
    # Millions of prices take statements of a minute and more, and who comes second waits for all of the first.
    with transaction.atomic(), allowed_seconds(settings.TASK_TIME_LIMIT_SECONDS), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_IMPORT_LOCK])
        cursor.execute((_SQL / "stage_prices.sql").read_text())
        copy_table("price_staging", prices.data)
        cursor.execute((_SQL / "compare_prices.sql").read_text())
        inserted, changed = _count_changes(cursor)
        if inserted + changed:
            _write_version(cursor, source, inserted + changed)
        cursor.execute("DROP TABLE price_staging, price_change")
    return _report(prices, inserted, changed)


def _count_changes(cursor: Any) -> tuple[int, int]:
    cursor.execute("SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) FROM price_change")
    inserted, changed = cursor.fetchone()
    return inserted, changed


def _write_version(cursor: Any, source: str, rows_changed: int) -> None:
    version = PriceVersion.objects.create(source=source[:200], rows_changed=rows_changed)
    cursor.execute((_SQL / "new_instruments.sql").read_text())
    cursor.execute((_SQL / "new_prices.sql").read_text(), {"version": version.id})


def _report(prices: PriceTable, inserted: int, changed: int) -> PriceImport:
    return PriceImport(
        rows=len(prices),
        inserted=inserted,
        changed=changed,
        unchanged=len(prices) - inserted - changed,
        symbols=len(prices.symbols),
        first_date=prices.first_date.isoformat(),
        last_date=prices.last_date.isoformat(),
        price_version=current_price_version(),
    )


def forget_uploads() -> int:
    """Deletes files whose import failed long ago; called by the maintenance worker."""
    return Upload.objects.filter(created_at__lt=timezone.now() - UPLOADS_KEPT_FOR).delete()[0]
