"""The statistics of a backtest against published tables, figures by hand, plain twins and simulation."""

import math
from itertools import pairwise

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from scipy.stats import binom, chi2, kstest, norm
from scipy.stats import t as student_t

from apps.risk.kernels.backtesting import (
    acerbi_szekely_z2,
    christoffersen_independence,
    conditional_coverage,
    exceptions,
    fz0_score,
    kupiec_pof,
    pinball_loss,
    traffic_light,
)
from apps.risk.kernels.rolling import rolling_pnl


def normal_forecast(confidence: float, days: int) -> tuple[np.ndarray, np.ndarray]:
    """VaR and ES of a standard normal P&L."""
    var = norm.ppf(confidence)
    return np.full(days, var), np.full(days, norm.pdf(var) / (1 - confidence))


def with_z2(statistic: float, var: np.ndarray, es: np.ndarray, confidence: float) -> np.ndarray:
    """A P&L without exceptions but one, whose loss makes Z2 what is wanted."""
    realized = np.zeros(len(var))
    realized[0] = -(1 - statistic) * len(var) * (1 - confidence) * es[0]
    return realized


# --- Kupiec -------------------------------------------------------------------------------------------------------

# Kupiec (1995), as in Jorion (2007), Value at Risk, table 6-2: with the test's confidence of 95 %, the model is kept
# where the number of failures lies between these two, both excluded.
NON_REJECTION = {
    (0.99, 255): (0, 7), (0.99, 510): (1, 11), (0.99, 1000): (4, 17),
    (0.975, 255): (2, 12), (0.975, 510): (6, 21), (0.975, 1000): (15, 36),
    (0.95, 255): (6, 21), (0.95, 510): (16, 36), (0.95, 1000): (37, 65),
    (0.925, 255): (11, 28), (0.925, 510): (27, 51), (0.925, 1000): (59, 92),
    (0.90, 255): (16, 36), (0.90, 510): (38, 65), (0.90, 1000): (81, 120),
}  # fmt: skip


@pytest.mark.parametrize(("confidence", "days"), NON_REJECTION)
def test_kupiec_keeps_and_rejects_as_in_the_published_table(confidence, days):
    kept = [count for count in range(days // 4) if not kupiec_pof(count, days, confidence).reject_95]
    low, high = NON_REJECTION[confidence, days]
    # Jorion writes N < 7 for 255 days at 99 %; without any failure the ratio is 5.13, above 3.84, so 0 is out as well.
    assert (kept[0], kept[-1]) == (low + 1, high - 1)
    assert kept == list(range(low + 1, high))


def test_kupiec_ratio_of_jorions_example():
    # Jorion (2007), box of ch. 6.2: 20 exceptions in 252 days at 95 %: 3.91, just above the 3.84 of the 95 % test.
    result = kupiec_pof(20, 252, 0.95)
    assert round(result.statistic, 2) == 3.91
    assert result.p_value == pytest.approx(chi2.sf(result.statistic, 1))
    assert result.reject_95


def test_kupiec_without_an_exception_and_with_nothing_else():
    assert kupiec_pof(0, 250, 0.99).statistic == pytest.approx(-2 * 250 * math.log(0.99))
    assert kupiec_pof(250, 250, 0.99).statistic == pytest.approx(-2 * 250 * math.log(0.01))


def test_kupiec_is_zero_where_the_rate_is_as_expected():
    assert kupiec_pof(5, 100, 0.95).statistic == pytest.approx(0, abs=1e-12)
    assert kupiec_pof(5, 100, 0.95).p_value == pytest.approx(1)


# --- Christoffersen -----------------------------------------------------------------------------------------------


def jorions_hits() -> np.ndarray:
    """Transitions of Jorion (2007), table 6-4: 218 calm after calm, 14 to an exception, 14 back, 6 in a row."""
    clusters = [2] * 6 + [1] * 8  # 14 clusters, 20 exceptions, 6 of them right after another one
    hits = [False]
    for length in clusters:
        hits += [True] * length + [False]
    return np.array(hits + [False] * (253 - len(hits)))


def test_independence_ratio_of_jorions_example():
    # pi_0 = 14/232 = 6.0 %, pi_1 = 6/20 = 30 %, pi = 20/252 = 7.9 %: 9.53, above 3.84.
    hits = jorions_hits()
    result = christoffersen_independence(hits)
    assert (len(hits), hits.sum()) == (253, 20)
    assert round(result.statistic, 2) == 9.53
    assert result.p_value == pytest.approx(chi2.sf(9.53, 1), rel=0.01)


def test_conditional_coverage_is_the_sum_with_two_degrees_of_freedom():
    kupiec, independence = kupiec_pof(20, 252, 0.95), christoffersen_independence(jorions_hits())
    joint = conditional_coverage(kupiec, independence)
    assert round(joint.statistic, 2) == 13.44  # 3.91 + 9.53
    assert joint.p_value == pytest.approx(math.exp(-joint.statistic / 2))  # chi-square of two degrees


def plain_independence(hits: list[bool]) -> float:
    n = {(i, j): 0 for i in (0, 1) for j in (0, 1)}
    for before, after in pairwise(hits):
        n[int(before), int(after)] += 1

    def likelihood(calm: int, hit: int) -> float:
        rate = hit / (calm + hit) if calm + hit else 0.0
        return (1 - rate) ** calm * rate**hit

    free = likelihood(n[0, 0], n[0, 1]) * likelihood(n[1, 0], n[1, 1])
    return -2 * math.log(likelihood(n[0, 0] + n[1, 0], n[0, 1] + n[1, 1]) / free)


@pytest.mark.parametrize("seed", range(20))
def test_independence_is_its_plain_twin(seed):
    hits = np.random.default_rng(seed).random(80) < 0.05 * (seed + 1)
    assert christoffersen_independence(hits).statistic == pytest.approx(plain_independence(hits.tolist()), abs=1e-9)


@pytest.mark.parametrize("hits", [[False] * 9, [True] * 9, [True], [False, False, True]])
def test_nothing_speaks_against_independence_where_nothing_could(hits):
    result = christoffersen_independence(np.array(hits))
    assert result.statistic == pytest.approx(plain_independence(hits), abs=1e-12)
    assert 0 <= result.statistic < 3
    assert math.isfinite(result.p_value)


def test_no_two_exceptions_in_a_row_is_a_finite_ratio():
    # n01 = n10 = 2, n11 = 0, n00 = 5 by hand: L(2/9) over L_0(2/7), the second chain's likelihood being 1.
    hits = np.array([0, 0, 1, 0, 0, 1, 0, 0, 0, 0], bool)
    expected = 2 * (5 * math.log(5 / 7) + 2 * math.log(2 / 7) - 7 * math.log(7 / 9) - 2 * math.log(2 / 9))
    assert christoffersen_independence(hits).statistic == pytest.approx(expected)


def test_days_on_both_sides_of_a_gap_are_no_pair():
    hits = np.array([0, 1, 1, 0, 0, 1, 0], bool)
    follows = np.array([1, 1, 0, 1, 1, 1, 1], bool)
    parts = [(0, 1), (1, 0), (0, 0), (0, 1), (1, 0)]  # all pairs but the third day's with the second's
    rates = {state: [after for before, after in parts if before == state] for state in (0, 1)}
    assert (sum(rates[0]), len(rates[0]), sum(rates[1]), len(rates[1])) == (2, 3, 0, 2)
    expected = 2 * (2 * math.log(2 / 3) + math.log(1 / 3) - 3 * math.log(3 / 5) - 2 * math.log(2 / 5))
    assert christoffersen_independence(hits, follows).statistic == pytest.approx(expected)


# --- Traffic light ------------------------------------------------------------------------------------------------

# Basel Committee (1996), table 2, 250 days at 99 %: zone, plus factor, cumulative probability in %; the last column is
# from the Committee's standard of 2019, MAR32.9, on a multiplier of 1.5.
BASEL = {
    0: ("green", 0.00, 8.11, 0.00), 1: ("green", 0.00, 28.58, 0.00), 2: ("green", 0.00, 54.32, 0.00),
    3: ("green", 0.00, 75.81, 0.00), 4: ("green", 0.00, 89.22, 0.00), 5: ("yellow", 0.40, 95.88, 0.20),
    6: ("yellow", 0.50, 98.63, 0.26), 7: ("yellow", 0.65, 99.60, 0.33), 8: ("yellow", 0.75, 99.89, 0.38),
    9: ("yellow", 0.85, 99.97, 0.42), 10: ("red", 1.00, 99.99, 0.50),
}  # fmt: skip


@pytest.mark.parametrize("count", BASEL)
def test_traffic_light_is_the_committees_table(count):
    light = traffic_light(count, 250, 0.99)
    zone, plus, cumulative, plus_2019 = BASEL[count]
    assert (light.zone, light.plus_factor, light.plus_factor_2019) == (zone, plus, plus_2019)
    assert round(light.cumulative_probability * 100, 2) == cumulative


def test_plus_factor_stays_at_its_largest_and_is_null_off_the_table():
    assert traffic_light(250, 250, 0.99).plus_factor == 1.0
    assert traffic_light(3, 249, 0.99).plus_factor is None
    off = traffic_light(12, 250, 0.975)
    assert (off.plus_factor_2019, off.zone) == (None, "yellow")
    assert off.cumulative_probability == pytest.approx(binom.cdf(12, 250, 0.025))


# --- Expected shortfall -------------------------------------------------------------------------------------------


def test_z2_by_hand():
    # Two exceptions, losses of 3 and 6 with an ES of 4 and 5, n alpha = 10 x 0.1: 1 - (3/4 + 6/5) / 1.
    realized = np.array([1.0, -3.0, 0.0, 2.0, -6.0, 1.0, 1.0, 1.0, 1.0, -2.0])
    var = np.full(10, 2.0)
    es = np.array([4.0, 4, 4, 4, 5, 5, 5, 5, 5, 5])
    assert exceptions(realized, var).sum() == 2  # a loss of the VaR itself is none
    assert acerbi_szekely_z2(realized, var, es, 0.9).statistic == pytest.approx(1 - 1.95)


def test_published_critical_values_of_z2_come_out():
    # Acerbi & Szekely (2014): at 97.5 % over 250 days, -0.70 at 5 % and -1.8 at 0.01 %, for normal tails.
    var, es = normal_forecast(0.975, 250)
    mild = acerbi_szekely_z2(with_z2(-1.8, var, es, 0.975), var, es, 0.975, simulations=200_000)
    assert mild.critical_value_95 == pytest.approx(-0.70, abs=0.015)
    assert mild.p_value == pytest.approx(0.0001, abs=0.00006)


def test_published_p_value_of_z2_comes_out():
    # MathWorks, Risk Management Toolbox, esbacktest.unconditionalNormal: 1,966 days at 97.5 %, Z2 of -0.38265 has a
    # p-value of 0.0054 under normal tails (and of 0.0186 under Student t of 3 degrees).
    var, es = normal_forecast(0.975, 1966)
    result = acerbi_szekely_z2(with_z2(-0.38265, var, es, 0.975), var, es, 0.975)
    assert result.p_value == pytest.approx(0.0054, abs=0.001)
    assert result.reject_95


def test_z2_without_exceptions_is_one_and_never_rejected():
    var, es = normal_forecast(0.99, 250)
    result = acerbi_szekely_z2(np.zeros(250), var, es, 0.99)
    assert (result.statistic, result.p_value, result.reject_95) == (1.0, 1.0, False)


def test_z2_of_nothing_but_exceptions_is_rejected():
    var, es = normal_forecast(0.99, 250)
    assert acerbi_szekely_z2(np.full(250, -9.0), var, es, 0.99).p_value == pytest.approx(1 / 20_001)


def test_expected_shortfall_that_equals_the_var_has_a_test_as_well():
    realized = np.array([-2.0, *[0.0] * 99])
    result = acerbi_szekely_z2(realized, np.ones(100), np.ones(100), 0.99)
    assert result.statistic == pytest.approx(-1)
    assert result.p_value == pytest.approx(binom.sf(1, 100, 0.01), abs=0.02)  # two exceptions or more


def test_too_low_a_shortfall_is_found_in_fat_tails():
    realized = student_t.rvs(3, size=2_000, random_state=5)
    var, es = np.full(2_000, -student_t.ppf(0.025, 3)), np.full(2_000, -student_t.ppf(0.025, 3) * 1.05)
    assert acerbi_szekely_z2(realized, var, es, 0.975).reject_95


def test_same_forecasts_give_the_same_bits():
    var, es = normal_forecast(0.99, 250)
    realized = with_z2(-0.9, var, es, 0.99)
    assert acerbi_szekely_z2(realized, var, es, 0.99) == acerbi_szekely_z2(realized, var, es, 0.99)


# --- Under the null, p-values are about uniform -------------------------------------------------------------------


def worst_distance(p_values: list[float]) -> float:
    return float(kstest(p_values, "uniform").statistic)


def test_coverage_p_values_are_about_uniform_where_the_forecast_is_right():
    hits = np.random.default_rng(1).random((600, 2_000)) < 0.25
    rates = [kupiec_pof(int(row.sum()), 2_000, 0.75) for row in hits]
    chains = [christoffersen_independence(row) for row in hits]
    joint = [conditional_coverage(*both) for both in zip(rates, chains, strict=True)]
    # 600 uniform draws stay below 0.067 in 99 of 100 cases (Kolmogorov).
    for tests in (rates, chains, joint):
        assert worst_distance([each.p_value for each in tests]) < 0.067
        assert np.mean([each.reject_95 for each in tests]) == pytest.approx(0.05, abs=0.027)


@pytest.mark.parametrize("tail", ["exponential", "normal"])
def test_shortfall_p_values_are_about_uniform_where_the_forecast_is_right(tail):
    random = np.random.default_rng(3)
    var, es = normal_forecast(0.9, 500)
    if tail == "normal":
        pnl = random.standard_normal((400, 500))
    else:
        beyond = random.random((400, 500)) < 0.1
        pnl = np.where(beyond, -var - (es - var) * random.standard_exponential((400, 500)), 0.0)
    p_values = [acerbi_szekely_z2(row, var, es, 0.9, simulations=1_000).p_value for row in pnl]
    # 400 uniform draws stay below 0.082 in 99 of 100 cases.
    assert worst_distance(p_values) < 0.082


# --- Scores -------------------------------------------------------------------------------------------------------


def test_pinball_loss_by_hand():
    # alpha 0.1, VaR 2: a gain of 1 costs 0.1 x 3; a loss of 5 costs 0.9 x 3.
    assert pinball_loss(np.array([1.0, -5.0]), np.array([2.0, 2.0]), 0.9) == pytest.approx((0.3 + 2.7) / 2)


def test_fz0_score_by_hand():
    # alpha 0.1, VaR 2, ES 4: calm 2/4 + ln 4 - 1; a loss of 5 adds 3 / (0.1 x 4).
    calm = 0.5 + math.log(4) - 1
    score = fz0_score(np.array([1.0, -5.0]), np.full(2, 2.0), np.full(2, 4.0), 0.9)
    assert score == pytest.approx((calm + calm + 7.5) / 2)


def plain_scores(realized: np.ndarray, var: np.ndarray, es: np.ndarray, alpha: float) -> tuple[float, float]:
    """As Patton, Ziegel & Chen (2019) write them, with v and e the negative quantile and mean of the tail."""
    pinball = fz0 = 0.0
    for y, v, e in zip(realized, -var, -es, strict=True):
        hit = 1 if y < v else 0
        pinball += (alpha - hit) * (y - v)
        fz0 += -hit * (v - y) / (alpha * e) + v / e + math.log(-e) - 1
    return pinball / len(realized), fz0 / len(realized)


def test_scores_are_their_plain_twins_and_least_for_the_truth():
    realized = np.random.default_rng(2).standard_normal(20_000)
    var, es = normal_forecast(0.95, 20_000)
    pinball, fz0 = plain_scores(realized, var, es, 0.05)
    assert pinball_loss(realized, var, 0.95) == pytest.approx(pinball, rel=1e-12)
    assert fz0_score(realized, var, es, 0.95) == pytest.approx(fz0, rel=1e-12)
    for factor in (0.7, 1.4):
        assert pinball_loss(realized, var * factor, 0.95) > pinball
        assert fz0_score(realized, var * factor, es * factor, 0.95) > fz0


# --- What is refused ----------------------------------------------------------------------------------------------

ONES = np.ones(3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: exceptions(ONES, np.ones(2)), r"realized \(3,\), var \(2,\)"),
        (lambda: exceptions(np.array([1.0, np.nan, 1.0]), ONES), r"realized\[1\] is nan"),
        (lambda: exceptions(np.empty(0), np.empty(0)), "at least one day"),
        (lambda: kupiec_pof(4, 3, 0.99), "4 exceptions in 3 days"),
        (lambda: kupiec_pof(1, 3, 1.0), "confidence is 1.0"),
        (lambda: christoffersen_independence(np.ones((2, 2), bool)), r"hits \(2, 2\)"),
        (lambda: fz0_score(ONES, ONES, np.array([1.0, 0.0, 1.0]), 0.99), r"es\[1\] is 0.0"),
        (lambda: acerbi_szekely_z2(ONES, ONES, np.zeros(3), 0.99), r"es\[0\] is 0.0"),
        (lambda: acerbi_szekely_z2(ONES, ONES, np.full(3, 0.5), 0.99), r"es\[0\] is 0.5, below the VaR of 1.0"),
        (lambda: rolling_pnl(np.ones((3, 2)), np.ones((2, 2)), 3), r"expected \(4, 2\)"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(call, words):
    with pytest.raises(ValueError, match=words):
        call()


# --- Rolling windows ----------------------------------------------------------------------------------------------


def test_rolling_pnl_is_its_plain_twin():
    random = np.random.default_rng(0)
    returns, values = random.standard_normal((24, 3)), random.standard_normal((5, 3))
    pnl = rolling_pnl(returns, values, 20)
    for book in range(5):
        assert pnl[book] == pytest.approx(returns[book : book + 20] @ values[book], abs=1e-12)
    assert sliding_window_view(returns, 20, axis=0).shape == (5, 3, 20)


def test_rolling_pnl_of_a_book_has_the_same_bits_beside_any_others():
    random = np.random.default_rng(0)
    returns, values = random.standard_normal((524, 11)), random.standard_normal((25, 11))
    together = rolling_pnl(returns, values, 500)
    for book in range(25):
        assert (rolling_pnl(returns[book : book + 500], values[[book]], 500)[0] == together[book]).all()


def test_missing_return_is_missing_in_the_windows_that_hold_it():
    returns = np.zeros((6, 1))
    returns[2] = np.nan
    assert np.isnan(rolling_pnl(returns, np.ones((4, 1)), 3)).sum(axis=1).tolist() == [1, 1, 1, 0]
