"""The way of a deployment, step by step: what each found, with the figures of its log as tables."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.dashboard.templatetags.figures import DASH, MINUS
from apps.strategies.models import Deployment
from apps.strategies.showing.curve import Curve, equity_curve
from apps.strategies.showing.results import UNKNOWN, Row, Table, result_tables
from apps.strategies.showing.timeline import ShownStep, timeline

BACKTEST = "backtest"  # its results have a card of their own
ROWS_SHOWN = 40  # of ten thousand weights nobody reads more; the API has them all

_NEGATIVE = re.compile(r"^-(?=\d)")
_PERCENT = re.compile(r"(?<=\d)%")
_TONES = {"passed": "good", "warning": "warning", "broken": "bad"}
_STEP_TONES = {"good": "good", "bad": "bad", "warn": "warning", "busy": "accent", "idle": ""}

Points = list[list[Any]]


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    is_negative: bool


@dataclass(frozen=True, slots=True)
class Line:
    """`verdict`: passed, warning, broken, or "" where the row decides nothing."""

    cells: Sequence[Cell]
    verdict: str

    @property
    def tone(self) -> str:
        return _TONES.get(self.verdict, "")


@dataclass(frozen=True, slots=True)
class ResultTable:
    """`more` lines are left out."""

    title: str
    headers: Sequence[str]
    lines: Sequence[Line]
    more: int

    @property
    def decides(self) -> bool:
        return any(line.verdict for line in self.lines)


@dataclass(frozen=True, slots=True)
class StepOfWay:
    """`running_since` while it works or waits, whose age the page counts on."""

    name: str
    status: str
    tone: str
    began_at: datetime | None
    running_since: datetime | None
    took: str
    attempts: int
    log: str
    tables: Sequence[ResultTable]


@dataclass(frozen=True, slots=True)
class Backtest:
    """Its equity as points to draw and in words, if it came to two days; its figures with the gates."""

    points: Points
    curve: Curve | None
    tables: Sequence[ResultTable]


def steps_of_way(deployment: Deployment) -> list[StepOfWay]:
    shown = timeline(deployment, with_results=True)
    return [_step(step, each.finished_at is None) for step, each in zip(shown, deployment.steps.all(), strict=True)]


def _step(step: ShownStep, goes_on: bool) -> StepOfWay:
    return StepOfWay(
        name=step.name,
        status=step.status,
        tone=_STEP_TONES[step.tone],
        began_at=step.began_at,
        running_since=step.began_at if goes_on else None,
        took="" if goes_on else step.took,
        attempts=step.attempts,
        log=step.log,
        tables=[] if step.name == BACKTEST else [_table(table) for table in step.tables],
    )


def _table(table: Table) -> ResultTable:
    headers = table.headers if table.has_headers else ()
    lines = [_line(row) for row in table.rows[:ROWS_SHOWN]]
    return ResultTable(table.title, headers, lines, len(table.rows) - len(lines))


def _line(row: Row) -> Line:
    return Line([_cell(text) for text in row.cells], row.verdict)


def _cell(text: str) -> Cell:
    """As the pages write figures: a dash for what is not known, a real minus, percent apart on the same line."""
    written = DASH if text == UNKNOWN else _PERCENT.sub("\N{NO-BREAK SPACE}%", _NEGATIVE.sub(MINUS, text))
    return Cell(written, written.startswith(MINUS))


def backtest_of(deployment: Deployment) -> Backtest | None:
    """None as long as there is no result."""
    result = next((step.result for step in deployment.steps.all() if step.name == BACKTEST), None)
    if not result:
        return None
    points = result.get("curve") or []
    tables = [_table(table) for table in result_tables(BACKTEST, result)]
    return Backtest(points, equity_curve(points), tables)
