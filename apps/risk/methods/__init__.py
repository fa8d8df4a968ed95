"""VaR methods, each a file that registers itself under its public name.

A method is a function `(book: PricedBook, parameters: dict) -> Estimate`. To add one: a file here, its import below,
its test and its line in docs/.
"""

from apps.risk.methods import historical
from apps.risk.methods.registry import METHODS, Estimate, PricedBook, Scenario, method

__all__ = ["METHODS", "Estimate", "PricedBook", "Scenario", "historical", "method"]
