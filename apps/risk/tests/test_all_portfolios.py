"""Every open portfolio at once: the figures of each alone, stored once, and a word on each that has none."""

from typing import Any

import pytest
from django.core.management import call_command

from apps.portfolios.ledger import close_portfolio
from apps.portfolios.matrix import load_current_matrix
from apps.portfolios.models import Instrument, Portfolio, Snapshot
from apps.portfolios.price_import import import_prices
from apps.portfolios.replays import replay
from apps.portfolios.tests.factories import (
    client_of,
    make_portfolio,
    make_prices,
    make_trade,
    trading_days,
)
from apps.risk import all_portfolios
from apps.risk.analysis import run_analysis
from apps.risk.batches import analyze_books
from apps.risk.many_books import read_books
from apps.risk.models import RiskMetric
from apps.tasks.execution import execute, take
from apps.tasks.models import Task
from apps.tasks.tests.factories import make_task
from workers import maintenance

pytestmark = pytest.mark.django_db

URL = "/api/v1/sprint3/analytics/risk/analyze-all"
SMALL = {"window_days": 4, "confidences": [0.75, 0.9]}
CLOSES = {
    "AAA": [100.0, 110.0, 99.0, 118.8, 112.86],
    "BBB": [50.0, 50.0, 51.0, 50.49, 50.49],
    "NEW": [None, None, None, 10.0, 11.0],
}


def analyze_all(**parameters: Any) -> Task:
    """The task, its parts and the joining, one after the other in this process."""
    task = make_task(all_portfolios.KIND, {**SMALL, **parameters})
    execute(take(str(task.pk), "w1"), all_portfolios.run_all)
    for part in task.parts.order_by("part_number"):
        execute(take(str(part.pk), "w1"), all_portfolios.run_chunk)
    execute(take(str(task.pk), "w1"), all_portfolios.run_all) if task.parts.exists() else None
    task.refresh_from_db()
    return task


def alone(portfolio_id: str, confidence: float, window_days: int) -> dict[str, Any]:
    asked = {"method": "historical", "confidence": confidence, "horizon_days": 1, "horizon_method": "sqrt_time"}
    task = make_task("risk.analyze", {**asked, "window_days": window_days}, portfolio_id=portfolio_id)
    execute(take(str(task.pk), "w1"), run_analysis)
    task.refresh_from_db()
    return task.result


def rows_of(task: Task, portfolio_id: str) -> list[RiskMetric]:
    return list(RiskMetric.objects.filter(task=task, portfolio_id=portfolio_id).order_by("confidence"))


@pytest.fixture
def books():
    make_prices(CLOSES)
    long = make_portfolio("LONG", initial_cash=100_000)
    make_trade(long, "AAA", 100, 100)
    make_trade(long, "BBB", -200, 50)
    short = make_portfolio("SHORT", initial_cash=100_000)
    make_trade(short, "AAA", -50, 100)


def test_each_portfolio_has_the_figures_of_its_own_analysis(books):
    task = analyze_all()
    assert (task.result["portfolios"], task.result["computed"], task.result["refused"]) == (2, 2, [])
    for portfolio_id in ("LONG", "SHORT"):
        for row in rows_of(task, portfolio_id):
            one = alone(portfolio_id, row.confidence, 4)
            assert row.portfolio_value == one["portfolio_value"]
            assert (str(row.as_of), row.currency, row.observations) == (one["as_of"], one["currency"], 4)
            gross = sum(abs(component["value"]) for component in one["components"])
            assert row.var == pytest.approx(one["var"], abs=1e-11 * gross)
            assert row.expected_shortfall == pytest.approx(one["expected_shortfall"], abs=1e-11 * gross)
            assert row.var_pct == row.var / row.portfolio_value


def test_sample_portfolios_have_their_worked_figures():
    call_command("load_sample_book", verbosity=0)
    task = analyze_all(**all_portfolios.DEFAULTS)
    worked = {"PORTFOLIO_001": (97_010.09, 118_440.60), "PORTFOLIO_002": (137_609.05, 163_743.04),
              "PORTFOLIO_003": (65_040.99, 75_430.12)}  # shared/data/README.md  # fmt: skip
    for portfolio_id, (var, shortfall) in worked.items():
        row = rows_of(task, portfolio_id)[-1]
        assert row.confidence == 0.99
        assert (round(row.var, 2), round(row.expected_shortfall, 2)) == (var, shortfall)


def test_chunks_share_the_work_and_change_no_bit(books, settings):
    at_once = {(row.portfolio_id, row.confidence): (row.var, row.expected_shortfall)
               for row in RiskMetric.objects.filter(task=analyze_all())}  # fmt: skip
    settings.RISK_CHUNK_PORTFOLIOS = 1
    task = analyze_all()
    assert task.result["chunks"] == 2
    apart = RiskMetric.objects.filter(task=task)
    assert {(row.portfolio_id, row.confidence): (row.var, row.expected_shortfall) for row in apart} == at_once


def test_chunk_ends_where_its_positions_are_enough(books, settings):
    settings.RISK_CHUNK_POSITIONS = 2
    assert analyze_all().result["chunks"] == 2


def test_portfolio_without_figures_is_named_with_its_reason_and_stops_no_other(books):
    make_portfolio("EMPTY", initial_cash=1000)
    young = make_portfolio("YOUNG", initial_cash=1000)
    make_trade(young, "NEW", 10, 10, day=trading_days(5)[3])
    Instrument.objects.filter(pk="BBB").update(currency="EUR")
    result = analyze_all().result
    assert (result["computed"], result["refused_count"]) == (1, 3)
    assert {one["portfolio_id"]: one["code"] for one in result["refused"]} == {
        "EMPTY": "no_positions",
        "LONG": "currency_mismatch",
        "YOUNG": "insufficient_history",
    }
    assert any("NEW has 1" in one["detail"] for one in result["refused"])


def test_closed_portfolio_is_left_out(books):
    close_portfolio(make_portfolio("GONE", initial_cash=1000).pk)
    assert analyze_all().result["portfolios"] == 2


def test_no_portfolio_at_all_is_an_empty_result():
    make_prices(CLOSES)
    result = analyze_all().result
    assert (result["portfolios"], result["chunks"], result["largest"]) == (0, 0, [])


def test_no_prices_at_all_is_a_clear_error():
    assert analyze_all().error["code"] == "no_prices"


def test_books_on_calendars_of_their_own_are_each_measured_on_theirs():
    days = trading_days(8)
    rows = [(day, "AAA", 100.0 + 3 * n) for n, day in enumerate(days) if n % 2 == 0]
    rows += [(day, "BBB", 50.0 + 7 * (n % 3)) for n, day in enumerate(days)]
    rows += [(day, "IDX", 10.0 + n) for n, day in enumerate(days) if n != 3]
    text = "date,symbol,close\n" + "\n".join(f"{day},{symbol},{close}" for day, symbol, close in rows)
    import_prices(text.encode(), "calendars.csv")
    even = make_portfolio("EVEN", initial_cash=1000)
    make_trade(even, "AAA", 1, 100)
    both = make_portfolio("BOTH", initial_cash=1000, benchmark="IDX")
    make_trade(both, "BBB", 1, 50)
    late = make_portfolio("LATE", initial_cash=1000, benchmark="AAA")  # its benchmark ends a day before it
    make_trade(late, "BBB", 1, 50)
    task = analyze_all(window_days=3)
    assert task.result["computed"] == 3
    for portfolio_id in ("EVEN", "BOTH", "LATE"):
        one, row = alone(portfolio_id, 0.75, 3), rows_of(task, portfolio_id)[0]
        assert (str(row.as_of), row.var) == (one["as_of"], pytest.approx(one["var"]))


def test_book_is_valued_on_its_latest_common_day_and_the_snapshot_says_so():
    make_prices({"AAA": [1.0, 2.0, 3.0, 4.0, 5.0], "BBB": [1.0, 2.0, 1.0, 2.0, None]})
    mixed = make_portfolio("MIXED", initial_cash=1000)
    make_trade(mixed, "AAA", 1, 1)
    make_trade(mixed, "BBB", 1, 1)
    analyze_all(window_days=3)
    result = Snapshot.objects.get(kind=all_portfolios.KIND).result
    assert result["as_of"] == str(trading_days(5)[3])
    assert "prices run to" in result["warnings"][0]


def test_book_worth_less_than_nothing_has_figures_but_no_percentages_and_comes_first(books):
    owing = make_portfolio("OWING", initial_cash=100)
    make_trade(owing, "AAA", -100, 10)
    result = analyze_all().result
    assert result["largest"][0]["portfolio_id"] == "OWING"
    assert result["largest"][0]["var_pct"] is None
    assert result["largest"][0]["var"] > 0


def test_replay_of_each_portfolio_reproduces_every_bit(books):
    analyze_all()
    make_trade(Portfolio.objects.get(pk="LONG"), "AAA", 7, 100)
    make_prices({"AAA": [90.0, 91.0, 92.0, 93.0, 94.0]})
    for snapshot in Snapshot.objects.filter(kind=all_portfolios.KIND):
        assert replay(snapshot)["reproduced"]


def test_figures_asked_for_again_keep_the_snapshot_and_are_stored_again(books):
    first, second = analyze_all(), analyze_all()
    assert Snapshot.objects.filter(kind=all_portfolios.KIND).count() == 2
    assert [len(rows_of(task, "LONG")) for task in (first, second)] == [2, 2]


def test_part_that_failed_fails_the_whole_and_says_which_books_it_had(books, settings):
    settings.RISK_CHUNK_PORTFOLIOS = 1
    task = make_task(all_portfolios.KIND, SMALL)
    execute(take(str(task.pk), "w1"), all_portfolios.run_all)
    first, second = task.parts.order_by("part_number")
    execute(take(str(first.pk), "w1"), all_portfolios.run_chunk)
    execute(take(str(second.pk), "w1"), lambda job: 1 / 0)
    execute(take(str(task.pk), "w1"), all_portfolios.run_all)
    task.refresh_from_db()
    assert (task.status, task.error["code"]) == ("failed", "chunks_failed")
    assert "1 of 2 chunks" in task.error["detail"]
    assert "SHORT" in task.error["detail"]
    assert len(rows_of(task, "LONG")) == 2


def test_each_portfolio_hears_of_its_figures(books, django_capture_on_commit_callbacks, monkeypatch):
    heard = []
    monkeypatch.setattr("apps.tasks.execution.publish_after_commit", lambda topic, data: heard.append((topic, data)))
    analyze_all()
    assert [(topic, data["event"]) for topic, data in heard] == [
        ("portfolio:updates:LONG", "risk.analyzed_with_all"),
        ("portfolio:updates:SHORT", "risk.analyzed_with_all"),
    ]
    assert [figures["confidence"] for figures in heard[0][1]["figures"]] == [0.75, 0.9]


def test_books_are_read_with_the_nearest_floats_of_their_quantities(books):
    book = next(iter(read_books(["LONG"])))
    assert (book.symbols, book.quantities.tolist(), book.foreign) == (("AAA", "BBB"), [100.0, -200.0], ())
    assert list(read_books([])) == []


def test_many_books_of_one_calendar_make_one_product(books, monkeypatch):
    products = []
    from apps.risk import batches

    kernel = batches.batch_tail
    monkeypatch.setattr(batches, "batch_tail", lambda *given: products.append(given[1].shape) or kernel(*given))
    analyze_books(read_books(["LONG", "SHORT"]), SMALL, load_current_matrix())
    assert products == [(2, 2)]


def test_request_becomes_a_task_for_risk_managers_alone(books):
    assert client_of("trader").post(URL, {}, format="json").status_code == 403
    answer = client_of("risk_manager").post(URL, {}, format="json")
    assert answer.status_code == 202
    assert Task.objects.get(pk=answer.json()["task_id"]).inputs == all_portfolios.DEFAULTS


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"confidense": [0.99]}, "confidense"),
        ({"confidences": []}, "confidences"),
        ({"confidences": [0.99, 1.0]}, "confidences.1"),
        ({"window_days": 1}, "window_days"),
    ],
)
def test_wrong_request_is_refused_with_the_field(books, body, attr):
    answer = client_of("risk_manager").post(URL, body, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["attr"]) == (400, attr)
    assert not Task.objects.exists()


def test_window_beyond_the_limit_is_refused_before_anything_is_queued(books, settings):
    settings.RISK_MAX_WINDOW_CELLS = 1499
    answer = client_of("risk_manager").post(URL, {}, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "too_expensive")
    assert "499 or less" in answer.json()["errors"][0]["detail"]


def test_nightly_run_is_a_task_that_nobody_owns(books):
    task = Task.objects.get(pk=maintenance.analyze_all_portfolios())
    assert (task.kind, task.created_by, task.inputs) == (all_portfolios.KIND, None, all_portfolios.DEFAULTS)


def test_nightly_run_stands_in_the_schedule_at_its_time():
    from django.conf import settings

    entry = settings.CELERY_BEAT_SCHEDULE["risk.nightly"]
    assert (entry["schedule"].hour, entry["schedule"].minute) == ({22}, {30})


def test_operator_who_reads_no_book_sees_neither_the_task_nor_its_parts(books):
    task = analyze_all()
    operator, manager = client_of("operator"), client_of("risk_manager")
    for one in (task, task.parts.get()):
        assert operator.get(f"/api/v1/tasks/{one.pk}").status_code == 404
        assert manager.get(f"/api/v1/tasks/{one.pk}").status_code == 200
    assert operator.get("/api/v1/tasks").json()["results"] == []
