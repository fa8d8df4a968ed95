"""A platform on which every page has something to show: limits that hold, warn and are breached, results, channels."""

from functools import partial
from typing import Any

import httpx

from tests.browser_pages.walked import BOOK, MERGED
from tests.running import wait_until

RISK = "/api/v1/sprint3/risk"
ANALYTICS = "/api/v1/sprint3/analytics"
STRATEGY = "/api/v1/sprint3/strategy"
# Beside VaR at 99 %, which is breached: expected shortfall warns, the others hold.
LIMITS: tuple[tuple[str, str | None, float], ...] = (
    ("expected_shortfall_975", None, 107_000),
    ("gross_exposure", None, 5e6),
    ("leverage", None, 2.0),
    ("drawdown", None, 0.5),
    ("position_notional", "AAPL", 2e6),
    ("concentration", None, 0.9),
)
SHARE_OF_A_BREACH = 0.9  # of what is used now
LONG = "SHARE_CLASS_WITH_A_NAME_THAT_IS_LONG"
LONG_NAME = "Global macro, long/short, currency-hedged share class for institutional investors (seeded 2022)"
CODE = """\
def target_weights(prices, params):
    latest = prices.iloc[-1].dropna()
    share = params["gross"] / len(latest)  # {gross:.0%} of the book
    return dict.fromkeys(latest.index, share)
"""
JOBS: dict[str, dict[str, Any]] = {
    f"{ANALYTICS}/risk/analyze": {},
    f"{ANALYTICS}/risk/stress": {},
    f"{ANALYTICS}/risk/backtest": {},
    f"{ANALYTICS}/performance": {"start_date": "2015-01-02", "end_date": "2022-12-28", "benchmark": "SP500"},
}


def furnish(client: httpx.Client) -> None:
    """Once a platform: what is there already stays as it is."""
    tasks = [_accepted(client, path, {"portfolio_id": BOOK, **inputs}) for path, inputs in JOBS.items()]
    if client.get(f"/api/v1/portfolios/{LONG}").status_code == 404:
        terms = {"base_currency": "USD", "initial_cash": 250_000, "inception_date": "2022-01-03"}
        _answer(client.post("/api/v1/portfolios", json={"id": LONG, "name": LONG_NAME, **terms}))
    set_limits(client)
    post_colliding_versions(client)
    channels = _answer(client.get(f"{RISK}/alerts/{BOOK}"))["channels"]
    if not channels:
        channel = {"kind": "email", "target": "risk@example.com", "min_severity": "warning"}
        _answer(client.post(f"{RISK}/alerts/{BOOK}/channels", json=channel))
    for task_id in tasks:
        ended = wait_until(partial(_ended, client, task_id), 120, f"task {task_id} to end")
        assert ended["status"] == "succeeded", ended


def set_limits(client: httpx.Client) -> None:
    there = _answer(client.get(f"{RISK}/limits", params={"portfolio_id": BOOK}))["results"]
    kinds = {limit["kind"] for limit in there}
    if "var_99" not in kinds:
        make_limit(client, "var_99", round(SHARE_OF_A_BREACH * var_99(client), 0))
    for kind, symbol, threshold in LIMITS:
        if kind not in kinds:
            make_limit(client, kind, threshold, symbol)


def post_colliding_versions(client: httpx.Client) -> None:
    """Versions 2 and 3 both go on from 1, and change the same line and the same parameter."""
    if client.get(f"{STRATEGY}/versions/{MERGED}").status_code != 404:
        return
    _answer(client.post(f"{STRATEGY}/strategies", json={"id": MERGED, "name": "Two hands on one line"}))
    for parent, gross in ((None, 1.0), (1, 0.8), (1, 0.6)):
        version = {"code": CODE.format(gross=gross), "parameters": {"gross": gross}, "message": f"Gross {gross}"}
        answer = client.post(f"{STRATEGY}/versions/{MERGED}", json={"parent_version": parent, **version})
        assert answer.status_code == (409 if gross == 0.6 else 201), answer.text


def make_limit(client: httpx.Client, kind: str, threshold: float, symbol: str | None = None) -> dict[str, Any]:
    terms = {"portfolio_id": BOOK, "kind": kind, "threshold_value": threshold}
    return _answer(client.post(f"{RISK}/limits", json=terms | ({"symbol": symbol} if symbol else {})))


def var_99(client: httpx.Client) -> float:
    """As it was computed last."""
    rows = _answer(client.get(f"{ANALYTICS}/risk/metrics/{BOOK}"))["results"]
    return next(float(row["var"]) for row in rows if row["confidence"] == 0.99)


def _accepted(client: httpx.Client, path: str, inputs: dict[str, Any]) -> str:
    return str(_answer(client.post(path, json=inputs))["task_id"])


def _ended(client: httpx.Client, task_id: str) -> dict[str, Any] | None:
    task = _answer(client.get(f"/api/v1/tasks/{task_id}", params={"wait": 20}))
    return task if task["status"] != "processing" else None


def _answer(response: httpx.Response) -> dict[str, Any]:
    assert response.is_success, f"{response.request.method} {response.request.url}: {response.text}"
    answer: dict[str, Any] = response.json()
    return answer
