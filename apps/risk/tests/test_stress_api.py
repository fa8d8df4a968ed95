"""`POST analytics/risk/stress` and `GET analytics/risk/scenarios`: what is taken, what is refused, what is listed."""

from typing import Any

import pytest

from apps.portfolios.models import Instrument
from apps.portfolios.tests.factories import client_of, make_portfolio, make_prices
from apps.risk.scenarios import SCENARIOS
from apps.tasks.models import Task

pytestmark = pytest.mark.django_db

DEFAULTS = {
    "portfolio_id": "BOOK",
    "scenarios": [],
    "shocks": [],
    "reverse": None,
    "window_days": 500,
    "as_of": None,
    "proxy": {},
    "missing": "error",
}


@pytest.fixture
def book() -> None:
    make_prices()
    Instrument.objects.filter(pk="AAA").update(sector="Energy")
    Instrument.objects.filter(pk="BBB").update(sector="Utilities")
    make_portfolio("BOOK")


def post(**body: Any) -> Any:
    url = "/api/v1/sprint3/analytics/risk/stress"
    return client_of("trader").post(url, {"portfolio_id": "BOOK", **body}, format="json")


def test_stress_is_accepted_as_a_task_with_its_defaults(book):
    answer = post(scenarios=["covid_2020"])
    assert answer.status_code == 202
    assert Task.objects.get(pk=answer.json()["task_id"]).inputs == {**DEFAULTS, "scenarios": ["covid_2020"]}


def test_shocks_and_reverse_reach_the_task_as_they_were_asked(book):
    asked = {"shocks": [{"name": "mine", "sectors": {"Energy": -0.3}}], "reverse": {"loss_pct": 0.1}}
    inputs = Task.objects.get(pk=post(**asked).json()["task_id"]).inputs
    assert inputs["shocks"] == [
        {"name": "mine", "symbols": {}, "sectors": {"Energy": -0.3}, "all": None, "benchmark": None}
    ]
    assert inputs["reverse"] == {"loss": None, "loss_pct": 0.1}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"scenarios": ["covid"]}, "covid: no such scenario; expected some of gulf_1990"),
        ({"shocks": [{"name": "a", "all": -1.5}]}, "-1.5 is a fall of more than all"),
        ({"shocks": [{"name": "a", "all": 20}]}, "20.0 is a rise of more than 1,000 %"),
        ({"shocks": [{"name": "a", "symbols": {"AAA": "x"}}]}, "is not a number"),
        ({"shocks": [{"name": "a", "symbols": {"ZZZ": -0.1}}]}, "'ZZZ': no such instrument"),
        ({"shocks": [{"name": "a", "symbols": {"\0": -0.1}}]}, "no such instrument"),
        ({"shocks": [{"name": "a", "sectors": {"Enrgy": -0.1}}]}, "expected some of 'Energy', 'Utilities'"),
        ({"shocks": [{"name": "a"}]}, "'a' moves nothing"),
        ({"shocks": [{"name": "a", "all": -0.1, "benchmark": -0.1}]}, "give one of the two"),
        ({"shocks": [{"name": "a", "all": -0.1}] * 2}, "a: the name of more than one scenario"),
        ({"shocks": [{"name": "covid_2020", "all": -0.1}]}, "expected one of its own"),
        ({"shocks": [{"name": "a", "al": -0.1}]}, "al"),
        ({"shocks": [{"name": str(n), "all": -0.1} for n in range(21)]}, "no more than 20"),
        ({"reverse": {}}, "Expected one of `loss` and `loss_pct`"),
        ({"reverse": {"loss": 1, "loss_pct": 0.1}}, "Expected one of"),
        ({"reverse": {"loss": 0}}, "0.0 is no loss"),
        ({"reverse": {"loss_pct": -0.1}}, "-0.1 is no loss"),
        ({"scenario": ["covid_2020"]}, "scenario"),
    ],
)
def test_request_that_makes_no_sense_is_refused_with_what_would(book, body, said):
    answer = post(**body)
    assert answer.status_code == 400
    assert said in answer.json()["errors"][0]["detail"], answer.json()
    assert not Task.objects.exists()


def test_scenarios_are_listed_for_viewers():
    answer = client_of("viewer").get("/api/v1/sprint3/analytics/risk/scenarios")
    assert (answer.status_code, answer.json()["count"]) == (200, 10)
    assert answer.json()["results"][8] == {
        "name": "covid_2020",
        "title": "Covid-19",
        "start": "2020-02-19",
        "end": "2020-03-23",
        "description": SCENARIOS["covid_2020"].description,
    }
    assert client_of("viewer").get("/api/v1/sprint3/analytics/risk/scenarios?nme=x").status_code == 400
    assert client_of(None).get("/api/v1/sprint3/analytics/risk/scenarios").status_code == 403
