"""What is computed once and answered from the cache: analyses of equal inputs, and pages of stored figures."""

from typing import Any

import pytest

from apps.portfolios.models import Snapshot
from apps.portfolios.replays import replay
from apps.portfolios.tests.factories import client_of, make_portfolio, make_prices, make_trade
from apps.risk.analysis import compute_once, run_analysis
from apps.risk.models import RiskMetric
from apps.tasks.execution import execute, take
from apps.tasks.models import Task
from apps.tasks.tests.factories import make_task
from nautilus.cache import control, store

pytestmark = pytest.mark.django_db

METRICS = "/api/v1/sprint3/analytics/risk/metrics/BOOK"
ASKED = {
    "method": "historical",
    "confidence": 0.75,
    "horizon_days": 1,
    "horizon_method": "sqrt_time",
    "window_days": 4,
    "as_of": None,
}


@pytest.fixture(autouse=True)
def book():
    store.redis_of_answers().flushdb()
    make_prices()
    portfolio = make_portfolio("BOOK")
    make_trade(portfolio)
    yield portfolio
    store.redis_of_answers().flushdb()


def analyze(**fields: Any) -> Task:
    task = make_task("risk.analyze", ASKED, portfolio_id="BOOK", **fields)
    execute(take(str(task.pk), "w1"), run_analysis)
    task.refresh_from_db()
    assert task.status == "succeeded", task.error
    return task


def misses() -> int:
    return control.status()["misses"]


def test_equal_analysis_is_computed_once_and_stored_for_each_task():
    first, second = analyze(), analyze()
    assert first.result == second.result
    assert misses() == 1
    assert set(RiskMetric.objects.values_list("task_id", flat=True)) == {first.pk, second.pk}
    assert Snapshot.objects.count() == 1


def test_booked_trade_and_new_prices_are_seen_at_once(book):
    results = [analyze().result]
    make_trade(book, "BBB", 1, 50)
    results.append(analyze().result)
    make_prices({"AAA": [10.0, 11.0, 12.0, 13.0, 20.0]})
    results.append(analyze().result)
    assert misses() == 3
    assert len({result["snapshot_id"] for result in results}) == 3


def test_retried_analysis_is_computed_anew(book):
    first = analyze()
    assert analyze(retry_of=first).result == first.result
    told = control.status()
    assert (told["misses"], told["hits"]) == (1, 0)


def test_replay_computes_and_does_not_ask_the_cache():
    analyze()
    before = control.status()
    assert replay(Snapshot.objects.get())["reproduced"]
    assert control.status() == before


def test_analysis_is_kept_under_the_versions_of_ledger_and_prices(book):
    analyze()
    (key,) = [key.decode() for key in store.redis_of_answers().scan_iter("risk:*")]
    book.refresh_from_db()
    snapshot = Snapshot.objects.get()
    assert key.split(":")[:3] == ["risk", "analyze", f"{book.ledger_version}-{snapshot.inputs['price_version']}"]
    assert compute_once.name == "analyze"


def test_equal_page_of_figures_is_a_hit_until_another_figure_is_stored():
    client = client_of("viewer")
    analyze()
    first, second = client.get(METRICS), client.get(METRICS)
    assert (first.headers["X-Cache"], second.headers["X-Cache"]) == ("miss", "hit")
    assert first.json() == second.json()
    assert first.headers["Cache-Status"] == "Nautilus; fwd=miss"
    assert second.headers["Cache-Status"].startswith("Nautilus; hit; ttl=")
    assert second.headers["Age"] == "0"
    analyze()
    third = client.get(METRICS)
    assert (third.headers["X-Cache"], third.json()["count"]) == ("miss", 2)


def test_kept_page_is_not_there_for_another_desk():
    analyze()
    assert client_of("viewer").get(METRICS).status_code == 200
    stranger = client_of("viewer", groups=["another desk"])
    assert stranger.get(METRICS).status_code == 404
    assert client_of("operator").get(METRICS).status_code == 403


def test_pages_differ_by_their_parameters():
    client = client_of("viewer")
    analyze()
    assert client.get(METRICS).json()["count"] == 1
    assert client.get(f"{METRICS}?method=parametric").json()["count"] == 0
    assert client.get(f"{METRICS}?methot=parametric").status_code == 400


def test_old_page_is_given_while_it_is_made_anew_and_says_so():
    client = client_of("viewer")
    analyze()
    control.enable_aggressive_mode(3600)
    client.get(METRICS)
    redis = store.redis_of_answers()
    (key,) = list(redis.scan_iter("risk:metrics:*"))
    redis.hset(key, "at", int(redis.hget(key, "at")) - 5_000_000)  # 300 s x 12 are 3,600 s, give or take a tenth
    # As if another process computed it anew: a thread of this one would not see the test's transaction.
    redis.set(f"cache:lock:{key.decode()}", "another:0", px=60_000)
    answer = client.get(METRICS)
    assert (answer.status_code, answer.headers["X-Cache"]) == (200, "stale")
    assert int(answer.headers["Age"]) >= 5_000
    assert "; ttl=-" in answer.headers["Cache-Status"]
