"""CSV and Parquet files as tables of text or typed columns; a file that is not exactly right is refused.

Columns stay as the file has them; columns.py turns them into numbers, dates and texts, fault by fault.
"""

import csv
import io
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from django.conf import settings
from pyarrow import csv as arrow_csv

from apps.portfolios.errors import (
    ByteOrderMarkError,
    DuplicateColumnError,
    EmptyFileError,
    FileTooLargeError,
    MissingColumnError,
    NoRowsError,
    NotTextError,
    UnknownColumnError,
    UnreadableFileError,
    WrongSeparatorError,
)
from apps.portfolios.faults import Faults

# What a small, well-compressed file may unfold to.
MAX_CELLS = 20_000_000
MAX_TEXT_LENGTH = 1_000
MAX_COLUMNS = 20_000

_MARKS = {b"\xef\xbb\xbf": "UTF-8", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass(frozen=True, slots=True)
class Table:
    """`first_row` is the number of the first row of data: 2 in a CSV, whose header is row 1; 1 in Parquet."""

    data: pa.Table
    first_row: int

    def __len__(self) -> int:
        return self.data.num_rows

    def faults(self) -> Faults:
        return Faults(self.first_row)


def read_table(content: bytes) -> Table:
    """The table in a CSV, gzipped CSV or Parquet file, told apart by their first bytes. Raises FileErrors."""
    if not content:
        raise EmptyFileError("The file is empty.", "Send a CSV with a header and rows, or Parquet.")
    _refuse_large(len(content))
    table = _read_parquet(content) if content.startswith(b"PAR1") else _read_csv(_unzipped(content))
    _refuse_duplicate_columns(table.data.column_names)
    if not len(table):
        raise NoRowsError("The file has a header and no rows.", "Send at least one row of data.")
    return table


def check_beginning(content: bytes) -> None:
    """What can be refused at once, before a task reads the whole file."""
    if not content:
        raise EmptyFileError("The file is empty.", "Send a CSV with a header and rows, or Parquet.")
    _refuse_large(len(content))
    if not content.startswith((b"PAR1", b"\x1f\x8b")):
        _check_encoding(content)
        _check_separator(content)


def _refuse_large(size: int, what: str = "The file has") -> None:
    limit = settings.IMPORT_MAX_BYTES
    if size > limit:
        raise FileTooLargeError(f"{what} {size} bytes; at most {limit} are taken.", "Split it into several files.")


def _unzipped(content: bytes) -> bytes:
    if not content.startswith(b"\x1f\x8b"):
        return content
    limit = settings.IMPORT_MAX_BYTES
    unzip = zlib.decompressobj(wbits=31)
    try:
        text = unzip.decompress(content, limit + 1)
    except zlib.error as error:
        raise UnreadableFileError(f"The gzip file cannot be unpacked: {error}.", "Pack it again.") from error
    _refuse_large(len(text), "Unpacked, the file has at least")
    if not unzip.eof:
        raise UnreadableFileError("The gzip file ends too early.", "Send it whole.")
    if unzip.unused_data:
        raise UnreadableFileError("The gzip file has several parts.", "Pack it as one.")
    if not text:
        raise EmptyFileError("The gzip file holds nothing.", "Send a CSV with a header and rows, or Parquet.")
    return text


def _check_encoding(content: bytes) -> None:
    for mark, name in _MARKS.items():
        if content.startswith(mark):
            raise ByteOrderMarkError(
                f"The file begins with a byte order mark ({name}).", "Save it as plain UTF-8, without BOM."
            )
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise NotTextError(
            f"Byte {error.start} is not UTF-8.", "Save the file as UTF-8 CSV, or send Parquet."
        ) from error
    if b"\0" in content:
        raise NotTextError(f"Byte {content.index(0)} is NUL: this is no text.", "Send UTF-8 CSV, or Parquet.")


def _check_separator(content: bytes) -> None:
    header = content.lstrip(b"\r\n").split(b"\n", 1)[0].decode().strip()
    for separator, name in _OTHER_SEPARATORS.items():
        if separator in header and "," not in header:
            raise WrongSeparatorError(
                f"The header is separated by {name}: '{header[:80]}'.", "Separate by commas, with points in decimals."
            )


def _read_csv(content: bytes) -> Table:
    _check_encoding(content)
    content = content.rstrip(b"\r\n\t ")
    if not content:
        raise EmptyFileError("The file holds only blank lines.", "Send a CSV with a header and rows.")
    _check_separator(content)
    names = _header(content)
    faults = Faults(first_row=2)
    data = _parse(content, names, faults)
    faults.raise_any()
    return Table(data, first_row=2)


def _header(content: bytes) -> list[str]:
    first_line = content.split(b"\n", 1)[0].rstrip(b"\r").decode()
    if not first_line.strip():
        raise UnreadableFileError("The first line is blank.", "Begin with the header.")
    return next(csv.reader([first_line]))


def _parse(content: bytes, names: list[str], faults: Faults) -> pa.Table:
    def ragged(row: arrow_csv.InvalidRow) -> str:
        detail = f"has {row.actual_columns} values; the header has {row.expected_columns}."
        faults.add(row.number - 2, None, "wrong_number_of_values", detail, "Give each row one value a column.")
        return "skip"

    _refuse_cells(len(names) * (content.count(b"\n") + 1), len(names))
    positions = [str(position) for position in range(len(names))]  # the names may hold doubles, told later
    try:
        parsed = arrow_csv.read_csv(
            io.BytesIO(content + b"\n"),
            # One thread: row numbers are known only so.
            arrow_csv.ReadOptions(use_threads=False, skip_rows=1, column_names=positions, block_size=1 << 24),
            arrow_csv.ParseOptions(invalid_row_handler=ragged, ignore_empty_lines=False),
            arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(positions, pa.string()), strings_can_be_null=False, check_utf8=False
            ),
        )
    except pa.ArrowInvalid as error:
        raise UnreadableFileError(f"The CSV cannot be read: {error}.", "Look at its quotes and line ends.") from error
    return parsed.rename_columns(names)


def _read_parquet(content: bytes) -> Table:
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        _refuse_cells(file.metadata.num_rows * file.metadata.num_columns, file.metadata.num_columns)
        _refuse_nested(file.schema_arrow)
        texts = [field.name for field in file.schema_arrow if _is_text(field.type)]
        # Texts stay encoded: one long text repeated a million times must not unfold.
        data = pq.ParquetFile(pa.BufferReader(content), read_dictionary=texts).read()
        return Table(_plain(data), first_row=1)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFileError(f"The Parquet file cannot be read: {error}.", "Write it again.") from error


def _refuse_nested(schema: pa.Schema) -> None:
    nested = [field.name for field in schema if pa.types.is_nested(field.type)]
    if nested:
        raise UnreadableFileError(f"The columns {_quoted(nested)} hold lists or structs.", "Write plain columns.")


def _is_text(kind: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(test(kind) for test in tests)


def _plain(data: pa.Table) -> pa.Table:
    columns = [_decoded(column) if pa.types.is_dictionary(column.type) else column for column in data.columns]
    return pa.table(columns, names=data.column_names)


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    longest = max((pc.max(pc.binary_length(chunk.dictionary)).as_py() or 0 for chunk in column.chunks), default=0)
    if longest > MAX_TEXT_LENGTH:
        raise UnreadableFileError(f"A text has {longest} bytes.", f"At most {MAX_TEXT_LENGTH} are taken.")
    return column.cast(pa.string())


def _refuse_cells(cells: int, columns: int = 0) -> None:
    if cells > MAX_CELLS or columns > MAX_COLUMNS:
        raise FileTooLargeError(
            f"The table has {cells} cells; at most {MAX_CELLS} are taken.", "Split it into several files."
        )


def _refuse_duplicate_columns(names: list[str]) -> None:
    doubles = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if doubles:
        raise DuplicateColumnError(f"The header has {_quoted(doubles)} twice.", "Name each column once.")


def check_columns(names: Iterable[str], required: Iterable[str], optional: Iterable[str] = ()) -> None:
    """Raises where a column is missing or one is there that nobody would read."""
    found, required, known = list(names), list(required), [*required, *optional]
    missing = [name for name in required if name not in found]
    unknown = [name for name in found if name not in known]
    expected = f"Expected {', '.join(required)}" + (f", and perhaps {', '.join(optional)}." if optional else ".")
    if missing:
        raise MissingColumnError(f"The file has no column {_quoted(missing)}; it has {_quoted(found)}.", expected)
    if unknown:
        raise UnknownColumnError(f"The column {_quoted(unknown)} is not known.", expected)


def _quoted(names: list[str]) -> str:
    shown = ", ".join(f"'{name[:40]}'" for name in names[:20])
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")
