import empyrical
import numpy as np
import pytest
import scipy.stats

from apps.analytics.kernels.regression import NoRegression, Regression, regress


def market(days: int = 500, factors: int = 4, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    columns = random.standard_t(4, (days, factors)) * 0.01
    return 0.0002 + columns @ np.linspace(-0.5, 1.5, factors) + random.normal(0, 0.004, days), columns


def values(found: Regression | NoRegression) -> list[float]:
    assert isinstance(found, Regression)
    return [coefficient.value for coefficient in found.coefficients]


def test_line_through_points_worked_by_hand():
    """y = 1, 2, 4 at x = 0, 1, 2: slope 1.5, intercept 5/6, residuals 1/6, -1/3, 1/6, so R2 = 1 - (1/6) / (14/3)."""
    found = regress(np.array([1.0, 2.0, 4.0]), np.array([[0.0], [1.0], [2.0]]))
    assert values(found) == pytest.approx([5 / 6, 1.5])
    assert found.r_squared == pytest.approx(1 - (1 / 6) / (14 / 3))
    assert found.adjusted_r_squared == pytest.approx(1 - (1 / 6) / ((14 / 3) / 2))
    assert found.coefficients[1].standard_error == pytest.approx((1 / 6 / 2) ** 0.5)


@pytest.mark.parametrize("factors", [1, 4, 20])
def test_coefficients_are_those_of_lstsq(factors):
    returns, columns = market(factors=factors)
    expected = np.linalg.lstsq(np.column_stack([np.ones(500), columns]), returns, rcond=None)[0]
    assert values(regress(returns, columns)) == pytest.approx(expected.tolist(), rel=1e-9, abs=1e-15)


def test_statistics_of_one_factor_are_those_of_scipy():
    returns, columns = market(factors=1)
    found, theirs = regress(returns, columns), scipy.stats.linregress(columns[:, 0], returns)
    assert isinstance(found, Regression)
    slope, intercept = found.coefficients[1], found.coefficients[0]
    assert (slope.value, slope.standard_error, slope.p) == pytest.approx((theirs.slope, theirs.stderr, theirs.pvalue))
    assert (intercept.value, intercept.standard_error) == pytest.approx((theirs.intercept, theirs.intercept_stderr))
    assert found.r_squared == pytest.approx(theirs.rvalue**2)


def test_alpha_and_beta_of_one_factor_are_those_of_empyrical():
    returns, columns = market(factors=1)
    intercept, slope = values(regress(returns, columns))
    alpha, beta = empyrical.alpha_beta(returns, columns[:, 0])
    assert ((1 + intercept) ** 252 - 1, slope) == pytest.approx((alpha, beta))


def test_all_statistics_are_those_of_statsmodels():
    statsmodels = pytest.importorskip("statsmodels.api")  # comes with arch
    returns, columns = market()
    found = regress(returns, columns)
    assert isinstance(found, Regression)
    model = statsmodels.OLS(returns, statsmodels.add_constant(columns))
    plain, robust = model.fit(), model.fit(cov_type="HAC", cov_kwds={"maxlags": found.lags}, use_t=True)
    for place, ours in enumerate(found.coefficients):
        expected = (plain.params[place], plain.bse[place], plain.tvalues[place], plain.pvalues[place])
        assert (ours.value, ours.standard_error, ours.t, ours.p) == pytest.approx(expected, rel=1e-9)
        expected = (robust.bse[place], robust.tvalues[place], robust.pvalues[place])
        assert (ours.newey_west_error, ours.newey_west_t, ours.newey_west_p) == pytest.approx(expected, rel=1e-9)
    expected = (plain.rsquared, plain.rsquared_adj, plain.mse_resid**0.5)
    assert (found.r_squared, found.adjusted_r_squared, found.residual_deviation) == pytest.approx(expected, rel=1e-9)


def test_newey_west_uses_the_lags_of_their_rule():
    assert regress(*market(days=500)).lags == 5  # floor(4 (500 / 100)^(2/9)) = floor(5.72)
    assert regress(*market(days=100)).lags == 4


def test_nearly_collinear_factors_keep_their_digits():
    """Columns that differ by 1e-6: the normal equations would have a condition number of 1e12 and more."""
    random = np.random.default_rng(7)
    first = random.normal(0, 0.01, 400)
    columns = np.column_stack([first, first + 1e-8 * random.normal(size=400)])
    returns = columns @ np.array([2.0, -1.0]) + 1e-10 * random.normal(size=400)
    assert values(regress(returns, columns))[1:] == pytest.approx([2.0, -1.0], abs=2e-3)  # 1e-10 / (1e-8 sqrt(400))


def test_factor_that_is_a_combination_of_others_is_named_with_them():
    returns, columns = market()
    columns[:, 3] = 2 * columns[:, 0] - columns[:, 2] + 0.01
    assert regress(returns, columns) == NoRegression("collinear factors", (0, 2, 3))


def test_factor_that_does_not_vary_is_of_the_intercept():
    returns, columns = market()
    columns[:, 1] = 0.002
    assert regress(returns, columns) == NoRegression("collinear factors", (1,))
    columns[:, 1] = 0.0
    assert regress(returns, columns) == NoRegression("collinear factors", (1,))


@pytest.mark.parametrize(
    ("returns", "factors", "words"),
    [
        (np.array([0.1, 0.2]), np.array([[0.1], [0.3]]), "2 days: 1 factors and an intercept need 3"),
        (np.full(9, 0.01), np.arange(9.0)[:, None], "zero volatility"),
        (np.arange(9.0) * 2 + 1, np.arange(9.0)[:, None], "an exact fit"),
    ],
)
def test_series_without_a_regression_has_the_reason(returns, factors, words):
    found = regress(returns, factors)
    assert isinstance(found, NoRegression)
    assert found.reason.startswith(words)


def test_what_is_no_series_is_refused():
    with pytest.raises(ValueError, match="expected"):
        regress(np.zeros(3), np.zeros((2, 1)))
    with pytest.raises(ValueError, match="NaN"):
        regress(np.array([0.1, np.nan, 0.2]), np.zeros((3, 1)))
