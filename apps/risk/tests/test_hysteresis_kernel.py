"""A limit's next status: up at once, down only out of the band."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.risk.kernels.hysteresis import next_status

THRESHOLD, WARNING, BAND = 100.0, 80.0, 0.02
RANK = {"ok": 0, "warning": 1, "breach": 2}

values = st.floats(min_value=0, max_value=250, allow_nan=False)
statuses = st.sampled_from(["ok", "warning", "breach", "unknown"])
bands = st.floats(min_value=0, max_value=0.5)


def after(value: float, before: str = "ok", band: float = BAND) -> str:
    return next_status(value, THRESHOLD, WARNING, before, band)


@pytest.mark.parametrize(
    ("value", "status"),
    [(0, "ok"), (80, "ok"), (80.001, "warning"), (100, "warning"), (100.001, "breach"), (1e300, "breach")],
)
@pytest.mark.parametrize("before", ["ok", "unknown"])
def test_status_rises_at_once_and_at_the_threshold_itself_nothing_is_above(value, status, before):
    assert after(value, before) == status


@pytest.mark.parametrize(
    ("before", "value", "status"),
    [
        ("breach", 98.1, "breach"),
        ("breach", 98.0, "warning"),
        ("breach", 78.5, "warning"),
        ("breach", 78.4, "ok"),
        ("warning", 78.5, "warning"),
        ("warning", 78.4, "ok"),
        ("warning", 99.0, "warning"),
    ],
)
def test_status_falls_only_once_the_measure_is_below_the_band(before, value, status):
    assert after(value, before) == status


def test_rounding_above_a_threshold_is_no_breach():
    assert after(100.0 * (1 + 5e-13), "warning") == "warning"
    assert after(math.nextafter(80.0, 81.0)) == "ok"


def test_measure_that_is_no_number_has_no_status():
    with pytest.raises(ValueError, match="NaN"):
        after(math.nan)


@given(values, statuses, bands)
def test_hysteresis_never_makes_a_status_milder(value, before, band):
    assert RANK[after(value, before, band)] >= RANK[after(value, "unknown", band)]


@given(values, statuses, bands)
def test_same_value_again_moves_nothing(value, before, band):
    first = after(value, before, band)
    assert after(value, first, band) == first


@given(st.lists(st.floats(min_value=98.0001, max_value=101, allow_nan=False), min_size=1, max_size=50))
def test_measure_that_trembles_within_the_band_moves_the_status_once(trembling):
    status, moves = "warning", 0
    for value in trembling:
        moves, status = moves + (after(value, status) != status), after(value, status)
    assert moves <= 1


@given(st.lists(values, min_size=1, max_size=60))
def test_each_fall_below_a_level_is_paid_for_with_a_fall_through_its_whole_band(path):
    status, peaks = "ok", {"warning": 0.0, "breach": 0.0}
    for value in path:
        reached = after(value, status)
        for level, bound in (("warning", WARNING), ("breach", THRESHOLD)):
            was_there, is_there = RANK[status] >= RANK[level], RANK[reached] >= RANK[level]
            if was_there and not is_there:
                assert value <= bound * (1 - BAND) < bound < peaks[level]
            peaks[level] = max(value, peaks[level] if was_there else 0.0)
        status = reached
