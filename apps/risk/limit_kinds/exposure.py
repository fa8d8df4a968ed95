"""How much is held: exposures in the portfolio's currency, leverage and concentration as parts of its value."""

from apps.risk.figures import BookFigures
from apps.risk.limit_kinds.registry import BookKind, register_limit_kind


def _position(book: BookFigures, symbol: str | None) -> float:
    return book.largest if symbol is None else abs(book.value_of(symbol))


register_limit_kind(BookKind("gross_exposure", "currency", False, lambda book, _: book.gross))
register_limit_kind(BookKind("net_exposure", "currency", False, lambda book, _: abs(book.net)))
register_limit_kind(BookKind("leverage", "ratio", False, lambda book, _: book.part_of_value(book.gross)))
register_limit_kind(BookKind("position_notional", "currency", True, _position))
register_limit_kind(
    BookKind("concentration", "fraction", True, lambda book, symbol: book.part_of_value(_position(book, symbol)))
)
