"""A series by months, quarters and years, and over the last of them: all from the dates on which its returns end."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from apps.analytics.kernels.facts.rows import ROUNDING_SPREAD, BoolArray, FloatArray, IntArray, row_count, row_sum

DateArray = npt.NDArray[np.datetime64]

# The last so many months, by the suffix of the measure's name.
TRAILING_MONTHS = {"3m": 3, "6m": 6, "1y": 12, "3y": 36, "5y": 60, "10y": 120}


@dataclass(frozen=True, slots=True)
class Calendar:
    """`months`, `quarters`, `years`: the row of each one's first day (months) or first month (the others).

    `begins` (2 + trailing,): how many returns end on or before the start of: this month, this year, then each of
    TRAILING_MONTHS, in which `known` (trailing,) says whether the series reaches back that far.
    """

    months: IntArray
    quarters: IntArray
    years: IntArray
    begins: IntArray
    known: BoolArray


@dataclass(frozen=True, slots=True)
class Periods:
    """Compounded returns, fractions, and counts, (portfolios,); `begins` (portfolios, 2 + trailing) is the growth at
    the Calendar's."""

    best_month: FloatArray
    worst_month: FloatArray
    best_quarter: FloatArray
    worst_quarter: FloatArray
    best_year: FloatArray
    worst_year: FloatArray
    up_months: FloatArray
    down_months: FloatArray
    up_quarters: FloatArray
    down_quarters: FloatArray
    up_years: FloatArray
    down_years: FloatArray
    month_gains: FloatArray
    month_losses: FloatArray
    begins: FloatArray


def calendar(ends: DateArray) -> Calendar:
    """From the date of each return, ascending."""
    months = ends.astype("datetime64[M]").astype(np.int64)
    first = _changes(months)
    starts = [_day_before(ends[-1].astype(unit)) for unit in ("datetime64[M]", "datetime64[Y]")]
    trailing = [months_before(ends[-1], count) for count in TRAILING_MONTHS.values()]
    return Calendar(
        first,
        _changes(months[first] // 3),
        _changes(months[first] // 12),
        np.searchsorted(ends, np.array([*starts, *trailing], dtype="datetime64[D]"), side="right"),
        np.array(trailing, dtype="datetime64[D]") >= _weekday_before(ends[0]),
    )


def periods(returns: FloatArray, growth: FloatArray, calendar: Calendar) -> Periods:
    """From rows (portfolios, days) and their growth (portfolios, days + 1)."""
    factors = np.multiply.reduceat(1.0 + returns, calendar.months, axis=1)
    months = factors - 1.0
    quarters = np.multiply.reduceat(factors, calendar.quarters, axis=1) - 1.0
    years = np.multiply.reduceat(factors, calendar.years, axis=1) - 1.0
    return Periods(
        best_month=months.max(axis=1),
        worst_month=months.min(axis=1),
        best_quarter=quarters.max(axis=1),
        worst_quarter=quarters.min(axis=1),
        best_year=years.max(axis=1),
        worst_year=years.min(axis=1),
        up_months=row_count(months > ROUNDING_SPREAD),
        down_months=row_count(months < -ROUNDING_SPREAD),
        up_quarters=row_count(quarters > ROUNDING_SPREAD),
        down_quarters=row_count(quarters < -ROUNDING_SPREAD),
        up_years=row_count(years > ROUNDING_SPREAD),
        down_years=row_count(years < -ROUNDING_SPREAD),
        month_gains=row_sum(np.maximum(months, 0.0)),
        month_losses=row_sum(np.minimum(months, 0.0)),
        begins=growth[:, calendar.begins],
    )


def months_before(day: np.datetime64, months: int) -> np.datetime64:
    """The same day of the month so many months earlier, or the last day of that month where it has no such day."""
    month = day.astype("datetime64[M]")
    offset = day.astype("datetime64[D]") - month.astype("datetime64[D]")
    last = (month - months + 1).astype("datetime64[D]") - 1
    return np.datetime64(min((month - months).astype("datetime64[D]") + offset, last))


def _changes(labels: IntArray) -> IntArray:
    return np.concatenate(([0], np.flatnonzero(np.diff(labels)) + 1))


def _day_before(period: np.datetime64) -> np.datetime64:
    return np.datetime64(period.astype("datetime64[D]") - 1)


def _weekday_before(day: np.datetime64) -> np.datetime64:
    """When the first return began at the latest: the start is not among the ends."""
    return np.datetime64(np.busday_offset(np.busday_offset(day, 0, roll="forward"), -1))
