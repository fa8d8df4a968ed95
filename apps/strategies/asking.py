"""Strategies in their sandboxes, one process for all the days of a job, fed each day only when it is due.

The pipeline and the runner ask by it alike: nothing of a later day is in a process' memory.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import numpy as np
from django.conf import settings

from apps.portfolios.matrix import PriceMatrix
from apps.strategies.errors import HistoryBrokenError
from apps.strategies.models import Deployment
from apps.strategies.sandbox import (
    Answer,
    BadWeightsError,
    CodeRefusedError,
    Sandbox,
    code_faults,
    limits_from_settings,
)
from apps.strategies.universe import Rows, trading_rows


class Strategies:
    """A context: leaving it ends every process."""

    def __init__(self, matrix: PriceMatrix) -> None:
        self._matrix = matrix
        self._running = ExitStack()
        self._asked: dict[str, _Asked] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._running.__exit__(kind, error, traceback)

    def ask(self, deployment: Deployment, row: int) -> Answer:
        """The deployment's version, on its own symbols' closes up to this row. Raises SandboxError."""
        if deployment.pk not in self._asked:
            self._asked[deployment.pk] = self._running.enter_context(_Asked(deployment, self._matrix))
        answer = self._asked[deployment.pk].ask(row)
        refuse_gross(answer.weights)
        return answer


class _Asked:
    """One version that is asked day after day."""

    def __init__(self, deployment: Deployment, matrix: PriceMatrix) -> None:
        self._deployment, self._matrix = deployment, matrix
        self._rows: Rows = trading_rows(deployment, matrix)
        self._limits = limits_from_settings()
        self._running = ExitStack()
        self._sandbox: Sandbox | None = None
        self._seconds = 0.0
        self._fed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._running.__exit__(kind, error, traceback)

    def ask(self, row: int) -> Answer:
        sandbox = self._ready()
        self._feed(sandbox, int(np.searchsorted(self._rows, row, side="right")))
        answer = sandbox.target_weights()
        self._seconds += answer.seconds
        return answer

    def _ready(self) -> Sandbox:
        """The limit on CPU time is of a process' life: many days of a good strategy must not add up to a bad one."""
        if self._sandbox is None or self._seconds > self._limits.cpu_seconds / 2:
            self._running.close()
            self._sandbox = self._started()
            self._seconds, self._fed = 0.0, 0
        return self._sandbox

    def _started(self) -> Sandbox:
        refuse_other_code(self._deployment)
        version = self._deployment.version
        sandbox = Sandbox(version.code, version.parameters, self._deployment.symbols, self._limits)
        return self._running.enter_context(sandbox)

    def _feed(self, sandbox: Sandbox, known: int) -> None:
        """The rows up to the `known`th trading day that it does not have; at first as far as it looks back."""
        new = self._rows[max(self._fed, known - settings.STRATEGY_HISTORY_DAYS) : known]
        if len(new):
            sandbox.feed(self._matrix.dates[new], self._matrix.closes(self._deployment.symbols, new))
        self._fed = known


def refuse_other_code(deployment: Deployment) -> None:
    """What runs is what was asked for, and went through the pipeline; the rules may have become stricter since."""
    version = deployment.version
    if version.hash != deployment.version_hash:
        raise HistoryBrokenError(
            f"{version} is no longer what was deployed: its hash is {version.hash[:12]}, and was"
            f" {deployment.version_hash[:12]}.",
            f"POST /api/v1/sprint3/strategy/versions/{version.strategy_id}/rebuild-history says what is wrong.",
        )
    if faults := code_faults(version.code):
        raise CodeRefusedError(faults)


def refuse_gross(weights: Mapping[str, float]) -> None:
    """Raises BadWeightsError where the weights, long and short together, come to more than is allowed."""
    gross = sum(abs(weight) for weight in weights.values())
    if gross > settings.STRATEGY_MAX_GROSS:
        raise BadWeightsError(
            f"The weights come to {gross:.6g} of the equity, long and short together.",
            f"At most {settings.STRATEGY_MAX_GROSS:g} is allowed (NAUTILUS_STRATEGY_MAX_GROSS).",
        )
