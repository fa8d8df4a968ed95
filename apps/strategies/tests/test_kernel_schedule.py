"""Decision days are the first trading days of their periods, for a backtest and for a live runner alike."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.strategies.kernels.schedule import SCHEDULES, decisions, is_decision_day, is_due

quick = settings(max_examples=200, deadline=None)

schedules = st.sampled_from(sorted(SCHEDULES))
trading_days = st.lists(st.dates(date(1899, 12, 1), date(2101, 2, 1)), min_size=1, max_size=60, unique=True).map(
    lambda found: np.array(sorted(found), dtype="datetime64[D]")
)
close_days = st.tuples(st.dates(date(1965, 1, 1), date(2030, 1, 1)), st.lists(st.integers(1, 9), max_size=80)).map(
    lambda drawn: np.datetime64(drawn[0]) + np.cumsum([0, *drawn[1]])
)


def of_year_end(schedule: str) -> list[str]:
    """From Tuesday 2019-12-24 to Thursday 2020-01-09, without weekends, Christmas, New Year and Monday the 6th."""
    closed = ["2019-12-25", "2020-01-01", "2020-01-06"]
    days = np.arange("2019-12-24", "2020-01-10", dtype="datetime64[D]")
    days = days[np.is_busday(days, holidays=closed)]
    return [str(day) for day in days[is_decision_day(days, schedule)]]


def test_week_begins_on_its_first_trading_day_across_the_turn_of_the_year():
    # Monday 30 December 2019 to Sunday 5 January 2020 is ISO week 1 of 2020; the Monday after it is closed.
    assert of_year_end("weekly") == ["2019-12-24", "2019-12-30", "2020-01-07"]


def test_month_begins_on_its_first_trading_day():
    assert of_year_end("monthly") == ["2019-12-24", "2020-01-02"]


def test_every_trading_day_is_a_daily_decision_day():
    assert len(of_year_end("daily")) == 10


@quick
@given(st.one_of(trading_days, close_days), schedules)
def test_range_and_single_days_agree(days, schedule):
    one_by_one = [is_due(day, before, schedule) for before, day in zip([None, *days[:-1]], days, strict=True)]
    assert decisions(days, schedule).tolist() == one_by_one


@quick
@given(st.one_of(trading_days, close_days), schedules)
def test_decision_days_are_the_first_of_their_iso_week_or_month(days, schedule):
    name = {
        "daily": date.toordinal,
        "weekly": lambda day: day.isocalendar()[:2],
        "monthly": lambda day: day.timetuple()[:2],
    }
    first_of = {}
    for day in days.tolist():
        first_of.setdefault(name[schedule](day), day)
    assert days[is_decision_day(days, schedule)].tolist() == list(first_of.values())


@quick
@given(st.one_of(trading_days, close_days), schedules, st.data())
def test_later_days_change_no_decision(days, schedule, data):
    seen = data.draw(st.integers(1, len(days)))
    assert decisions(days[:seen], schedule).tolist() == decisions(days, schedule)[:seen].tolist()


def test_range_that_goes_on_in_a_period_does_not_decide_on_its_first_day():
    days = np.array(["2024-05-15", "2024-05-16", "2024-06-03"], dtype="datetime64[D]")
    assert decisions(days, "monthly", first=False).tolist() == [False, False, True]


def test_no_days_have_no_decisions():
    assert decisions(np.array([], dtype="datetime64[D]"), "weekly").tolist() == []


def test_unknown_schedule_is_refused_by_its_name():
    with pytest.raises(ValueError, match="'hourly'; expected one of daily, weekly, monthly"):
        is_due(np.datetime64("2024-05-15"), None, "hourly")


def test_day_that_is_not_after_the_one_before_is_refused():
    with pytest.raises(ValueError, match="2024-05-15, not after 2024-05-15"):
        is_due(np.datetime64("2024-05-15"), np.datetime64("2024-05-15"), "daily")


@pytest.mark.parametrize("days", [np.array(["NaT"], dtype="datetime64[D]"), np.arange(3)])
def test_what_is_no_date_is_refused(days):
    with pytest.raises(ValueError, match="dates, none missing"):
        decisions(days, "daily")
