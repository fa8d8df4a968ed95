"""Calls what pandas and scipy load on first use, so that all of it is there before the lock; no result matters."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd


def use(modules: Iterable[str]) -> None:
    """What every strategy may use, and what those of the named modules may."""
    _use_pandas()
    for name in modules:
        _USES.get(name, lambda: None)()


def _use_pandas() -> None:
    days = pd.date_range("2020-01-01", periods=70, freq="B")
    wave = np.sin(np.arange(210.0)).reshape(70, 3)
    prices = pd.DataFrame(100 + wave.cumsum(axis=0), index=days, columns=["A", "B", "C"])
    returns = prices.pct_change().dropna()
    np.linalg.solve(returns.cov().to_numpy() + np.eye(3), np.ones(3))
    _use_windows(returns)
    _use_tables(prices)
    str(prices), repr(prices["A"]), prices.to_string(), prices.describe().to_string()


def _use_windows(returns: pd.DataFrame) -> None:
    for window in (returns.rolling(5), returns.expanding(5), returns.ewm(span=5)):
        window.mean(), window.std(), window.corr(), window.cov()
    returns.rolling(5).apply(lambda each: each.sum(), raw=True)
    returns.rolling(5).rank(), returns.rolling(5).quantile(0.5), returns.rolling(5).skew(), returns.rolling("5D").max()
    for method in ("pearson", "spearman", "kendall"):
        returns.corr(method)
    returns.rank(axis=1, pct=True), returns.quantile([0.1, 0.9]), returns.skew(), returns.kurt()


def _use_tables(prices: pd.DataFrame) -> None:
    prices.resample("ME").last(), prices.resample("W").ohlc(), prices.asfreq("D").ffill().interpolate()
    prices.groupby(prices.index.month).mean(), prices.groupby(prices.index.year).agg(["min", "max"])
    long = prices.stack().reset_index()
    long.columns = ["day", "symbol", "close"]
    long.pivot_table(index="day", columns="symbol", values="close")
    long.merge(long, on=["day", "symbol"]), pd.concat([prices, prices], axis=1), prices.melt()
    pd.cut(prices["A"], 3), pd.qcut(prices["A"], 3), prices["A"].nlargest(3), prices.sort_values("A")
    (
        prices["A"].astype("category").value_counts(),
        prices.loc["2020-02"],
        prices.tail(3).T,
        prices.diff().shift(1),
        prices.to_dict("records"),
    )
    pd.Series(["a", "b"]).str.upper(), prices.where(prices > 0).clip(0, 200).round(2), pd.to_datetime(["2020-01-31"])


def _use_optimize() -> None:
    from scipy import optimize

    bounds = [(0.0, 1.0)] * 2
    rule = {"type": "eq", "fun": lambda x: x.sum() - 1}
    for method in ("SLSQP", "trust-constr", "COBYLA", "L-BFGS-B", "BFGS", "Nelder-Mead", "COBYQA"):
        constrained = method in {"SLSQP", "trust-constr", "COBYLA", "COBYQA"}
        optimize.minimize(
            lambda x: float(x @ x), [0.6, 0.6], method=method, bounds=None if method == "BFGS" else bounds,
            constraints=[rule] if constrained else (), options={"maxiter": 3},
        )  # fmt: skip
    (
        optimize.differential_evolution(lambda x: x[0], [(0.0, 1.0)], maxiter=1),
        optimize.shgo(lambda x: x[0], [(0.0, 1.0)]),
    )
    optimize.linprog([1.0, 2.0], A_eq=[[1.0, 1.0]], b_eq=[1.0])
    optimize.least_squares(lambda x: x - 1, [0.0]), optimize.nnls([[1.0]], [1.0])
    optimize.brentq(lambda x: x - 0.5, 0, 1), optimize.minimize_scalar(lambda x: x * x)
    optimize.linear_sum_assignment([[1.0]]), optimize.curve_fit(lambda x, a: a * x, [1.0, 2.0], [1.0, 2.0])


def _use_linalg() -> None:
    from scipy import linalg

    linalg.cho_solve(linalg.cho_factor(np.eye(3)), np.ones(3)), linalg.eigh(np.eye(3)), linalg.sqrtm(np.eye(3))
    linalg.svd(np.eye(3)), linalg.expm(np.eye(3)), linalg.logm(np.eye(3)), linalg.lstsq(np.eye(3), np.ones(3))


def _use_stats() -> None:
    from scipy import stats

    numbers = np.array([1.0, 2.0, 4.0, 3.0, 5.0])
    stats.norm.ppf(0.99), stats.norm.fit(numbers), stats.t.cdf(1.0, 4), stats.zscore(numbers), stats.rankdata(numbers)
    stats.spearmanr(numbers, numbers[::-1]), stats.linregress(numbers, numbers), stats.skew(numbers)
    stats.theilslopes(numbers), stats.trim_mean(numbers, 0.1), stats.kendalltau(numbers, numbers)
    stats.qmc.Sobol(2, seed=1).random(4), stats.jarque_bera(numbers)
    stats.mstats.winsorize(numbers, 0.1), stats.gaussian_kde(numbers)(2.0), stats.ttest_1samp(numbers, 0.0)


_USES: dict[str, Callable[[], None]] = {
    "scipy.optimize": _use_optimize,
    "scipy.linalg": _use_linalg,
    "scipy.stats": _use_stats,
}
