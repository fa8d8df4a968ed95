import numpy as np

from apps.analytics.kernels.first_form import in_first_form
from apps.analytics.kernels.performance import measure

DAY = np.arange(250)
RETURNS = (DAY * 7919 % 401 - 241) / 10_000
BENCHMARK = (DAY * 104729 % 307 - 150) / 10_000

# What the release that had the first form computed of these.
FIRST = {
    "annual_return": -0.6236570358816627,
    "calmar": -1.0047206923308751,
    "sharpe": -5.328191289998726,
    "sortino": -5.783650672953012,
    "alpha": -0.6240771465684991,
}


def test_measures_have_the_bits_of_their_time():
    metrics = measure(RETURNS, BENCHMARK, 0.02).metrics
    found = in_first_form(metrics, RETURNS, BENCHMARK, 0.02)
    assert {name: found[name] for name in FIRST} == FIRST
    assert {name for name in found if found[name] != metrics[name]} == {*FIRST} - {"alpha"}


def test_what_a_series_does_not_have_it_did_not_have_then():
    metrics = measure(np.full(3, 0.001), None, 0.0).metrics
    found = in_first_form(metrics, np.full(3, 0.001), None, 0.0)
    assert {name for name in FIRST if found[name] is None} == {"calmar", "sharpe", "sortino", "alpha"}
    assert tuple(found) == tuple(metrics)
