"""What a limit comes to: its value, its status, and why where it has none."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.conf import settings

from apps.risk.figures import BookFigures, NotMeasurableError, Order, Past
from apps.risk.kernels.hysteresis import next_status
from apps.risk.limit_kinds import LIMIT_KINDS, BookKind, LimitKind, OrderKind
from apps.risk.models import RiskLimit
from apps.risk.monitor.measures import INTERNAL_ERROR, BookMeasures
from apps.risk.monitor.moment import NOT_IN_FORCE, LimitState
from apps.risk.pretrade.rules import is_stale

NOT_EVALUATED = str(RiskLimit._meta.get_field("status_reason").default)
WITH_EACH_ORDER = "checked with each order"
_STALE = "the closes are of "

Status = RiskLimit.Status

logger = logging.getLogger(__name__)


class Verdict(NamedTuple):
    limit: LimitState
    status: str
    reason: str = ""
    value: float | None = None

    @property
    def is_news(self) -> bool:
        """Whether there is anything to write: also that terms were evaluated which nobody has looked at yet."""
        known = (self.limit.status, self.limit.reason, self.limit.value)
        return (self.status, self.reason, self.value) != known or not self.limit.is_seen

    @property
    def moved(self) -> bool:
        return self.status != self.limit.status


def is_told_elsewhere(reason: str) -> bool:
    """Whether an unknown status needs no event of its own: it is expected, or the portfolio's stale prices say it."""
    return reason in (NOT_EVALUATED, NOT_IN_FORCE) or reason.startswith(_STALE)


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that one portfolio's limits are held against."""

    book: BookMeasures
    past: Past | None
    orders: Mapping[str, int]
    now: datetime

    @property
    def is_stale(self) -> bool:
        """Whether its closes are too old; a book without positions needs none."""
        return bool(self.book.symbols and self.book.as_of and is_stale(self.book.as_of, self.now))

    @property
    def stale_reason(self) -> str:
        return f"{_STALE}{self.book.as_of}, older than {settings.MAX_PRICE_AGE_SECONDS} s"

    def find_past(self) -> Past:
        if self.past is None:
            raise NotMeasurableError("its past was not read")
        return self.past


def judge_limits(limits: Sequence[LimitState], standing: Standing) -> list[Verdict]:
    """What stands in the way of one portfolio stops no other."""
    try:
        return list(_verdicts(limits, standing))
    except Exception:
        logger.exception("The limits of %s could not be judged", standing.book.portfolio_id)
        return [
            Verdict(limit, Status.UNKNOWN, INTERNAL_ERROR) if limit.in_force else out_of_force(limit)
            for limit in limits
        ]


def out_of_force(limit: LimitState) -> Verdict:
    return Verdict(limit, Status.UNKNOWN, NOT_IN_FORCE)


def _verdicts(limits: Sequence[LimitState], standing: Standing) -> Iterator[Verdict]:
    try:
        figures: BookFigures | NotMeasurableError = standing.book.figures(standing.find_past)
    except NotMeasurableError as error:
        figures = error
    is_stale = standing.is_stale
    for limit in limits:
        kind = LIMIT_KINDS[limit.kind]
        if not limit.in_force:
            yield out_of_force(limit)
        elif isinstance(kind, OrderKind):
            yield _of_value(limit, _before_the_next(kind, limit, standing))
        else:
            verdict = _of_book(limit, kind, figures)
            yield _not_calm(verdict, standing) if is_stale else verdict


def _not_calm(verdict: Verdict, standing: Standing) -> Verdict:
    """Old closes are no reason to be calm: only what is bad news stays as it is."""
    if verdict.status in (Status.BREACH, Status.UNKNOWN):
        return verdict
    return verdict._replace(status=Status.UNKNOWN, reason=standing.stale_reason)


def _before_the_next(kind: OrderKind, limit: LimitState, standing: Standing) -> float | None:
    """What stands before the next order; None where the kind looks at one order alone."""
    return kind.before(Order(limit.symbol or "", 0.0, 0.0, 0.0, standing.orders), limit.symbol)


def _of_book(limit: LimitState, kind: LimitKind, figures: BookFigures | NotMeasurableError) -> Verdict:
    if isinstance(figures, NotMeasurableError):
        return Verdict(limit, Status.UNKNOWN, figures.detail)
    assert isinstance(kind, BookKind)
    try:
        value = kind.measure(figures, limit.symbol)
    except NotMeasurableError as error:
        return Verdict(limit, Status.UNKNOWN, error.detail)
    if not math.isfinite(value):
        return Verdict(limit, Status.UNKNOWN, f"it comes to {value}, which is no number")
    return _of_value(limit, value)


def _of_value(limit: LimitState, value: float | None) -> Verdict:
    if value is None:
        return Verdict(limit, Status.OK, WITH_EACH_ORDER)
    thresholds = (limit.threshold, limit.warning_threshold)
    before = limit.status if limit.is_seen else Status.UNKNOWN  # what other terms came to is nothing to these
    return Verdict(limit, next_status(value, *thresholds, before, settings.LIMIT_HYSTERESIS), "", value)
