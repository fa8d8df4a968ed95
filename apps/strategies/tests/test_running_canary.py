"""A canary: a share of the new version, the rest as the version before it, then all of the new one."""

import pytest

from apps.portfolios.tests.factories import make_portfolio, make_prices, moment, trading_days
from apps.strategies.tests.running_factories import RUNNING_SETTINGS, make_active, run

pytestmark = pytest.mark.django_db

DAYS = trading_days(12)


@pytest.fixture(autouse=True)
def running_settings(settings):
    for name, value in RUNNING_SETTINGS.items():
        setattr(settings, name, value)


@pytest.fixture(autouse=True)
def prices():
    make_prices({"AAA": [10.0] * 12, "BBB": [50.0] * 12, "CCC": [20.0] * 12})


def _decided(deployment) -> list[tuple]:
    return list(deployment.runs.order_by("day").values_list("day", "share", "weights"))


def test_share_of_the_weights_while_nothing_was_before_and_the_rest_is_cash():
    deployment = make_active(make_portfolio(), canary_share=0.25, canary_days=2)
    run(deployment)
    quarter, whole = {"AAA": 0.125, "BBB": 0.075}, {"AAA": 0.5, "BBB": 0.3}
    assert _decided(deployment)[:3] == [(DAYS[0], 0.25, quarter), (DAYS[1], 0.25, quarter), (DAYS[2], 1.0, whole)]


def test_rest_of_the_weights_is_of_the_version_before_with_its_own_symbols():
    portfolio = make_portfolio()
    before = make_active(
        portfolio,
        parameters={"weights": {"BBB": 0.4, "CCC": 0.4}},
        symbols=["BBB", "CCC"],
        status="superseded",
        ended_at=moment(),
    )
    deployment = make_active(portfolio, previous=before, canary_share=0.25, canary_days=1)
    run(deployment)
    first, second = _decided(deployment)[:2]
    assert first[1:] == (0.25, pytest.approx({"AAA": 0.125, "BBB": 0.375, "CCC": 0.3}))
    assert second[1:] == (1.0, {"AAA": 0.5, "BBB": 0.3})
    # CCC, which the new version does not know, is sold when the canary is over.
    assert set(portfolio.positions.values_list("instrument_id", flat=True)) == {"AAA", "BBB"}


def test_end_of_the_canary_is_a_decision_whatever_the_schedule_says():
    """Monthly, five days of canary: the rest follows on the sixth day, and nothing else is decided that month."""
    deployment = make_active(make_portfolio(), schedule="monthly", canary_share=0.5, canary_days=5)
    run(deployment)
    assert [(day, share) for day, share, _ in _decided(deployment)] == [(DAYS[0], 0.5), (DAYS[5], 1.0)]


def test_canary_counts_its_days_over_several_tasks():
    deployment = make_active(make_portfolio(), start_date=DAYS[8], canary_share=0.5, canary_days=5)
    run(deployment)
    assert {share for _, share, _ in _decided(deployment)} == {0.5}  # four days
    make_prices({"AAA": [10.0] * 14, "BBB": [50.0] * 14})
    run(deployment)
    assert [share for _, share, _ in _decided(deployment)] == [0.5] * 5 + [1.0]
