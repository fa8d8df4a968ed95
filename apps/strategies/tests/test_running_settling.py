"""A live deployment that has ended: its broker is told so again, and what was filled before is booked all the same."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from apps.portfolios.tests.factories import make_portfolio, make_prices, moment, trading_days
from apps.strategies.models import Deployment
from apps.strategies.running import due, settling
from apps.strategies.running.due import submit_due_runs
from apps.strategies.states import end_deployment
from apps.strategies.tests.running_factories import RUNNING_SETTINGS, make_active, run, trades_of
from apps.strategies.tests.test_brokers import Fill, SlowBroker
from apps.tasks.models import Task

pytestmark = pytest.mark.django_db

DAYS = trading_days(3)


@pytest.fixture(autouse=True)
def broker(settings) -> type[SlowBroker]:
    live = {"LIVE_BROKER": f"{SlowBroker.__module__}.SlowBroker", "MAX_PRICE_AGE_SECONDS": 0}  # closes are of 2022
    for name, value in {**RUNNING_SETTINGS, **live}.items():
        setattr(settings, name, value)
    SlowBroker.working.clear()
    SlowBroker.told.clear()
    return SlowBroker


def ended(environment: str = "live", ended_before: timedelta = timedelta(0)) -> Deployment:
    """It has asked for 50 AAA and was rolled back; callbacks after commit do not come in a test: nobody was told."""
    make_prices({"AAA": [10.0, 11.0]})
    deployment = make_active(
        make_portfolio(),
        parameters={"weights": {"AAA": 0.55}},
        symbols=["AAA"],
        environment=environment,
        start_date=DAYS[1],
    )
    run(deployment)
    end_deployment(deployment.pk, "rolled_back", "for the test")
    Task.objects.all().delete()
    Deployment.objects.update(ended_at=timezone.now() - ended_before)
    deployment.refresh_from_db()
    return deployment


def test_broker_is_told_once_more_that_nothing_is_open_and_asked_what_it_filled_before(broker):
    deployment = ended()
    order = deployment.orders.get()
    broker.told.append(Fill(order.pk, Decimal(50), Decimal("11.5"), Decimal(0), "E1", moment(DAYS[1], 15)))
    assert submit_due_runs() == 1
    result = run(deployment)
    run(deployment)  # the broker tells of E1 as long as it is asked
    assert broker.working == {deployment.pk: []}
    assert [trade[2:] for trade in trades_of(deployment.portfolio)] == [(Decimal(50), Decimal("11.5"))]
    order.refresh_from_db()
    assert (order.status, deployment.status, result["days"]) == ("cancelled", "rolled_back", 0)


def test_broker_of_an_ended_deployment_is_asked_again_after_a_while():
    deployment = ended()
    run(deployment)
    assert submit_due_runs() == 0
    Task.objects.update(finished_at=timezone.now() - timedelta(seconds=due.RETRY_SECONDS + 1))
    assert submit_due_runs() == 1
    assert submit_due_runs() == 0  # while that one is under way


@pytest.mark.parametrize(
    "how",
    [{"ended_before": timedelta(days=settling.SETTLING_DAYS, seconds=1)}, {"environment": "paper"}],
    ids=["long ago", "paper"],
)
def test_one_that_ended_long_ago_or_on_paper_is_left_alone(broker, how):
    deployment = ended(**how)
    broker.working.clear()
    assert submit_due_runs() == 0
    run(deployment)
    assert broker.working == {}


def test_one_that_has_taken_nothing_back_is_left_alone():
    deployment = ended()
    deployment.orders.all().delete()
    assert submit_due_runs() == 0
