"""The days of one deployment, one after the other."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import NoReturn

import numpy as np
from django.conf import settings

from apps.portfolios.histories import refresh_history
from apps.portfolios.matrix import PriceMatrix
from apps.strategies.asking import Strategies
from apps.strategies.brokers import Broker
from apps.strategies.errors import DeploymentEndedError, GateBrokenError
from apps.strategies.kernels.schedule import is_due
from apps.strategies.models import Deployment, DeploymentRun
from apps.strategies.rollback import roll_back_by_itself
from apps.strategies.running.calendar import rows_between, unseen_rows
from apps.strategies.running.canary import is_released, share_on
from apps.strategies.running.deciding import Plan, carry_out, make_plan
from apps.strategies.running.failures import count_failure, is_counted
from apps.strategies.running.filling import Filling, market_of
from apps.strategies.running.gates import broken_gate, limits_losses
from apps.strategies.running.orders import open_orders, work_open_orders
from apps.strategies.running.stages import stage
from apps.strategies.sandbox import SandboxError
from apps.strategies.states import write

logger = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]

# Of a task's time limit: a replay of years goes on in the next task, rather than be stopped in the middle of a day.
_SHARE_OF_TIME = 0.5


@dataclass
class Runner:
    """`deployment.last_day` is what this runner believes; `days` are those that it has dealt with."""

    deployment: Deployment
    matrix: PriceMatrix
    broker: Broker
    strategies: Strategies
    progress: Progress
    days: list[date] = field(default_factory=list)
    decisions: int = 0

    def go(self) -> None:
        """Raises DeploymentEndedError, MovedOnError, and what is wrong with a run, once it is counted."""
        ends = time.monotonic() + settings.TASK_TIME_LIMIT_SECONDS * _SHARE_OF_TIME
        work_open_orders(self.deployment.pk)
        refresh_history(self.deployment.portfolio_id)
        self._fill_late()
        rows = unseen_rows(self.deployment, self.matrix).tolist()
        for number, row in enumerate(rows):
            self.progress(number, len(rows), f"{self._day(row)}: day {number + 1} of {len(rows)}")
            if self.days and time.monotonic() > ends:
                logger.info("%s has come to %s and goes on in its next task", self.deployment.pk, self._day(row))
                break
            self._run_day(row)

    def _day(self, row: int) -> date:
        day: date = self.matrix.dates[row].item()
        return day

    def _fill_late(self) -> None:
        """Orders whose close came after their day was dealt with; of a real broker, whatever it tells now."""
        oldest = open_orders(self.deployment.pk).order_by("run__day").values_list("run__day", flat=True).first()
        last = self.deployment.last_day
        if oldest is None or last is None:
            return
        rows = rows_between(self.deployment, self.matrix, oldest, last).tolist()
        for row in rows if self.broker.simulated else rows[-1:]:
            self._fill(row)

    def _run_day(self, row: int) -> None:
        self._fill(row)
        day = self._day(row)
        if reason := broken_gate(self.deployment, day):
            self._roll_back(reason)
        share = share_on(self.deployment, self.matrix, day)
        if self._is_due(day, share):
            self._decide(row, share)
        else:
            self._pass(day)
        self.days.append(day)

    def _roll_back(self, reason: str) -> NoReturn:
        """Raises DeploymentEndedError; GateBrokenError where something else has it go on: it decides no more."""
        roll_back_by_itself(self.deployment.pk, reason)
        if Deployment.objects.filter(pk=self.deployment.pk, status=Deployment.Status.ACTIVE).exists():
            raise GateBrokenError(
                f"{self.deployment.pk} is to be rolled back and still active: {reason}.",
                "Another rollback or deployment is under way: follow it, or roll back with force.",
            )
        raise DeploymentEndedError

    def _fill(self, row: int) -> None:
        if self.broker.simulated and not open_orders(self.deployment.pk).exists():
            return
        with stage(self.deployment.pk, self.deployment.last_day) as held:
            symbols = list(open_orders(held.pk).values_list("instrument_id", flat=True).distinct())
            booked = Filling(held, self.broker, market_of(held, symbols, self.matrix, row)).fill()
        # Else once a task (job.py): storing years of history takes most of a replayed day's time, and the gate on
        # drawdowns values the days by itself where the stored history is behind.
        if booked and limits_losses(self.deployment.portfolio_id):
            refresh_history(self.deployment.portfolio_id)

    def _is_due(self, day: date, share: float) -> bool:
        last = self.deployment.runs.filter(status=DeploymentRun.Status.SUCCEEDED).order_by("-day").first()
        before = None if last is None else np.datetime64(last.day)
        return is_due(np.datetime64(day), before, self.deployment.schedule) or is_released(share, last)

    def _decide(self, row: int, share: float) -> None:
        plan = self._planned(row, share)
        with stage(self.deployment.pk, self.deployment.last_day) as held:
            carry_out(held, plan)
        self._believe(held)
        self.decisions += 1

    def _planned(self, row: int, share: float) -> Plan:
        try:
            return make_plan(self.deployment, self.strategies, self.matrix, row, share)
        except SandboxError as error:
            if is_counted(error):
                count_failure(self.deployment, self._day(row), self.matrix.version, error)
            raise

    def _pass(self, day: date) -> None:
        with stage(self.deployment.pk, self.deployment.last_day) as held:
            write(held, last_day=day)
        self._believe(held)

    def _believe(self, held: Deployment) -> None:
        for name in ("first_day", "last_day", "failures_in_row", "last_error"):
            setattr(self.deployment, name, getattr(held, name))
