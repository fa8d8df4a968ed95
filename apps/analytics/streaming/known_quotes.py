"""The newest quote of each symbol, as this engine knows it: never an older one than it had, whatever Redis says."""

import numpy as np

from apps.analytics.kernels.live import BoolArray, FloatArray, IntArray
from apps.portfolios.quotes import Quotes


class KnownQuotes:
    """Arrays over all symbols that ever had a quote, in the order in which they came; they only grow.

    `changed` (symbols,) since `settle` was called last.
    """

    def __init__(self) -> None:
        self.places: dict[str, int] = {}
        self.prices: FloatArray = np.empty(0)
        self.timestamps_us: IntArray = np.empty(0, np.int64)
        self.received_us: IntArray = np.empty(0, np.int64)
        self.seen_us: IntArray = np.empty(0, np.int64)
        self.changed: BoolArray = np.empty(0, np.bool_)
        self._symbols: tuple[str, ...] = ()
        self._read_places = np.empty(0, np.intp)

    def take(self, quotes: Quotes) -> int:
        """Keeps those that are newer, and says how many. Of two with one timestamp the first stays."""
        places = self._places_of(quotes.symbols)
        newer = quotes.timestamps_us > self.timestamps_us[places]
        places = places[newer]
        self.prices[places] = quotes.prices[newer]
        self.timestamps_us[places] = quotes.timestamps_us[newer]
        self.received_us[places] = quotes.received_us[newer]
        self.seen_us[places] = quotes.seen_us()[newer]
        self.changed[places] = True
        return len(places)

    def settle(self) -> None:
        self.changed[:] = False

    def places_of(self, symbols: tuple[str, ...]) -> np.ndarray:
        """The place of each symbol, -1 for one that has no quote."""
        return np.array([self.places.get(symbol, -1) for symbol in symbols], dtype=np.intp)

    def _places_of(self, symbols: tuple[str, ...]) -> np.ndarray:
        if symbols != self._symbols:
            new = [symbol for symbol in symbols if symbol not in self.places]
            self.places |= {symbol: len(self.places) + number for number, symbol in enumerate(new)}
            self._grow(len(self.places))
            self._symbols, self._read_places = symbols, self.places_of(symbols)
        return self._read_places

    def _grow(self, size: int) -> None:
        more = size - len(self.prices)
        if not more:
            return
        self.prices = np.append(self.prices, np.full(more, np.nan))
        for name in ("timestamps_us", "received_us", "seen_us"):
            setattr(self, name, np.append(getattr(self, name), np.zeros(more, np.int64)))
        self.changed = np.append(self.changed, np.zeros(more, np.bool_))
