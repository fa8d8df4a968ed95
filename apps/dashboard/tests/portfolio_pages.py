"""A book on a portfolio's page: its results computed as a worker would, its page read as a browser would."""

import json
import re
from html import unescape
from typing import Any

from django.test import Client, override_settings

from apps.portfolios.models import Portfolio
from apps.portfolios.tests.factories import make_portfolio, make_prices, make_trade, make_user, trading_days
from apps.risk.analysis import run_analysis
from apps.risk.backtests import run_backtest
from apps.risk.stress import run_stress
from apps.tasks.execution import execute, take
from apps.tasks.tests.factories import make_task

DAYS = trading_days(8)
# Returns: +10 %, -10 %, +20 %, -5 %, +10 %, -20 %, +5 %.
CLOSES = [100.0, 110.0, 99.0, 118.8, 112.86, 124.146, 99.3168, 104.28264]
COMMON = {"window_days": 4, "as_of": None, "proxy": {}, "missing": "error"}
ANALYSIS = {**COMMON, "method": "historical", "confidence": 0.75, "horizon_days": 1, "horizon_method": "sqrt_time"}
BACKTEST = {**COMMON, "methods": ["historical"], "confidence": 0.75, "test_days": 3, "positions": "ledger"}
STRESS = {**COMMON, "scenarios": [], "shocks": [], "reverse": None}


def make_book() -> Portfolio:
    """100 AAA bought at 100 out of 100,000."""
    make_prices({"AAA": CLOSES})
    portfolio = make_portfolio("BOOK", initial_cash=100_000)
    make_trade(portfolio, "AAA", 100, 100)
    portfolio.refresh_from_db()
    return portfolio


def make_spread() -> Portfolio:
    """Worth 11,286 in AAA and -10,098 in BBB; its P&L of four days is 1128.60, -1330.56, 2358.18, -564.30."""
    make_prices({"AAA": CLOSES[:5], "BBB": [50.0, 50.0, 51.0, 50.49, 50.49]})
    portfolio = make_portfolio("BOOK", initial_cash=100_000)
    make_trade(portfolio, "AAA", 100, 100)
    make_trade(portfolio, "BBB", -200, 50)
    portfolio.refresh_from_db()
    return portfolio


# A lease is renewed on another connection, to which a test's row is not committed: none is to fall due here.
@override_settings(TASK_LEASE_SECONDS=300)
def computed(kind: str, run: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    task = make_task(kind, inputs, portfolio_id="BOOK")
    execute(take(str(task.pk), "w1"), run)
    task.refresh_from_db()
    assert task.error is None, task.error
    result: dict[str, Any] = task.result
    return result


def analyze(**parameters: Any) -> dict[str, Any]:
    return computed("risk.analyze", run_analysis, {**ANALYSIS, **parameters})


def backtest(**parameters: Any) -> dict[str, Any]:
    return computed("risk.backtest", run_backtest, {**BACKTEST, **parameters})


def stress(*shocks: tuple[str, float]) -> dict[str, Any]:
    moves = [{"name": name, "symbols": {}, "sectors": {}, "all": size, "benchmark": None} for name, size in shocks]
    return computed("risk.stress", run_stress, {**STRESS, "shocks": moves})


def signed_in(role: str = "viewer") -> Client:
    client = Client()
    client.force_login(make_user(role))
    return client


def fragment(target: str, client: Client | None = None, **asked: Any) -> str:
    headers = {"HX-Request": "true", "HX-Target": target}
    answer = (client or signed_in()).get("/portfolios/BOOK", asked, headers=headers)
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def words(html: str) -> str:
    """What is to be read, without what is written for scripts."""
    without_data = re.sub(r"<script.*?</script>", " ", html, flags=re.DOTALL)
    without_spans = re.sub(r"</?span[^>]*>", "", without_data)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", without_spans)).split())


def data(html: str, name: str) -> Any:
    found = re.search(rf'<script id="{name}" type="application/json">(.*?)</script>', html, flags=re.DOTALL)
    assert found, html
    return json.loads(found[1])


def cells(html: str, row: int = 0) -> list[str]:
    """Of a row of the first table's body."""
    body = html.partition("<tbody>")[2].partition("</tbody>")[0]
    found = re.findall(r"<tr>(.*?)</tr>", body, flags=re.DOTALL)[row]
    return [words(cell) for cell in re.findall(r"<t[hd].*?>(.*?)</t[hd]>", found, flags=re.DOTALL)]
