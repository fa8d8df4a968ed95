"""On which trading days a strategy decides: the first one of each period.

Weeks are ISO 8601's, Monday to Sunday; months are the calendar's. Both `is_due`, one day at a time for a live runner,
and `decisions`, a whole range for a backtest, compare the periods of neighbouring trading days, so they agree.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
DateArray = npt.NDArray[np.datetime64]
IntArray = npt.NDArray[np.int64]

# 1970-01-01 is a Thursday: three days later in its week than Monday.
_DAYS_SINCE_MONDAY = 3


def _days(days: DateArray) -> IntArray:
    return days.astype("datetime64[D]").astype(np.int64)


def _weeks(days: DateArray) -> IntArray:
    return (_days(days) + _DAYS_SINCE_MONDAY) // 7


def _months(days: DateArray) -> IntArray:
    return days.astype("datetime64[M]").astype(np.int64)


# The number of the period that a day lies in, by schedule.
SCHEDULES: dict[str, Callable[[DateArray], IntArray]] = {"daily": _days, "weekly": _weeks, "monthly": _months}


def decisions(days: DateArray, schedule: str, first: bool = True) -> BoolArray:
    """Which of the trading days `days` (days,), datetime64[D], ascending, are decision days, (days,).

    `first` says whether the first of them is one: True where the range begins there, False where it goes on from a day
    of the same period. Raises ValueError for an unknown schedule, a date that is missing, or dates out of order.
    """
    period = _period_of(schedule)
    _check(days)
    due = np.ones(len(days), dtype=np.bool_)
    due[:1] = first
    due[1:] = np.diff(period(days)) != 0
    return due


def is_decision_day(days: DateArray, schedule: str) -> BoolArray:
    """`decisions` of a range that begins with the first of `days`."""
    return decisions(days, schedule)


def is_due(day: np.datetime64, previous_day: np.datetime64 | None, schedule: str) -> bool:
    """Whether the strategy decides on the trading day `day`, the one before it being `previous_day`.

    None before it: the range begins, and it does. Both datetime64[D]. Raises ValueError as `decisions` does.
    """
    before = [] if previous_day is None else [previous_day]
    return bool(decisions(np.array([*before, day], dtype="datetime64[D]"), schedule)[-1])


def _period_of(schedule: str) -> Callable[[DateArray], IntArray]:
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule is {schedule!r}; expected one of {', '.join(SCHEDULES)}")
    return SCHEDULES[schedule]


def _check(days: DateArray) -> None:
    if days.ndim != 1 or days.dtype.kind != "M" or np.isnat(days).any():
        raise ValueError(f"days has shape {days.shape} and type {days.dtype}; expected (days,) dates, none missing")
    disorder = np.flatnonzero(days[1:] <= days[:-1])
    if len(disorder):
        place = int(disorder[0]) + 1
        raise ValueError(f"days[{place}] is {days[place]}, not after {days[place - 1]}; expected ascending dates")
