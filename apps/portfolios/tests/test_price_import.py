"""Prices come in whole or not at all; a repeat changes nothing; a change is a new version."""

import io
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from django.conf import settings
from django.db import Error, connection, transaction
from django.utils import timezone

from apps.portfolios.models import DailyPrice, Instrument, PriceVersion, Upload
from apps.portfolios.price_import import forget_uploads, import_prices, run_price_import, submit_price_import
from apps.portfolios.prices import current_price_version, latest_prices
from apps.portfolios.tests.factories import book_state, make_user
from apps.tasks.execution import execute, take
from apps.tasks.models import Task
from nautilus.api.errors import DomainError

pytestmark = pytest.mark.django_db

WIDE = b"date,AAA,BBB\n2022-01-03,10,50\n2022-01-04,11,\n"
LONG = b"date,symbol,close\n2022-01-03,AAA,10\n2022-01-03,BBB,50\n2022-01-04,AAA,11\n"


def closes() -> set[tuple[str, str, float]]:
    return {(row.instrument_id, str(row.date), row.close) for row in DailyPrice.objects.all()}


EXPECTED = {("AAA", "2022-01-03", 10.0), ("BBB", "2022-01-03", 50.0), ("AAA", "2022-01-04", 11.0)}


@pytest.mark.parametrize("content", [WIDE, LONG])
def test_wide_and_long_files_give_the_same_prices(content: bytes) -> None:
    done = import_prices(content, "test")
    assert closes() == EXPECTED
    assert (done.rows, done.inserted, done.symbols, done.last_date) == (3, 3, 2, "2022-01-04")
    assert set(Instrument.objects.values_list("symbol", flat=True)) == {"AAA", "BBB"}


@pytest.mark.parametrize("dates", [["2022-01-03", "2022-01-04"], [date(2022, 1, 3), date(2022, 1, 4)], "timestamps"])
def test_parquet_gives_the_same_prices(dates: Any) -> None:
    dates = pd.to_datetime(["2022-01-03", "2022-01-04"]) if dates == "timestamps" else dates
    file = io.BytesIO()
    pd.DataFrame({"date": dates, "AAA": [10, 11], "BBB": [50.0, None]}).to_parquet(file)
    import_prices(file.getvalue(), "test")
    assert closes() == EXPECTED


def test_repeat_makes_no_version() -> None:
    first = import_prices(WIDE, "test")
    before = book_state()
    again = import_prices(LONG, "test")
    assert (again.inserted, again.changed, again.unchanged, again.price_version) == (0, 0, 3, first.price_version)
    assert book_state() == before


def test_correction_is_a_new_row_of_a_new_version() -> None:
    first = import_prices(WIDE, "test")
    second = import_prices(b"date,AAA\n2022-01-04,11.5\n2022-01-05,12\n", "test")
    assert (second.inserted, second.changed, second.unchanged) == (1, 1, 0)
    assert second.price_version > first.price_version
    assert latest_prices(["AAA"], first.price_version)["AAA"] == (date(2022, 1, 4), 11.0)
    assert latest_prices(["AAA", "NONE"]) == {"AAA": (date(2022, 1, 5), 12.0)}
    assert DailyPrice.objects.count() == 5


def test_price_that_goes_back_to_what_it_was_is_a_version_again() -> None:
    import_prices(WIDE, "test")
    import_prices(b"date,AAA\n2022-01-04,99\n", "test")
    assert import_prices(b"date,AAA\n2022-01-04,11\n", "test").changed == 1
    assert latest_prices(["AAA"])["AAA"].close == 11.0


def test_without_prices_the_version_is_zero() -> None:
    assert current_price_version() == 0


def test_imported_price_cannot_be_changed_even_by_sql() -> None:
    import_prices(WIDE, "test")
    with pytest.raises(Error, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE portfolios_dailyprice SET close = 1")


IN_FUTURE = "2199-01-01"  # the same in each process of pytest-xdist: it is part of a test's name


@pytest.mark.parametrize(
    ("content", "code", "place"),
    [
        (b"date,AAA\n2022-01-03,1\n2022-01-04,0\n", "not_positive", "rows.3.AAA"),
        (b"date,AAA\n2022-01-03,1\n2022-01-04,-5\n", "not_positive", "rows.3.AAA"),
        (b"date,AAA\n2022-01-03,1\n2022-01-04,NaN\n", "not_a_number", "rows.3.AAA"),
        (b"date,AAA\n2022-01-03,1\n2022-01-04,ten\n", "not_a_number", "rows.3.AAA"),
        (b"date,AAA\n2022-01-03,1\n2022-01-04,1e300\n", "too_large", "rows.3.AAA"),
        (b"date,AAA\n2022-01-03,1\n04.01.2022,1\n", "invalid_date", "rows.3.date"),
        (b"date,AAA\n2022-01-03,1\n2022-02-30,1\n", "invalid_date", "rows.3.date"),
        (b"date,AAA\n2022-01-03,1\n0202-01-04,1\n", "invalid_date", "rows.3.date"),
        (f"date,AAA\n2022-01-03,1\n{IN_FUTURE},1\n".encode(), "future_date", "rows.3.date"),
        (b"date,AAA\n2022-01-03,1\n2022-01-03,1\n", "duplicate_row", "rows.3.date"),
        (b"date,A A\n2022-01-03,1\n", "invalid_symbol", "rows.1.A A"),
        (b"date,symbol,close\n2022-01-03,AAA,1\n2022-01-03,AAA,1\n", "duplicate_row", "rows.3.date"),
        (b"date,symbol,close\n2022-01-03,AAA,1\n2022-01-03,,1\n", "invalid_symbol", "rows.3.symbol"),
        (b"date,symbol,close\n2022-01-03,AAA,1\n2022-01-03,B/B,1\n", "invalid_symbol", "rows.3.symbol"),
        (b"date,symbol,close\n2022-01-03,AAA,1\n2022-01-03,BBB,\n", "empty", "rows.3.close"),
    ],
)
def test_bad_row_is_told_by_row_and_column_and_nothing_is_imported(content: bytes, code: str, place: str) -> None:
    import_prices(WIDE, "test")
    before = book_state()
    with pytest.raises(DomainError) as refusal:
        import_prices(content, "test")
    assert [(error.code, error.attr) for error in refusal.value.errors] == [(code, place)]
    assert book_state() == before


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"day,AAA\n2022-01-03,1\n", "missing_column"),
        (b"date,symbol\n2022-01-03,AAA\n", "missing_column"),
        (b"date,symbol,close,volume\n2022-01-03,AAA,1,5\n", "unknown_column"),
        (b"date,AAA\n2022-01-03,\n", "no_rows"),
        (b"date\n2022-01-03\n", "no_rows"),
        (b"date;AAA\n2022-01-03;1\n", "wrong_separator"),
        (b"\xef\xbb\xbf" + WIDE, "byte_order_mark"),
    ],
)
def test_file_that_is_no_price_table_is_refused(content: bytes, code: str) -> None:
    with pytest.raises(DomainError) as refusal:
        import_prices(content, "test")
    assert refusal.value.code == code
    assert not PriceVersion.objects.exists()


def run(content: bytes) -> Task:
    task = submit_price_import("prices.csv", content, make_user("operator"))
    job = take(str(task.id), "test")
    assert job is not None
    execute(job, run_price_import)
    task.refresh_from_db()
    return task


def test_task_imports_the_upload_and_says_what_it_did() -> None:
    task = run(WIDE)
    assert task.status == "succeeded"
    assert task.result == {
        "rows": 3,
        "inserted": 3,
        "changed": 0,
        "unchanged": 0,
        "symbols": 2,
        "first_date": "2022-01-03",
        "last_date": "2022-01-04",
        "price_version": current_price_version(),
    }
    assert PriceVersion.objects.get().source == "prices.csv"
    assert not Upload.objects.exists()


def test_task_that_finds_faults_fails_with_them_and_writes_nothing() -> None:
    task = run(b"date,AAA\n2022-01-03,0\n")
    assert task.status == "failed"
    assert task.error is not None
    assert (task.error["code"], task.error["errors"][0]["attr"]) == ("not_positive", "rows.2.AAA")
    assert not PriceVersion.objects.exists()


def test_task_whose_file_is_gone_says_so() -> None:
    task = submit_price_import("prices.csv", WIDE, make_user("operator"))
    Upload.objects.all().delete()
    job = take(str(task.id), "test")
    assert job is not None
    execute(job, run_price_import)
    task.refresh_from_db()
    assert task.error is not None
    assert task.error["code"] == "upload_gone"


def test_uploads_of_failed_imports_are_forgotten_after_a_week() -> None:
    Upload.objects.create(name="old", content=b"", sha256="", created_at=timezone.now() - timedelta(days=8))
    Upload.objects.create(name="new", content=b"", sha256="")
    assert forget_uploads() == 1
    assert Upload.objects.get().name == "new"


def test_thirty_three_years_of_real_prices_are_read_exactly() -> None:
    from apps.portfolios.price_table import read_prices

    prices = read_prices((Path(settings.ROOT) / "sample_data" / "daily_prices.csv.gz").read_bytes())
    assert (len(prices), len(prices.symbols)) == (8_313 * 21, 21)
    assert (str(prices.first_date), str(prices.last_date)) == ("1990-01-02", "2022-12-28")
