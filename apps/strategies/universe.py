"""What a deployment may hold, and which days are its trading days."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from apps.portfolios.matrix import PriceMatrix
from apps.portfolios.models import Instrument, Portfolio
from apps.portfolios.names import is_symbol
from apps.strategies.errors import UnknownSymbolsError
from apps.strategies.models import Deployment

Rows = npt.NDArray[np.intp]


def chosen_symbols(portfolio: Portfolio, wanted: Iterable[str] | None) -> list[str]:
    """The wanted symbols, sorted; without any, what is active, in the portfolio's currency, and not its benchmark.

    Raises UnknownSymbolsError for one that cannot be held.
    """
    tradable = Instrument.objects.filter(active=True, currency=portfolio.base_currency)
    if wanted is None:
        priced = tradable.exclude(pk=portfolio.benchmark_id) if portfolio.benchmark_id else tradable
        return sorted(priced.values_list("symbol", flat=True))
    asked = sorted(set(wanted))
    known = set(tradable.filter(pk__in=[symbol for symbol in asked if is_symbol(symbol)]).values_list("pk", flat=True))
    if missing := [symbol for symbol in asked if symbol not in known]:
        raise UnknownSymbolsError(
            f"{', '.join(missing[:10])} cannot be held by {portfolio.pk}.",
            f"Name active instruments in {portfolio.base_currency}: GET /api/v1/instruments lists them.",
            "symbols",
        )
    return asked


def trading_rows(deployment: Deployment, matrix: PriceMatrix) -> Rows:
    """The matrix' rows on which the deployment can trade, in their order."""
    return matrix.trading_days(deployment.symbols, deployment.portfolio.benchmark_id)
