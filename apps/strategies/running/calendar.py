"""Which trading days a deployment has not dealt with yet."""

from datetime import date

import numpy as np

from apps.portfolios.matrix import PriceMatrix, load_matrix
from apps.portfolios.models import PriceVersion
from apps.strategies.models import Deployment
from apps.strategies.universe import Rows, trading_rows


def unseen_rows(deployment: Deployment, matrix: PriceMatrix) -> Rows:
    """Rows of the matrix, ascending. Days before `last_day` are done, whatever a later price version says of them."""
    rows = trading_rows(deployment, matrix)
    dates = matrix.dates[rows]
    if deployment.last_day is not None:
        return rows[dates > np.datetime64(deployment.last_day)]
    return rows[dates >= first_day(deployment)]


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
