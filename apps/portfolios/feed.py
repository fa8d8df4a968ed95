"""How fresh the market data is."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef
from django.utils import timezone

from apps.portfolios.models import DailyPrice, Instrument, PriceVersion


@dataclass(frozen=True, slots=True)
class FeedState:
    """Prices come by import alone so far, so the feed itself is always `stopped`."""

    status: str
    source: str | None
    symbols: int
    last_update: datetime | None
    lag_seconds: float | None
    updates_per_second: float
    price_version: int


def feed_state() -> FeedState:
    newest = PriceVersion.objects.first()
    priced = Instrument.objects.filter(Exists(DailyPrice.objects.filter(instrument=OuterRef("pk"))))
    return FeedState(
        status="stopped",
        source=newest.source if newest else None,
        symbols=priced.count(),
        last_update=newest.created_at if newest else None,
        lag_seconds=(timezone.now() - newest.created_at).total_seconds() if newest else None,
        updates_per_second=0.0,
        price_version=newest.id if newest else 0,
    )
