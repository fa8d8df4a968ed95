"""Checks of what a sandbox answers: it is not to be trusted, whatever its own side has looked at."""

import math
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from apps.strategies.sandbox.endings import clean
from apps.strategies.sandbox.errors import BadWeightsError

LARGEST_WEIGHT = 100.0
NAME_CHARACTERS = 50


@dataclass(frozen=True, slots=True)
class Answer:
    """Weights as fractions of equity, by symbol; what was printed; seconds that the call took."""

    weights: dict[str, float]
    printed: str
    seconds: float


def checked_weights(header: dict[str, Any], symbols: frozenset[str]) -> dict[str, float]:
    """Raises BadWeightsError with the symbol at fault."""
    pairs = header.get("weights")
    if not isinstance(pairs, list):
        raise BadWeightsError(f"target_weights answered with {_article(header.get('type'))}, not with weights.")
    weights: dict[str, float] = {}
    for pair in pairs:
        symbol, value = _checked_pair(pair, symbols)
        if symbol in weights:
            raise BadWeightsError(f"{symbol} has two weights.", "One weight for a symbol.")
        weights[symbol] = value
    return weights


def _checked_pair(pair: Any, symbols: frozenset[str]) -> tuple[str, float]:
    if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str):
        raise BadWeightsError(f"{clean(pair, NAME_CHARACTERS)} is no symbol with its weight.")
    symbol, value = pair
    if symbol not in symbols:
        raise _unknown(clean(symbol, NAME_CHARACTERS), symbols)
    return symbol, _checked_value(symbol, value)


def _checked_value(symbol: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        kind = value.get("type") if isinstance(value, dict) else type(value).__name__
        raise BadWeightsError(f"The weight of {symbol} is {_article(kind)}, not a number.")
    if not _is_finite(value):
        raise BadWeightsError(
            f"The weight of {symbol} is {_shown(value)}.",
            "Weights are finite: drop symbols without prices before dividing.",
        )
    if abs(value) > LARGEST_WEIGHT:
        raise BadWeightsError(
            f"The weight of {symbol} is {value:g}, more than {LARGEST_WEIGHT:g} times the portfolio's equity.",
            "Weights are fractions of the portfolio's equity: 0.25 is a quarter of it.",
        )
    return float(value)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False


def _shown(value: float) -> str:
    return str(value) if isinstance(value, float) else "a whole number too large for a float"


def _unknown(name: str, symbols: frozenset[str]) -> BadWeightsError:
    near = get_close_matches(name, sorted(symbols), n=1, cutoff=0.3)
    hint = f" The nearest is '{near[0]}'." if near else ""
    return BadWeightsError(
        f"'{name}' is none of the {len(symbols)} symbols.", f"Answer with the columns of prices as they are.{hint}"
    )


def _article(kind: Any) -> str:
    name = clean(kind, NAME_CHARACTERS)
    return "None" if name == "NoneType" else f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
