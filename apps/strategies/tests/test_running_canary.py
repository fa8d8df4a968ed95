"""A canary: a share of the new version, the rest as the version before it, then all of the new one."""

import pytest

from apps.portfolios.tests.factories import make_portfolio, make_prices, moment, trading_days
from apps.strategies.sandbox import StrategyRaisedError
from apps.strategies.tests.api_factories import make_run
from apps.strategies.tests.running_factories import BROKEN, RUNNING_SETTINGS, make_active, run

pytestmark = pytest.mark.django_db

DAYS = trading_days(12)

ENDLESS = """
def target_weights(prices, params):
    while True:
        pass
"""


@pytest.fixture(autouse=True)
def running_settings(settings):
    for name, value in RUNNING_SETTINGS.items():
        setattr(settings, name, value)


@pytest.fixture(autouse=True)
def prices():
    make_prices({"AAA": [10.0] * 12, "BBB": [50.0] * 12, "CCC": [20.0] * 12})


def _decided(deployment) -> list[tuple]:
    return list(deployment.runs.order_by("day").values_list("day", "share", "weights"))


def _before(portfolio, **fields):
    """What ran there before, with its own symbols."""
    return make_active(portfolio, symbols=["BBB", "CCC"], status="superseded", ended_at=moment(), **fields)


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


@pytest.mark.parametrize(
    ("code", "said"),
    [(BROKEN, "the third input is missing"), (ENDLESS, "CPU time")],
    ids=["its process goes on", "its process has ended"],
)
def test_version_before_that_fails_is_held_as_it_was_last_and_not_held_against_the_canary(settings, code, said):
    settings.SANDBOX_CPU_SECONDS = 1
    before = _before(make_portfolio(), code=code)
    weights = {"BBB": 0.4, "CCC": 0.4}
    make_run(before, DAYS[0], weights=weights)
    make_run(before, DAYS[1], weights=None, status="failed")
    deployment = make_active(
        before.portfolio, previous=before, canary_share=0.25, canary_days=2, start_date=DAYS[9], symbols=["AAA", "BBB"]
    )
    run(deployment)
    mixed = pytest.approx({"AAA": 0.125, "BBB": 0.375, "CCC": 0.3})
    assert _decided(deployment) == [
        (DAYS[9], 0.25, mixed),
        (DAYS[10], 0.25, mixed),
        (DAYS[11], 1.0, {"AAA": 0.5, "BBB": 0.3}),
    ]
    first = deployment.runs.get(day=DAYS[9])
    assert f"{before.pk}, which ran before, failed, and is held as it was last" in first.log
    assert said in first.error["detail"]
    assert deployment.runs.get(day=DAYS[11]).error is None
    assert (deployment.status, deployment.failures_in_row, deployment.last_error) == ("active", 0, "")


def test_version_before_that_fails_and_never_succeeded_is_held_in_cash():
    before = _before(make_portfolio(), code=BROKEN)
    deployment = make_active(before.portfolio, previous=before, canary_share=0.25, canary_days=2, start_date=DAYS[11])
    run(deployment)
    assert _decided(deployment) == [(DAYS[11], 0.25, {"AAA": 0.125, "BBB": 0.075})]


def test_weight_of_the_version_before_without_a_price_is_its_failure():
    """CCC has no close on the last day: the part of it is left in cash, as in what that version asked for before."""
    make_prices({"AAA": [10.0] * 14, "BBB": [50.0] * 14, "CCC": [20.0] * 12})
    before = _before(make_portfolio(), parameters={"weights": {"BBB": 0.4, "CCC": 0.4}})
    make_run(before, DAYS[0], weights={"BBB": 0.2, "CCC": 0.2})
    start = trading_days(14)[13]
    deployment = make_active(before.portfolio, previous=before, canary_share=0.5, canary_days=2, start_date=start)
    run(deployment)
    assert _decided(deployment) == [(start, 0.5, pytest.approx({"AAA": 0.25, "BBB": 0.25}))]
    assert "It gives a weight to CCC, which has no price on 2022-01-20" in deployment.runs.get().error["detail"]


def test_failure_of_the_canary_itself_counts():
    before = _before(make_portfolio(), parameters={"weights": {"BBB": 0.4}})
    deployment = make_active(before.portfolio, BROKEN, {}, previous=before, canary_share=0.25, canary_days=2)
    with pytest.raises(StrategyRaisedError):
        run(deployment)
    assert deployment.failures_in_row == 1


def test_canary_counts_its_days_over_several_tasks():
    deployment = make_active(make_portfolio(), start_date=DAYS[8], canary_share=0.5, canary_days=5)
    run(deployment)
    assert {share for _, share, _ in _decided(deployment)} == {0.5}  # four days
    make_prices({"AAA": [10.0] * 14, "BBB": [50.0] * 14})
    run(deployment)
    assert [share for _, share, _ in _decided(deployment)] == [0.5] * 5 + [1.0]
