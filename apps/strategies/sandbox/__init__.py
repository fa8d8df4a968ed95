"""Runs the code of strategies where it can harm nothing (docs/sandbox.md)."""

from apps.strategies.sandbox.answers import Answer
from apps.strategies.sandbox.code_rules import CodeFault, code_faults, imported_modules
from apps.strategies.sandbox.errors import (
    BadWeightsError,
    CodeRefusedError,
    ForbiddenError,
    LimitExceededError,
    SandboxError,
    SandboxUnavailableError,
    StrategyCrashedError,
    StrategyRaisedError,
)
from apps.strategies.sandbox.limits import Limits, limits_from_settings
from apps.strategies.sandbox.sandbox import Sandbox

__all__ = [
    "Answer",
    "BadWeightsError",
    "CodeFault",
    "CodeRefusedError",
    "ForbiddenError",
    "LimitExceededError",
    "Limits",
    "Sandbox",
    "SandboxError",
    "SandboxUnavailableError",
    "StrategyCrashedError",
    "StrategyRaisedError",
    "code_faults",
    "imported_modules",
    "limits_from_settings",
]
