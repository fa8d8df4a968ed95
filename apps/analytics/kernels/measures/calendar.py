"""A series by months, quarters and years, and over its last ones. Compounded returns, fractions.

The first and the last period count with the days they have. Source: Bacon (2008), Practical Portfolio Performance
Measurement and Attribution, 2nd ed., ch. 2; Schwager (2012), Hedge Fund Market Wizards, app. A (gain to pain).
"""

import numpy as np

from apps.analytics.kernels.facts.known import Facts
from apps.analytics.kernels.facts.periods import TRAILING_MONTHS
from apps.analytics.kernels.facts.rows import BoolArray, FloatArray
from apps.analytics.kernels.measures.figure import LOST_MORE, NO_DATES, Lack, annualized, compounded, figure

NO_UP_MONTH = Lack("no month with a gain", lambda known: known.periods.up_months == 0)
NO_DOWN_MONTH = Lack("no month with a loss", lambda known: known.periods.down_months == 0)
STILL_MONTHS = Lack("no month moved", lambda known: known.periods.up_months + known.periods.down_months == 0)
STILL_QUARTERS = Lack("no quarter moved", lambda known: known.periods.up_quarters + known.periods.down_quarters == 0)
STILL_YEARS = Lack("no year moved", lambda known: known.periods.up_years + known.periods.down_years == 0)


def _short(name: str, words: str) -> Lack:
    place = list(TRAILING_MONTHS).index(name)
    return Lack(
        f"the series is shorter than {words}",
        lambda known: np.bool_(known.series.calendar is not None and not known.series.calendar.known[place]),
    )


def _gone(place: int) -> Lack:
    def holds(known: Facts) -> BoolArray:
        return known.periods.begins[:, place] <= 0

    return Lack("everything had been lost before the period began", holds)


@figure(NO_DATES, LOST_MORE)
def expected_monthly(known: Facts) -> FloatArray:
    """(1 + total_return)^(1 / months) - 1, the geometric mean."""
    return _mean_growth(known, "months")


@figure(NO_DATES, LOST_MORE)
def expected_yearly(known: Facts) -> FloatArray:
    """(1 + total_return)^(1 / calendar years) - 1, the geometric mean."""
    return _mean_growth(known, "years")


@figure(NO_DATES)
def best_month(known: Facts) -> FloatArray:
    """The largest compounded return of a calendar month, a fraction; the first and last may be partial."""
    return known.periods.best_month


@figure(NO_DATES)
def worst_month(known: Facts) -> FloatArray:
    """The smallest compounded return of a calendar month, a fraction; the first and last may be partial."""
    return known.periods.worst_month


@figure(NO_DATES)
def best_quarter(known: Facts) -> FloatArray:
    """The largest compounded return of a calendar quarter, a fraction; the first and last may be partial."""
    return known.periods.best_quarter


@figure(NO_DATES)
def worst_quarter(known: Facts) -> FloatArray:
    """The smallest compounded return of a calendar quarter, a fraction; the first and last may be partial."""
    return known.periods.worst_quarter


@figure(NO_DATES)
def best_year(known: Facts) -> FloatArray:
    """The largest compounded return of a calendar year, a fraction; the first and last may be partial."""
    return known.periods.best_year


@figure(NO_DATES)
def worst_year(known: Facts) -> FloatArray:
    """The smallest compounded return of a calendar year, a fraction; the first and last may be partial."""
    return known.periods.worst_year


@figure(NO_DATES, STILL_MONTHS)
def win_rate_months(known: Facts) -> FloatArray:
    """Months with a gain over months that moved."""
    return known.periods.up_months / (known.periods.up_months + known.periods.down_months)


@figure(NO_DATES, STILL_QUARTERS)
def win_rate_quarters(known: Facts) -> FloatArray:
    """Quarters with a gain over quarters that moved."""
    return known.periods.up_quarters / (known.periods.up_quarters + known.periods.down_quarters)


@figure(NO_DATES, STILL_YEARS)
def win_rate_years(known: Facts) -> FloatArray:
    """Years with a gain over years that moved."""
    return known.periods.up_years / (known.periods.up_years + known.periods.down_years)


@figure(NO_DATES, NO_UP_MONTH)
def average_up_month(known: Facts) -> FloatArray:
    """Mean return of the months with a gain."""
    return known.periods.month_gains / known.periods.up_months


@figure(NO_DATES, NO_DOWN_MONTH)
def average_down_month(known: Facts) -> FloatArray:
    """Mean return of the months with a loss, negative."""
    return known.periods.month_losses / known.periods.down_months


@figure(NO_DATES, NO_DOWN_MONTH)
def gain_to_pain_months(known: Facts) -> FloatArray:
    """Sum of the months' returns over the absolute sum of negative ones."""
    lost = np.where(known.periods.down_months > 0, -known.periods.month_losses, 0.0)
    return (known.periods.month_gains + known.periods.month_losses) / lost


@figure(NO_DATES, _gone(0))
def return_month_to_date(known: Facts) -> FloatArray:
    """Since the end of the month before that of the last day."""
    return _since(known, 0)


@figure(NO_DATES, _gone(1))
def return_year_to_date(known: Facts) -> FloatArray:
    """Since the end of the year before that of the last day."""
    return _since(known, 1)


@figure(NO_DATES, _short("3m", "3 months"), _gone(2))
def return_3m(known: Facts) -> FloatArray:
    """Since the same day three months before the last day."""
    return _since(known, 2)


@figure(NO_DATES, _short("6m", "6 months"), _gone(3))
def return_6m(known: Facts) -> FloatArray:
    """Since the same day six months before the last day."""
    return _since(known, 3)


@figure(NO_DATES, _short("1y", "one year"), _gone(4))
def return_1y(known: Facts) -> FloatArray:
    """Since the same day one year before the last day."""
    return _since(known, 4)


@figure(NO_DATES, _short("3y", "3 years"), _gone(5), LOST_MORE)
def annual_return_3y(known: Facts) -> FloatArray:
    """Of the last three years, to the power of 252 / their returns."""
    return _annual_since(known, 5)


@figure(NO_DATES, _short("5y", "5 years"), _gone(6), LOST_MORE)
def annual_return_5y(known: Facts) -> FloatArray:
    """Of the last five years, to the power of 252 / their returns."""
    return _annual_since(known, 6)


@figure(NO_DATES, _short("10y", "10 years"), _gone(7), LOST_MORE)
def annual_return_10y(known: Facts) -> FloatArray:
    """Of the last ten years, to the power of 252 / their returns."""
    return _annual_since(known, 7)


def _mean_growth(known: Facts, unit: str) -> FloatArray:
    if known.series.calendar is None:
        return np.full(known.usable.shape, np.nan)
    return compounded(known.path.end, 1.0 / len(getattr(known.series.calendar, unit)))


def _growth_since(known: Facts, place: int) -> FloatArray:
    """From the Calendar's begin at `place`; NaN where the series does not reach back that far, or nothing was left."""
    calendar = known.series.calendar
    if calendar is None or (place >= 2 and not calendar.known[place - 2]):
        return np.full(known.usable.shape, np.nan)
    begin = known.periods.begins[:, place]
    return np.where(begin > 0, known.path.end / begin, np.nan)


def _since(known: Facts, place: int) -> FloatArray:
    return _growth_since(known, place) - 1.0


def _annual_since(known: Facts, place: int) -> FloatArray:
    calendar = known.series.calendar
    days = np.nan if calendar is None else float(known.days - calendar.begins[place])
    return annualized(_growth_since(known, place), np.float64(days))
