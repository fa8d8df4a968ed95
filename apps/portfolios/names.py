"""Whether a text can be a name at all. Asked before a query: PostgreSQL has no place for a NUL character."""

import re

from apps.portfolios.models import readable_id, symbol_format

_PORTFOLIO_ID = re.compile(readable_id.regex)
_SYMBOL = re.compile(symbol_format.regex)

SYMBOL_EXPECTED = f"{symbol_format.message}."


def is_portfolio_id(text: str) -> bool:
    return _PORTFOLIO_ID.match(text) is not None


def is_symbol(text: str) -> bool:
    return _SYMBOL.match(text) is not None
