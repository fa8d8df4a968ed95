"""A file that is not exactly right is refused, and told why."""

import gzip
import io
from typing import Any

import pandas as pd
import pytest

from apps.portfolios import tables
from apps.portfolios.tables import check_beginning, check_columns, read_table
from nautilus.api.errors import DomainError


def refusal_of(content: bytes) -> DomainError:
    with pytest.raises(DomainError) as refusal:
        read_table(content)
    assert refusal.value.detail
    return refusal.value


def parquet(**columns: Any) -> bytes:
    file = io.BytesIO()
    pd.DataFrame(columns).to_parquet(file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"\n\n", "empty_file"),
        (b"a,b\n", "no_rows"),
        (b"\xef\xbb\xbfa,b\n1,2\n", "byte_order_mark"),
        ("a,b\n1,2\n".encode("utf-16"), "byte_order_mark"),
        (b"a;b\n1;2\n", "wrong_separator"),
        (b"a\tb\n1\t2\n", "wrong_separator"),
        ("a,b\né,2\n".encode("latin-1"), "not_utf8"),
        (b"a,b\n1\x00,2\n", "not_utf8"),
        (b"a,a\n1,2\n", "duplicate_column"),
        (b"\na,b\n1,2\n", "unreadable_file"),
        (b"PAR1 and no more", "unreadable_file"),
        (b"\x1f\x8b and no more", "unreadable_file"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0)[:-4], "unreadable_file"),
        (gzip.compress(b"", mtime=0), "empty_file"),
    ],
)
def test_unreadable_file_is_refused(content: bytes, code: str) -> None:
    assert refusal_of(content).code == code


def test_file_above_the_limit_is_refused(settings: Any) -> None:
    settings.IMPORT_MAX_BYTES = 10
    refusal = refusal_of(b"a,b\n1,2\n3,4\n")
    assert (refusal.code, refusal.status) == ("file_too_large", 413)


def test_small_gzip_file_that_unfolds_above_the_limit_is_refused(settings: Any) -> None:
    settings.IMPORT_MAX_BYTES = 10_000
    assert refusal_of(gzip.compress(b"a,b\n" + b"1,2\n" * 100_000)).code == "file_too_large"


def test_small_parquet_file_that_unfolds_to_too_many_cells_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_CELLS", 1_000)
    assert refusal_of(parquet(a=[1] * 2_000)).code == "file_too_large"


def test_long_text_repeated_in_parquet_is_refused() -> None:
    assert refusal_of(parquet(a=["x" * 100_000] * 1_000)).code == "unreadable_file"


def test_ragged_rows_are_told_by_their_line() -> None:
    refusal = refusal_of(b"a,b\n1,2\n3\n4,5,6\n")
    assert [error.attr for error in refusal.errors] == ["rows.3", "rows.4"]


def test_first_row_of_data_is_two_in_csv_and_one_in_parquet() -> None:
    assert read_table(b"a,b\n1,2\n").first_row == 2
    assert read_table(parquet(a=[1])).first_row == 1


def test_windows_line_ends_and_quotes_are_read() -> None:
    assert read_table(b'"a",b\r\n"1,5",2\r\n').data.to_pylist() == [{"a": "1,5", "b": "2"}]


@pytest.mark.parametrize(
    ("found", "code"), [(["a"], "missing_column"), (["a", "b", "x"], "unknown_column"), (["a", " b"], "missing_column")]
)
def test_columns_are_those_that_are_read(found: list[str], code: str) -> None:
    with pytest.raises(DomainError) as refusal:
        check_columns(found, ("a", "b"), ("c",))
    assert refusal.value.code == code
    assert "Expected a, b, and perhaps c." in refusal.value.remedy


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbfa,b\n", b"a;b\n"])
def test_beginning_of_a_file_tells_what_needs_no_task(content: bytes) -> None:
    with pytest.raises(DomainError):
        check_beginning(content)
