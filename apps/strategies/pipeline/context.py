"""What a step of the pipeline works on, and by what it says how far it is."""

from collections.abc import Callable
from dataclasses import dataclass

from apps.portfolios.matrix import PriceMatrix
from apps.strategies.asking import Strategies
from apps.strategies.models import Deployment
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

    def strategies(self) -> Strategies:
        """A context of its own: each has processes of its own."""
        return Strategies(self.matrix)
