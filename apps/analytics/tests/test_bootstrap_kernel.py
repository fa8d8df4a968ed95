import numpy as np
import pytest
from arch.bootstrap import optimal_block_length

from apps.analytics.kernels import bootstrap
from apps.analytics.kernels.bootstrap import automatic_block_days, percentile_interval, resampled_days
from apps.analytics.kernels.headline import headline_measures
from apps.analytics.kernels.performance import measure


def all_rows(days: int, samples: int, block_days: float, seed: int = 0) -> np.ndarray:
    return np.concatenate(list(resampled_days(days, samples, block_days, seed)), axis=1)


def moving_average(days: int, seed: int) -> np.ndarray:
    return np.convolve(np.random.default_rng(seed).normal(0, 0.01, days + 2), [1, 0.6, 0.3], "valid")


# --- resamples


def test_same_seed_gives_the_same_days_and_another_seed_others():
    assert np.array_equal(all_rows(50, 20, 5, seed=7), all_rows(50, 20, 5, seed=7))
    assert not np.array_equal(all_rows(50, 20, 5, seed=7), all_rows(50, 20, 5, seed=8))


def test_days_do_not_depend_on_how_many_samples_are_drawn_at_once(monkeypatch):
    whole = all_rows(50, 20, 5)
    monkeypatch.setattr(bootstrap, "_NUMBERS_AT_ONCE", 150)
    assert len(list(resampled_days(50, 20, 5, 0))) == 7
    assert np.array_equal(all_rows(50, 20, 5), whole)


def test_first_samples_are_the_same_however_many_are_asked_for():
    assert np.array_equal(all_rows(50, 30, 5)[:, :10], all_rows(50, 10, 5))


def test_known_days_stay_the_known_ones():
    """What a stored result was made with: Philox with the seed as its key sequence, blocks as drawn in 2026."""
    assert all_rows(8, 2, 3.0, seed=1).T.tolist() == KNOWN


KNOWN = [[4, 6, 6, 7, 1, 3, 4, 5], [2, 3, 1, 1, 6, 3, 4, 5]]


def test_every_row_is_a_day_of_the_series_and_all_are_equally_likely():
    rows = all_rows(40, 5_000, 6)
    assert (rows.min(), rows.max()) == (0, 39)
    shares = np.bincount(rows.ravel(), minlength=40) / rows.size
    # 5,000 x 40 draws in blocks of 6: a standard error of about 0.025 x sqrt(6 / 5,000) = 0.0009.
    np.testing.assert_allclose(shares, 1 / 40, atol=0.004)


def test_blocks_have_the_mean_length_that_was_asked_for():
    rows = all_rows(200, 500, 10)
    goes_on = np.diff(rows, axis=0) % 200 == 1
    # A jump happens to go on by chance one time in 200.
    assert 1 - goes_on.mean() == pytest.approx(0.1 * (1 - 1 / 200), rel=0.03)


def test_block_of_one_day_picks_each_day_by_itself():
    goes_on = np.diff(all_rows(200, 200, 1.0), axis=0) % 200 == 1
    assert goes_on.mean() == pytest.approx(1 / 200, rel=0.15)


@pytest.mark.parametrize(("days", "samples", "block"), [(0, 1, 1), (1, 0, 1), (5, 5, 0.5), (5, 5, float("nan"))])
def test_counts_below_one_are_refused(days, samples, block):
    with pytest.raises(ValueError, match="expected all at least 1"):
        list(resampled_days(days, samples, block, 0))


# --- block length


@pytest.mark.parametrize("days", [30, 60, 250, 1000, 5000])
@pytest.mark.parametrize("seed", [1, 2])
def test_block_length_is_that_of_arch(days, seed):
    series = moving_average(days, seed)
    theirs = float(optimal_block_length(series)["stationary"].iloc[0])
    assert automatic_block_days(series) == pytest.approx(max(theirs, 1.0), rel=1e-9)


def test_series_that_says_nothing_about_blocks_has_single_days():
    assert automatic_block_days(np.full(100, 0.01)) == 1.0
    assert automatic_block_days(np.array([0.01, -0.01, 0.02])) == 1.0


def test_longer_memory_takes_longer_blocks():
    random = np.random.default_rng(2)
    noise, slow = random.normal(size=2000), np.zeros(2000)
    for day in range(1, 2000):
        slow[day] = 0.9 * slow[day - 1] + noise[day]
    assert automatic_block_days(slow) > 4 * automatic_block_days(noise)


# --- headline measures


def test_headline_measures_are_those_of_the_result_to_the_bit():
    random = np.random.default_rng(3)
    returns, benchmark = random.normal(0.0004, 0.01, (500, 3)), random.normal(0, 0.01, (500, 3))
    found = headline_measures(returns, benchmark, 0.02)
    for place in range(3):
        expected = measure(returns[:, place], benchmark[:, place], 0.02).metrics
        for name in found.keys() & expected.keys():
            assert found[name][place] == pytest.approx(expected[name], rel=1e-12), name


def test_sample_without_a_measure_has_nan_and_no_infinity():
    found = headline_measures(np.full((30, 1), 0.01), np.full((30, 1), 0.01))
    lacking = {name for name, values in found.items() if np.isnan(values[0])}
    assert lacking == {"sharpe", "sortino", "calmar", "alpha", "beta", "information_ratio"}
    assert not any(np.isinf(values).any() for values in found.values())


# --- intervals


def test_interval_lies_between_the_quantiles():
    interval = percentile_interval(np.arange(101.0), 0.9)
    assert (interval.lower, interval.upper) == (pytest.approx(5.0), pytest.approx(95.0))


@pytest.mark.parametrize("samples", [np.array([1.0]), np.array([1.0, np.nan]), np.ones((2, 2))])
def test_samples_without_an_interval_are_refused(samples):
    with pytest.raises(ValueError, match="at least two"):
        percentile_interval(samples, 0.95)


@pytest.mark.slow
def test_interval_of_95_per_cent_covers_the_true_mean_about_as_often():
    """AR(1) with 0.3 and a known mean: of 300 series of 400 days, 95 % within three standard errors of 1.3 %, less the
    few per cent that a percentile interval of a dependent series is known to lack."""
    covered = sum(_covers(seed, block_days=automatic_block_days) for seed in range(300))
    assert 0.89 <= covered / 300 <= 0.985


@pytest.mark.slow
def test_interval_by_single_days_covers_a_dependent_series_too_seldom():
    covered = sum(_covers(seed, block_days=lambda series: 1.0) for seed in range(300))
    assert covered / 300 < 0.87  # sqrt((1 - 0.3) / (1 + 0.3)) x 1.96 = 1.44 standard errors: 85 %


def _covers(seed: int, block_days) -> bool:
    random = np.random.default_rng(seed)
    noise, series = random.normal(size=500), np.zeros(500)
    for day in range(1, 500):
        series[day] = 0.3 * series[day - 1] + noise[day]
    series = 0.05 + series[100:]
    chunks = resampled_days(400, 400, block_days(series), seed)
    means = np.concatenate([series[rows].mean(axis=0) for rows in chunks])
    interval = percentile_interval(means, 0.95)
    return interval.lower <= 0.05 <= interval.upper
