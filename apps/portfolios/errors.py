"""What can be wrong with a book, a file or a question about them; one class a meaning."""

from nautilus.api.errors import ConflictError, DomainError, NotFoundError


class PortfolioNotFoundError(NotFoundError):
    """The same words for one that does not exist and one that the caller may not see."""

    def __init__(self, portfolio_id: object) -> None:
        super().__init__(
            f"There is no portfolio '{portfolio_id}' that you may see.", "GET /api/v1/portfolios lists yours."
        )


class PortfolioExistsError(ConflictError):
    code = "portfolio_exists"


class PortfolioClosedError(ConflictError):
    code = "portfolio_closed"


class DeskNeededError(DomainError):
    """Nobody but risk managers and admins would see the portfolio."""

    code = "groups_required"


class UnknownGroupError(DomainError):
    code = "unknown_group"


class UnknownSymbolError(DomainError):
    code = "unknown_symbol"

    def __init__(self, symbol: str, attr: str = "symbol") -> None:
        super().__init__(
            f"There is no instrument '{symbol}'.",
            "GET /api/v1/instruments lists them; importing prices of a symbol makes it one.",
            attr,
        )


class InstrumentNotFoundError(NotFoundError):
    def __init__(self, symbol: str) -> None:
        super().__init__(f"There is no instrument '{symbol}'.", "GET /api/v1/instruments lists them.")


class InactiveInstrumentError(DomainError):
    code = "instrument_inactive"


class CurrencyMismatchError(DomainError):
    code = "currency_mismatch"


class NotANumberError(DomainError):
    code = "not_a_number"


class NotPositiveError(DomainError):
    code = "not_positive"


class ZeroError(DomainError):
    code = "zero"


class TooLargeError(DomainError):
    code = "too_large"


class TooManyPlacesError(DomainError):
    code = "too_many_decimal_places"


class NoTimeZoneError(DomainError):
    code = "no_time_zone"


class BeforeInceptionError(DomainError):
    code = "before_inception"


class FutureDateError(DomainError):
    code = "future_date"


class BadExternalIdError(DomainError):
    code = "external_id_invalid"


class ExternalIdTakenError(ConflictError):
    """The same name for another booking: one of the two is a mistake."""

    code = "external_id_taken"


class MissingPriceError(DomainError):
    code = "missing_price"


class NoPricesError(DomainError):
    code = "no_prices"

    def __init__(self) -> None:
        super().__init__("There are no prices yet.", "Import some: POST /api/v1/market-data/import.")


class UnknownPriceVersionError(DomainError):
    code = "unknown_price_version"


class SnapshotNotFoundError(NotFoundError):
    """The same words for one that does not exist and one of a portfolio that the caller may not see."""

    def __init__(self, snapshot_id: str) -> None:
        super().__init__(
            f"There is no snapshot '{snapshot_id}' that you may see.",
            "A result names its own in snapshot_id, 64 hex digits.",
        )


class NotReplayableError(ConflictError):
    code = "not_replayable"


class NoTradingDayError(DomainError):
    code = "no_trading_day"


class NoValueError(DomainError):
    """A return is a part of the value before; nothing has no parts."""

    code = "value_not_positive"


class UploadGoneError(DomainError):
    code = "upload_gone"


class FileError(DomainError):
    """A file that cannot be read at all; faults in its rows are `RowError`s."""


class EmptyFileError(FileError):
    code = "empty_file"


class FileTooLargeError(FileError):
    code = "file_too_large"
    status = 413


class TooManyRowsError(FileError):
    code = "too_many_rows"
    status = 413


class ByteOrderMarkError(FileError):
    code = "byte_order_mark"


class WrongSeparatorError(FileError):
    code = "wrong_separator"


class NotTextError(FileError):
    code = "not_utf8"


class UnreadableFileError(FileError):
    code = "unreadable_file"


class MissingColumnError(FileError):
    code = "missing_column"


class UnknownColumnError(FileError):
    code = "unknown_column"


class DuplicateColumnError(FileError):
    code = "duplicate_column"


class NoRowsError(FileError):
    code = "no_rows"


class MissingFileError(FileError):
    code = "file_missing"


class RowError(DomainError):
    """A fault in one place of a file. The code is that of the fault; the place stands in `attr` and in the words."""

    def __init__(self, code: str, row: int, column: str | None, detail: str, remedy: str = "") -> None:
        place = f"Row {row}, column '{column}': " if column else f"Row {row}: "
        super().__init__(place + detail, remedy, f"rows.{row}.{column}" if column else f"rows.{row}")
        self.code = code
        self.row = row


class UnknownReservationError(DomainError):
    code = "unknown_reservation"

    def __init__(self, reservation_id: object, portfolio_id: str) -> None:
        super().__init__(
            f"{portfolio_id} has no reservation '{reservation_id}'.",
            "POST /api/v1/sprint3/risk/pre-trade-check with reserve: true makes one.",
            "reservation_id",
        )


class ReservationEndedError(ConflictError):
    code = "reservation_ended"


class ReservationMismatchError(ConflictError):
    code = "reservation_mismatch"
