"""What was lost: from the highest point so far, as a fraction, and since the close before, in currency."""

from apps.risk.limit_kinds.registry import BookKind, register_limit_kind

register_limit_kind(
    BookKind("drawdown", "fraction", False, lambda book, _: book.past().drawdown(book.value), stops_trading=True)
)
register_limit_kind(
    BookKind("daily_loss", "currency", False, lambda book, _: book.past().daily_loss(book.value), stops_trading=True)
)
