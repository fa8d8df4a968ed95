"""The admin as its users see it: who is signed in, what a page says, and what it says after a button."""

from datetime import date
from typing import Any

from django.test import Client

from apps.portfolios.tests.factories import make_portfolio, make_prices, make_user
from apps.strategies.models import Deployment, StrategyVersion
from apps.strategies.tests.api_factories import make_deployment, make_order, make_run

PAGES = "/admin/strategies"
DEPLOYMENT, DEPLOYMENTS = f"{PAGES}/deployment/DEPLOY_001", f"{PAGES}/deployment/"
SENT = {"_form_submitted": "True"}
# What the step "backtest" keeps; its drawdown is too deep for the usual gate.
GATES = {"sharpe": {"side": "least", "bound": 0.0}, "max_drawdown": {"side": "most", "bound": 0.5}}
FIGURES = {
    "sharpe": 1.25,
    "max_drawdown": 0.6,
    "annual_turnover": 3.0,
    "capacity": None,
    "reasons": {"capacity": "no volume is known"},
}
CURVE = [["2022-01-03", 1_000.0], ["2022-01-04", 1_100.0], ["2022-01-05", 1_050.0]]


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def staff(role: str, **fields: Any) -> Client:
    return signed_in(make_user(role, is_staff=True, **fields))


def page(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    return str(answer.content.decode())


def said_after(client: Client, path: str, **form: Any) -> str:
    """Sends a dialog's form, and reads the messages on the page that it leads to."""
    answer = client.post(path, {**SENT, **form})
    assert answer.status_code == 200, answer.content
    assert "HX-Redirect" in answer.headers, answer.content.decode()
    return page(client, answer.headers["HX-Redirect"])


def running(version: StrategyVersion) -> Deployment:
    """DEPLOY_001 of it, active on BOOK, with a run and an order."""
    make_prices()
    deployment = make_deployment(version, make_portfolio("BOOK"))
    make_order(make_run(deployment, date(2022, 1, 4)))
    return deployment
