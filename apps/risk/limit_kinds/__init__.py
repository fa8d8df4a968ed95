"""The kinds of limits, by name.

To add one: a file here that registers it, its choice in the model, its line in docs/limits.md.
"""

from apps.risk.limit_kinds import exposure, loss, order, tail
from apps.risk.limit_kinds.registry import LIMIT_KINDS, BookKind, LimitKind, OrderKind

__all__ = ["LIMIT_KINDS", "BookKind", "LimitKind", "OrderKind", "exposure", "loss", "order", "tail"]
