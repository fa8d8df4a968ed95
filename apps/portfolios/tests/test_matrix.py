"""The price matrix: built once, mapped read-only, the same bits for ever."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.db import connection

from apps.portfolios import matrix as matrix_module
from apps.portfolios.copying import copy_query
from apps.portfolios.errors import MissingPriceError, NoPricesError, UnknownPriceVersionError
from apps.portfolios.matrix import load_matrix
from apps.portfolios.models import PriceVersion
from apps.portfolios.price_import import import_prices
from apps.portfolios.tests.factories import INCEPTION, make_prices, trading_days

pytestmark = pytest.mark.django_db


def folder(settings: Any, version: int) -> Path:
    return Path(settings.MATRIX_DIR) / f"v{version}"


def load_from_disk(version: int) -> matrix_module.PriceMatrix:
    matrix_module._loaded.clear()
    return load_matrix(version)


def test_matrix_holds_closes_and_returns_with_nan_for_none() -> None:
    done = make_prices({"BBB": [50.0, None, 52.0], "AAA": [10.0, 11.0, 11.0]})
    matrix = load_matrix(done.price_version)
    assert matrix.symbols == ("AAA", "BBB")
    assert matrix.dates.tolist() == trading_days(3)
    np.testing.assert_array_equal(matrix.prices, [[10, 50], [11, np.nan], [11, 52]])
    np.testing.assert_array_equal(matrix.returns, [[11 / 10 - 1, np.nan], [0, np.nan]])


def test_arrays_are_mapped_read_only_and_returns_lie_by_symbol(settings: Any) -> None:
    matrix = load_matrix(make_prices().price_version)
    assert isinstance(matrix.prices, np.memmap)
    assert not matrix.prices.flags.writeable
    assert not matrix.returns.flags.writeable
    assert matrix.returns.flags.f_contiguous
    assert folder(settings, matrix.version).is_dir()


def test_second_load_in_a_process_is_the_same_object() -> None:
    version = make_prices().price_version
    assert load_matrix(version) is load_matrix(version)


def test_second_process_maps_the_files_and_reads_no_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_matrix(make_prices().price_version)
    monkeypatch.setattr(matrix_module, "_build", lambda version: pytest.fail("was built again"))
    second = load_from_disk(first.version)
    np.testing.assert_array_equal(first.prices, second.prices)


def test_reading_all_prices_may_take_as_long_as_writing_them(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """1 million took 4.5 s: whoever imports 8 million could not read them within a session's 30 s."""
    version = make_prices().price_version
    limits = []

    def read(query: str, types: Any) -> Any:
        limits.append(statement_timeout())
        return copy_query(query, types)

    monkeypatch.setattr(matrix_module, "copy_query", read)
    settings.TASK_TIME_LIMIT_SECONDS = 123
    before = statement_timeout()
    load_from_disk(version)
    assert (limits, statement_timeout()) == (["123s"], before)


def statement_timeout() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return str(cursor.fetchone()[0])


def test_old_version_is_built_again_bit_for_bit(settings: Any) -> None:
    first = make_prices({"AAA": [0.1 + 0.2, 1 / 3, 1e-7], "BBB": [50.0, 51.0, 52.0]})
    old = load_matrix(first.price_version)
    prices, returns = old.prices.tobytes(), old.returns.tobytes("A")
    import_prices(b"date,AAA,CCC\n2022-01-03,9,1\n2022-02-01,5,1\n", "test")
    shutil.rmtree(folder(settings, old.version))
    again = load_from_disk(old.version)
    assert (again.prices.tobytes(), again.returns.tobytes("A")) == (prices, returns)
    assert again.symbols == ("AAA", "BBB")


@pytest.mark.parametrize("damage", ["missing", "short", "flipped", "manifest"])
def test_damaged_folder_is_built_again(settings: Any, damage: str) -> None:
    matrix = load_matrix(make_prices().price_version)
    expected = np.array(matrix.prices)
    spoil(folder(settings, matrix.version), damage)
    np.testing.assert_array_equal(load_from_disk(matrix.version).prices, expected)


def spoil(path: Path, damage: str) -> None:
    prices = path / "prices.npy"
    content = prices.read_bytes()
    prices.unlink()  # the mapping of the first load keeps its own file
    if damage == "short":
        prices.write_bytes(content[:-8])
    if damage == "flipped":
        prices.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    if damage == "manifest":
        prices.write_bytes(content)
        (path / "manifest.json").write_text("{")


def test_files_of_another_database_are_not_taken_for_ours() -> None:
    version = make_prices().price_version
    load_matrix(version)
    PriceVersion.objects.filter(pk=version).update(source="another")
    assert load_from_disk(version).version == version


def test_process_keeps_two_versions_and_the_disk_three(settings: Any) -> None:
    versions = [make_prices({"AAA": [float(number)]}).price_version for number in range(1, 6)]
    for version in versions:
        load_matrix(version)
    assert [loaded.version for loaded in matrix_module._loaded.values()] == versions[-2:]
    assert sorted(path.name for path in Path(settings.MATRIX_DIR).glob("v*")) == sorted(f"v{v}" for v in versions[-3:])


def test_column_and_row_find_closes_by_name_and_day() -> None:
    matrix = load_matrix(make_prices().price_version)
    assert matrix.column("AAA").tolist() == [10, 11, 12, 13, 14]
    assert matrix.row(INCEPTION).tolist() == [10, 50]


def test_symbol_and_day_without_prices_are_told() -> None:
    matrix = load_matrix(make_prices().price_version)
    with pytest.raises(MissingPriceError, match="ZZZ"):
        matrix.column("ZZZ")
    with pytest.raises(MissingPriceError, match="2022-01-01"):
        matrix.row(INCEPTION.replace(day=1))


def test_without_prices_or_with_a_version_that_never_was_it_says_so() -> None:
    with pytest.raises(NoPricesError):
        load_matrix(0)
    with pytest.raises(UnknownPriceVersionError):
        load_matrix(10**6)
