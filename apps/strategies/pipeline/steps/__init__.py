"""Steps that compute, by their public names. Each takes a Context and gives its result, or raises a DomainError."""

from collections.abc import Callable
from typing import Any

from apps.strategies.pipeline.context import Context
from apps.strategies.pipeline.steps import backtest, risk, validate

StepFunction = Callable[[Context], dict[str, Any]]

STEPS: dict[str, StepFunction] = {"validate": validate.run, "backtest": backtest.run, "risk": risk.run}
