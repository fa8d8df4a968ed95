"""What a step of the pipeline works on, and by what it says how far it is."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from apps.portfolios.matrix import FloatArray, PriceMatrix
from apps.strategies.errors import GateBrokenError
from apps.strategies.models import Deployment
from apps.strategies.sandbox import Answer, Sandbox, limits_from_settings
from apps.strategies.universe import Rows, trading_rows

Say = Callable[[str], None]
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Context:
    """`say` writes a line to the step's log, `progress` moves the task's bar; both stop a step that was taken away."""

    deployment: Deployment
    matrix: PriceMatrix
    say: Say
    progress: Progress

    @property
    def symbols(self) -> list[str]:
        symbols: list[str] = self.deployment.symbols
        return symbols

    def rows(self) -> Rows:
        """The trading days up to now, as rows of the matrix."""
        return trading_rows(self.deployment, self.matrix)

    def sandbox(self) -> Sandbox:
        version = self.deployment.version
        return Sandbox(version.code, version.parameters, self.symbols, limits_from_settings())

    def feed(self, sandbox: Sandbox, rows: Rows) -> None:
        sandbox.feed(self.matrix.dates[rows], self.matrix.closes(self.symbols, rows))

    def as_array(self, answer: Answer) -> FloatArray:
        """(symbols,): the weights that were answered, 0 for a symbol that was not named."""
        return np.array([answer.weights.get(symbol, 0.0) for symbol in self.symbols])


def refuse_gross(weights: FloatArray, most: float) -> None:
    """Raises GateBrokenError where the absolute weights come to more than is allowed."""
    gross = float(np.abs(weights).sum())
    if gross > most:
        raise GateBrokenError(
            f"The weights come to {gross:.6g} of the equity, long and short together.",
            f"At most {most:g} is allowed (NAUTILUS_STRATEGY_MAX_GROSS).",
        )
