"""Historical VaR and expected shortfall over one day (contract section 5), in the portfolio's currency."""

from apps.risk.limit_kinds.registry import BookKind, register_limit_kind

register_limit_kind(BookKind("var_95", "currency", False, lambda book, _: book.tail().var_95))
register_limit_kind(BookKind("var_99", "currency", False, lambda book, _: book.tail().var_99))
register_limit_kind(
    BookKind("expected_shortfall_975", "currency", False, lambda book, _: book.tail().expected_shortfall_975)
)
