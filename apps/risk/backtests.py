"""`risk.backtest`: one-day forecasts of VaR and ES against the P&L that came, by any methods (docs/backtests.md)."""

import re
from collections import defaultdict
from dataclasses import asdict
from typing import Any

import numpy as np

from apps.portfolios.matrix import DateArray, FloatArray, PriceMatrix, load_current_matrix
from apps.portfolios.models import Instrument, Portfolio
from apps.portfolios.snapshots import keep_snapshot, snapshot_id
from apps.risk.costs import check_backtest_cost
from apps.risk.errors import CurrencyMismatchError, NoPositionsError
from apps.risk.inputs import submit_risk
from apps.risk.kernels import backtesting as statistics
from apps.risk.methods import DEFAULTS, METHODS, Forecast, relevant
from apps.risk.tested_days import ForecastDay, Holdings, Left, latest_day, read_holdings, tested_days
from apps.tasks.execution import Job, Outcome
from apps.tasks.models import Task

KIND = "risk.backtest"
# A forecast looks one day ahead: the P&L it is held against is of one day.
_ONE_DAY = {"horizon_days": 1, "horizon_method": "sqrt_time"}


def submit_backtest(portfolio: Portfolio, parameters: dict[str, Any], user: Any) -> Task:
    """Raises TooExpensiveError."""
    parameters = relevant(parameters["methods"], parameters)
    check_backtest_cost(portfolio.id, parameters)
    return submit_risk(KIND, portfolio, parameters, user)


def run_backtest(job: Job) -> Outcome:
    matrix = load_current_matrix()
    inputs = exact_inputs(Portfolio.objects.get(pk=job.task.portfolio_id), job.task.inputs, matrix)
    result = compute(inputs, matrix, job)
    portfolio_id = inputs["portfolio_id"]
    event = {
        "event": "risk.backtested",
        "task_id": str(job.task.id),
        **{name: result[name] for name in ("portfolio_id", "confidence", "first_date", "last_date", "best_method")},
    }
    topic = f"portfolio:updates:{portfolio_id}"
    return Outcome(result, lambda: keep_snapshot(KIND, portfolio_id, inputs, result), [(topic, event)])


def exact_inputs(portfolio: Portfolio, parameters: dict[str, Any], matrix: PriceMatrix) -> dict[str, Any]:
    """Everything the figures depend on, in canonical form; the ledger is append-only: its version names the positions.

    Raises NoPositionsError, CurrencyMismatchError.
    """
    asked = parameters.get("as_of")
    last = asked or latest_day(portfolio.id, portfolio.ledger_version, portfolio.benchmark_id, matrix).isoformat()
    inputs = {
        **{name: value for name, value in parameters.items() if name != "portfolio_id"},
        "portfolio_id": portfolio.id,
        "currency": portfolio.base_currency,
        "benchmark": portfolio.benchmark_id,
        "ledger_version": portfolio.ledger_version,
        "price_version": matrix.version,
        "as_of": last,
        "as_of_asked": asked is not None,
    }
    _check_holdings(read_holdings(inputs, matrix), inputs)
    return inputs


def _check_holdings(holdings: Holdings, inputs: dict[str, Any]) -> None:
    held, portfolio_id = holdings.ever_held, inputs["portfolio_id"]
    if not held:
        raise NoPositionsError(
            f"{portfolio_id} held no position on any of the {inputs['test_days']} days up to {inputs['as_of']}.",
            'Ask for more test_days, for another as_of, or for "positions": "current".',
        )
    currencies = Instrument.objects.filter(pk__in=held).exclude(currency=inputs["currency"]).order_by("symbol")
    if others := [f"{symbol} ({code})" for symbol, code in currencies.values_list("symbol", "currency")]:
        raise CurrencyMismatchError(
            f"{portfolio_id} is kept in {inputs['currency']}, but held {', '.join(others)} on the tested days.",
            "Test days on which it held its own currency only: there are no exchange rates yet.",
        )


def compute(inputs: dict[str, Any], matrix: PriceMatrix, job: Job | None = None) -> dict[str, Any]:
    """The result from its exact inputs, and from nothing else: computed again it is the same to the bit.

    Raises InsufficientHistoryError, ProxyError, NoPositionsError.
    """
    holdings, left = read_holdings(inputs, matrix), Left()
    days: list[ForecastDay] = []
    forecasts: dict[str, list[Forecast]] = {method: [] for method in inputs["methods"]}
    for day in tested_days(holdings, inputs, matrix, left):
        for method, made in forecasts.items():
            if job:
                job.progress(len(days), len(holdings.dates), f"{method}, {day.closed_on}")
            made.append(METHODS[method].forecast(day.pnl, {**DEFAULTS, **inputs, **_ONE_DAY}))
        days.append(ForecastDay(day.closed_on, day.date, np.empty(0), day.realized))
    if not days:
        raise NoPositionsError(
            f"None of the {len(holdings.dates)} days up to {inputs['as_of']} could be tested: on {left.nothing_held} "
            f"nothing was held, on {left.missing_prices} prices were missing.",
            "Ask for more test_days or another as_of, or import the missing prices.",
        )
    return _result(inputs, days, forecasts, left)


def _result(
    inputs: dict[str, Any], days: list[ForecastDay], forecasts: dict[str, list[Forecast]], left: Left
) -> dict[str, Any]:
    tables = [_table(inputs, method, days, made) for method, made in forecasts.items()]
    names = ("portfolio_id", "as_of", "confidence", "window_days", "test_days", "positions", "currency")
    ranking = _rank(tables)
    return {
        **{name: inputs[name] for name in names},
        "first_date": str(days[0].date),
        "last_date": str(days[-1].date),
        "observations": len(days),
        "skipped_days": {"nothing_held": left.nothing_held, "missing_prices": left.missing_prices},
        "methods": tables,
        "ranked_by": ranking,
        "best_method": min(tables, key=lambda table: table["rank"])["method"],
        "snapshot_id": snapshot_id(KIND, inputs),
        "warnings": [*_said(left, inputs, len(days)), *(text for table in tables for text in table.pop("warnings"))],
    }


def _table(inputs: dict[str, Any], method: str, days: list[ForecastDay], made: list[Forecast]) -> dict[str, Any]:
    """One method's statistics and its series, with what to say about them."""
    confidence = inputs["confidence"]
    dates = np.array([day.date for day in days])
    realized = np.array([day.realized for day in days])
    var = np.array([forecast.var for forecast in made])
    shortfall = np.array([forecast.expected_shortfall for forecast in made])
    hits = statistics.exceptions(realized, var)
    follows = np.array([day.closed_on for day in days]) == np.concatenate([dates[:1], dates[:-1]])
    scores, warnings = _shortfall_scores(method, dates, realized, var, shortfall, confidence)
    return {
        "method": method,
        "exceptions": int(hits.sum()),
        "expected_exceptions": statistics.tail_mass(confidence, len(days)),
        "exception_dates": dates[hits].astype(str).tolist(),
        **_coverage(hits, follows, confidence),
        **scores,
        "pinball_loss": statistics.pinball_loss(realized, var, confidence),
        "series": _series(dates, var, shortfall, realized),
        "warnings": [*_forecast_warnings(method, dates, made), *warnings],
    }


def _coverage(hits: Any, follows: Any, confidence: float) -> dict[str, Any]:
    count, days = int(hits.sum()), len(hits)
    kupiec = statistics.kupiec_pof(count, days, confidence)
    independence = statistics.christoffersen_independence(hits, follows)
    conditional = statistics.conditional_coverage(kupiec, independence)
    return {
        "kupiec": _verdict(kupiec),
        "christoffersen": {"independence": _verdict(independence), "conditional": _verdict(conditional)},
        "traffic_light": asdict(statistics.traffic_light(count, days, confidence)),
    }


def _verdict(test: statistics.LikelihoodRatio | statistics.ShortfallTest) -> dict[str, Any]:
    return {**asdict(test), "reject_95": test.reject_95}


def _shortfall_scores(
    method: str, dates: DateArray, realized: FloatArray, var: FloatArray, shortfall: FloatArray, confidence: float
) -> tuple[dict[str, Any], list[str]]:
    """The figures that divide by ES, or null with the reason."""
    scores: dict[str, Any] = {"es_test": None, "fz_score": None}
    flat = shortfall <= 0
    if flat.any():
        said = f"{method}: es_test and fz_score are null: the expected shortfall is not above zero on {flat.sum()} days"
        return scores, [f"{said}, the first {dates[flat][0]}"]
    scores["fz_score"] = statistics.fz0_score(realized, var, shortfall, confidence)
    lower = shortfall < var * (1 - statistics.ES_BELOW_VAR_TOLERANCE)
    if lower.any():
        said = f"{method}: es_test is null: the expected shortfall is below the VaR on {lower.sum()} days"
        return scores, [f"{said}, the first {dates[lower][0]}"]
    scores["es_test"] = _verdict(statistics.acerbi_szekely_z2(realized, var, shortfall, confidence))
    return scores, []


def _series(dates: DateArray, var: FloatArray, shortfall: FloatArray, realized: FloatArray) -> list[dict[str, Any]]:
    columns = (dates.astype(str).tolist(), var.tolist(), shortfall.tolist(), realized.tolist())
    names = ("date", "var", "expected_shortfall", "realized")
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _rank(tables: list[dict[str, Any]]) -> str:
    """Writes each method's `rank`, equal where the scores are; says by which score. Scores are least for the best."""
    by = "pinball_loss" if any(table["fz_score"] is None for table in tables) else "fz_score"
    for table in tables:
        table["rank"] = 1 + sum(other[by] < table[by] for other in tables)
    return by


def _forecast_warnings(method: str, dates: DateArray, made: list[Forecast]) -> list[str]:
    """Each kind of warning once, with how often and when first: kinds differ by more than their numbers."""
    kinds: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for date, forecast in zip(dates, made, strict=True):
        for text in forecast.warnings:
            kinds[re.sub(r"[-+]?[\d.,]*\d", "#", text)].append((str(date), text))
    return [
        f"{method}, {len(found)} of {len(made)} forecasts, the first for {found[0][0]}: {found[0][1]}"
        for found in kinds.values()
    ]


def _said(left: Left, inputs: dict[str, Any], observations: int) -> list[str]:
    said = [
        f"where {symbol} has no return of its own, that of its proxy {inputs['proxy'][symbol]} stands in"
        for symbol in sorted(left.stood_in)
    ]
    if left.shortened:
        said.append(
            f"{len(left.shortened)} of {observations} forecasts rest on less than window_days {inputs['window_days']} "
            f"returns, the shortest on {min(left.shortened)}: days without the return of a position are dropped"
        )
    if left.nothing_held:
        said.append(f"on {left.nothing_held} days nothing was held: they are not tested")
    if left.missing_prices:
        said.append(f"on {left.missing_prices} days a held position lacked a price: they are not tested")
    if observations < inputs["test_days"] - left.nothing_held - left.missing_prices:
        said.append(f"{observations} days are tested, of {inputs['test_days']} asked for: there are no more")
    return said
