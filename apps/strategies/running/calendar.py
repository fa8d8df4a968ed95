"""Which trading days a deployment has not dealt with yet."""

from datetime import date, datetime, timedelta

import numpy as np
import numpy.typing as npt
from django.utils import timezone

from apps.portfolios.matrix import PriceMatrix, load_matrix
from apps.portfolios.models import DailyPrice, PriceVersion
from apps.strategies.models import Deployment
from apps.strategies.universe import Rows, trading_rows

# How long the newest day waits for the closes that the day before it had: its prices may come in several imports, and
# a decision is never made again. After that they are taken as missing: a symbol may be halted, or gone for good.
GRACE_SECONDS = 3_600


def unseen_rows(deployment: Deployment, matrix: PriceMatrix) -> Rows:
    """Rows of the matrix, ascending. Days before `last_day` are done, whatever a later price version says of them.

    The newest trading day is left out while it waits for closes, GRACE_SECONDS long from its first one on.
    """
    rows = trading_rows(deployment, matrix)
    new = rows[_is_new(deployment, matrix, rows)]
    return new[:-1] if len(new) and _waits_for_closes(deployment, matrix, rows) else new


def _is_new(deployment: Deployment, matrix: PriceMatrix, rows: Rows) -> npt.NDArray[np.bool_]:
    dates = matrix.dates[rows]
    if deployment.last_day is not None:
        return np.asarray(dates > np.datetime64(deployment.last_day))
    return np.asarray(dates >= first_day(deployment))


def _waits_for_closes(deployment: Deployment, matrix: PriceMatrix, rows: Rows) -> bool:
    """Whether the last row lacks a close that the one before it has, and it may still come."""
    benchmark = deployment.portfolio.benchmark_id
    symbols = [*deployment.symbols, *([benchmark] if benchmark else [])]
    known = np.isfinite(matrix.closes(symbols, rows[-2:]))
    if not (known[0] & ~known[-1]).any():
        return False
    return timezone.now() - _brought_at(symbols, matrix.dates[rows[-1]].item()) < timedelta(seconds=GRACE_SECONDS)


def _brought_at(symbols: list[str], day: date) -> datetime:
    """When the first close of the day was imported, which has one."""
    closes = DailyPrice.objects.filter(instrument__in=symbols, date=day).order_by("version_id")
    brought_at: datetime = closes.values_list("version__created_at", flat=True)[0]
    return brought_at


def rows_between(deployment: Deployment, matrix: PriceMatrix, after: date, until: date) -> Rows:
    """The trading days after the one and up to the other."""
    rows = trading_rows(deployment, matrix)
    dates = matrix.dates[rows]
    return rows[(dates > np.datetime64(after)) & (dates <= np.datetime64(until))]


def first_day(deployment: Deployment) -> np.datetime64:
    """From here on it trades: its start date, or else the newest trading day that was recorded when it was activated.

    Not the newest one now: where the workers were away for a week, its days are not left out.
    """
    if deployment.start_date is not None:
        return np.datetime64(deployment.start_date)
    known = PriceVersion.objects.filter(created_at__lte=deployment.activated_at).first()
    if known is None:
        return np.datetime64("0001-01-01")  # no price at all: every day that comes is new
    matrix = load_matrix(known.pk)
    return np.datetime64(matrix.dates[trading_rows(deployment, matrix)[-1]])
