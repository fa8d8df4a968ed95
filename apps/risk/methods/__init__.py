"""VaR methods, each a file that registers itself under its public name.

A method is an `estimate` of a priced book and a `forecast` from a P&L series (registry.py). To add one: a file here,
its import below, its test and its line in docs/methods.md.
"""

from apps.risk.methods import historical
from apps.risk.methods.registry import METHODS, Estimate, Forecast, Method, PricedBook, Scenario

__all__ = ["METHODS", "Estimate", "Forecast", "Method", "PricedBook", "Scenario", "historical"]
