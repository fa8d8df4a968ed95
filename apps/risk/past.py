"""Where books come from, for the limits on losses: read from the stored histories, kept while they stay the same."""

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from pathlib import Path

from django.db import connection

from apps.risk.figures import Past

_PAST = (Path(__file__).parent / "sql" / "past.sql").read_text()


def read_pasts(days: Mapping[str, date]) -> dict[str, Past]:
    """By portfolio, as of its day in `days`; from its initial cash where it has no stored close before that.

    The stored history is brought up to date every minute (histories.py); a correction of older closes or a trade
    booked into the past shows from then on.
    """
    with connection.cursor() as cursor:
        cursor.execute(_PAST, {"portfolio_ids": list(days), "days": list(days.values())})
        return {portfolio_id: Past(*figures) for portfolio_id, *figures in cursor.fetchall()}


@lru_cache(maxsize=4_096)
def past_of(portfolio_id: str, as_of: date, ledger_version: int, history_version: tuple[int, int]) -> Past:
    """The versions name the state that it was read at: one that was read before is as good."""
    return read_pasts({portfolio_id: as_of})[portfolio_id]
