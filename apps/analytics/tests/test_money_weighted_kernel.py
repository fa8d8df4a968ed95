import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.analytics.kernels.money_weighted import money_weighted_return

NO_RATE = "no rate from growth of e^-60 to e^60 a year makes what was paid in equal to what came out"


def rate(*flows: tuple[float, float]) -> float | None:
    days, amounts = np.array(flows, float).T
    return money_weighted_return(days, amounts).rate


def reason(*flows: tuple[float, float]) -> str | None:
    days, amounts = np.array(flows, float).T
    return money_weighted_return(days, amounts).reason


def test_one_year_of_ten_per_cent():
    assert rate((0, -100), (365, 110)) == pytest.approx(0.1, abs=1e-13)


def test_years_are_of_365_days():
    assert rate((0, -100), (730, 121)) == pytest.approx(0.1, abs=1e-13)
    assert rate((0, -100), (366, 110)) == pytest.approx(1.1 ** (365 / 366) - 1, abs=1e-13)


def test_figure_of_the_spreadsheets_manual():
    """The example of Excel's XIRR: 37.336 %, on the days between 2008-01-01 and 2009-04-01."""
    flows = [(0, -10_000), (60, 2_750), (303, 4_250), (411, 3_250), (456, 2_750)]
    assert rate(*flows) == pytest.approx(0.373362535, abs=1e-8)


def test_order_of_the_flows_does_not_matter_and_those_of_a_day_add_up():
    flows = [(365, 60), (0, -40), (365, 50), (0, -60)]
    assert rate(*flows) == pytest.approx(0.1, abs=1e-13)


def test_loss_of_nearly_everything_in_a_day_and_gain_of_a_tenth_in_one():
    assert rate((0, -100), (1, 110)) == pytest.approx(1.1**365 - 1, rel=1e-9)
    assert rate((0, -100), (365, 1e-6)) == pytest.approx(-1 + 1e-8, rel=1e-12)


def test_borrowing_has_a_rate_as_well():
    assert rate((0, 100), (365, -105)) == pytest.approx(0.05, abs=1e-13)


def test_money_that_goes_one_way_has_none():
    assert rate((0, -100), (365, -10)) is None
    assert "one way" in reason((0, -100), (365, -10))
    assert "one way" in reason((0, 0), (365, 0))


def test_money_of_one_day_has_none():
    assert "one way" in reason((3, -100), (3, 110))


def test_several_rates_are_none_and_are_named():
    """-1000, +2300, -1320: 10 % and 20 % (1000 (x - 1.1)(x - 1.2))."""
    told = reason((0, -1000), (365, 2300), (730, -1320))
    assert told == "2 rates fit these flows: 0.1, 0.2"


def test_flows_that_change_sign_twice_but_have_one_rate_have_it():
    flows = [(0, -1000), (100, 1500), (200, -100), (365, 30)]
    found = rate(*flows)
    assert sum(amount / (1 + found) ** (day / 365) for day, amount in flows) == pytest.approx(0, abs=1e-9)


def test_flows_that_no_rate_brings_to_nothing_have_none():
    assert reason((0, 100), (365, -10), (730, 100)) == NO_RATE
    # There is a rate, 1.2^365 - 1, but no use for it.
    assert reason((0, -100), (1, 120)) == NO_RATE


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12_000), st.floats(0.01, 1e9)), min_size=1, max_size=20),
    st.integers(12_001, 12_400),
    st.floats(0.01, 1e12),
)
def test_present_value_at_the_rate_is_nothing(paid, last_day, received):
    flows = [*((day, -amount) for day, amount in paid), (last_day, received)]
    found = rate(*flows)
    # Nearer to -100 % the rate's float has too few digits left of 1 + rate: a loss of 95 % in a month ends at -1.0.
    if found is not None and found > -1 + 1e-5:
        growth = np.log1p(found)
        parts = [amount * np.exp(-growth * (day - last_day) / 365) for day, amount in flows]
        assert abs(sum(parts)) <= 1e-9 * sum(map(abs, parts))


@pytest.mark.parametrize(
    ("days", "amounts"), [([0.0], [1.0, 2.0]), ([0.0, float("nan")], [1.0, 2.0]), ([0.0, 1.0], [1.0, float("inf")])]
)
def test_what_is_no_flow_is_refused(days, amounts):
    with pytest.raises(ValueError, match="expected"):
        money_weighted_return(np.array(days), np.array(amounts))
