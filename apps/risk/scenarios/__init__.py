"""Historical stress scenarios, each a declaration in history.py that registers itself under its public name.

To add one: a declaration there, and its line in docs/stress.md.
"""

from apps.risk.scenarios import history
from apps.risk.scenarios.registry import SCENARIOS, HistoricalScenario

__all__ = ["SCENARIOS", "HistoricalScenario", "history"]
