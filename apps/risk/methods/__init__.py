"""VaR methods, each a file that registers itself under its public name.

A method is an `estimate` of a priced book and a `forecast` from a P&L series (registry.py). To add one: a file here,
its import below, its test and its line in docs/methods.md.
"""

from apps.risk.methods import (
    age_weighted,
    cornish_fisher,
    filtered_historical,
    historical,
    monte_carlo,
    parametric,
)
from apps.risk.methods.registry import (
    DEFAULTS,
    DISTRIBUTIONS,
    METHODS,
    Estimate,
    Forecast,
    Method,
    PricedBook,
    Scenario,
    relevant,
)

__all__ = [
    "DEFAULTS",
    "DISTRIBUTIONS",
    "METHODS",
    "Estimate",
    "Forecast",
    "Method",
    "PricedBook",
    "Scenario",
    "age_weighted",
    "cornish_fisher",
    "filtered_historical",
    "historical",
    "monte_carlo",
    "parametric",
    "relevant",
]
