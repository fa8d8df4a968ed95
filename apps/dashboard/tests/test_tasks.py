"""The list of tasks and the page of one: what each role sees of them, and what it may do."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.dashboard.pages.tasks import PAGE_ROWS, progress_words
from apps.portfolios.tests.factories import make_portfolio, make_user
from apps.tasks.models import Task
from apps.tasks.tests.factories import make_task

pytestmark = pytest.mark.django_db

LIST = {"HX-Request": "true", "HX-Target": "tasks"}
NOW = timezone.now()


def visitor(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def ended(status: str = "succeeded", **fields: Any) -> Task:
    started = fields.pop("started_at", NOW - timedelta(seconds=30))
    return make_task(status=status, started_at=started, finished_at=NOW - timedelta(seconds=25.5), **fields)


def shown(client: Client, query: str = "", **headers: str) -> str:
    answer = client.get(f"/tasks{query}", headers=headers or None)
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def kinds_shown(text: str) -> list[str]:
    return re.findall(r'<th scope="row" class="name"><a href="/tasks/[0-9a-f-]+">([^<]+)</a>', text)


def test_without_a_task_it_says_what_makes_one():
    text = shown(visitor(make_user("viewer")))
    assert "No task that you may see was asked for yet." in text
    assert "An analysis, a performance, a deployment or an import of prices makes one." in text


def test_newest_stand_first():
    user = make_user("risk_manager")
    for minutes, kind in ((3, "risk.stress"), (1, "risk.analyze"), (2, "risk.backtest")):
        make_task(kind, created_at=NOW - timedelta(minutes=minutes))
    assert kinds_shown(shown(visitor(user))) == ["risk.analyze", "risk.backtest", "risk.stress"]


def test_age_of_the_list_is_not_read_aloud_each_second():
    user = make_user("viewer")
    make_task("risk.analyze", created_by=user)
    said = re.findall(r'role="status">(.*?)</(?:span|p)>', shown(visitor(user), **LIST), re.DOTALL)
    assert "1 to 1 of 1" in said[0]
    assert not any("<time" in each for each in said)


def test_viewer_sees_own_tasks_alone_and_risk_manager_all():
    viewer = make_user("viewer")
    make_task("risk.analyze", created_by=viewer)
    make_task("risk.stress", created_by=make_user("trader"))
    assert kinds_shown(shown(visitor(viewer))) == ["risk.analyze"]
    assert sorted(kinds_shown(shown(visitor(make_user("risk_manager"))))) == ["risk.analyze", "risk.stress"]


def test_operator_sees_tasks_of_no_book():
    make_task("market_data.import")
    make_task("risk.analyze", portfolio_id="BOOK")
    make_task("risk.analyze_all")
    text = shown(visitor(make_user("operator", groups=[])))
    assert kinds_shown(text) == ["market_data.import"]
    assert 'name="portfolio_id"' not in text


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("?kind=risk.stress", ["risk.stress"]),
        ("?status=failed", ["risk.analyze"]),
        ("?portfolio_id=BOOK", ["risk.stress"]),
        ("?kind=risk.stress&status=failed", []),
        ("?kind=&status=&portfolio_id=", ["risk.analyze", "risk.stress"]),
    ],
)
def test_filters_by_kind_status_and_portfolio(query, kinds):
    user = make_user("risk_manager")
    make_task("risk.stress", portfolio_id="BOOK")
    ended("failed", kind="risk.analyze", error={"code": "x", "detail": "it broke", "remedy": "mend it"})
    text = shown(visitor(user), query, **LIST)
    assert sorted(kinds_shown(text)) == kinds
    assert "<html" not in text
    assert ("No task is of this kind" in text) is not kinds


def test_filter_that_is_unknown_says_which_value_was_wrong():
    answer = visitor(make_user("viewer")).get("/tasks?status=done", headers=LIST)
    assert answer.status_code == 400
    assert "status: Select a valid choice. done is not one of the available choices." in answer.content.decode()


def test_parts_are_left_out_until_they_are_asked_for():
    whole = make_task("risk.analyze_all")
    make_task("risk.analyze_chunk", part_of=whole, part_number=0)
    risk_manager = visitor(make_user("risk_manager"))
    assert kinds_shown(shown(risk_manager)) == ["risk.analyze_all"]
    assert kinds_shown(shown(risk_manager, f"?part_of={whole.pk}")) == ["risk.analyze_chunk"]


def test_older_ones_are_on_the_next_page_and_keep_the_filter():
    user = make_user("risk_manager")
    for seconds in range(PAGE_ROWS + 1):
        make_task("risk.stress" if seconds else "risk.analyze", created_at=NOW + timedelta(seconds=seconds))
    first = shown(visitor(user), "?status=processing")
    assert f"1 to {PAGE_ROWS} of {PAGE_ROWS + 1}" in first
    assert "/tasks?status=processing&amp;page=2" in first
    assert kinds_shown(shown(visitor(user), "?status=processing&page=2", **LIST)) == ["risk.analyze"]


def test_number_of_queries_does_not_grow_with_the_tasks(django_assert_max_num_queries):
    trader = make_user("trader")
    books = [make_portfolio(f"BOOK_{number}") for number in range(10)]
    for book in books:
        ended("failed", kind="risk.analyze", portfolio_id=book.id, created_by=trader, error={"detail": "it broke"})
    client = visitor(trader)
    # Session, user, roles, count, tasks, visible portfolios, one rule, portfolios to choose.
    with django_assert_max_num_queries(9):
        shown(client)


# --- What is under way --------------------------------------------------------------------------------
def test_task_under_way_has_a_bar_words_and_a_button_to_cancel():
    user = make_user("trader")
    task = make_task(
        created_by=user,
        started_at=NOW,
        progress_done=37,
        progress_total=100,
        progress_message="monte carlo paths",
        progress_eta_seconds=4.2,
    )
    text = shown(visitor(user))
    assert 'max="100" value="37"' in text
    assert "monte carlo paths, 37 %, about 4 s left" in text
    assert f'data-cancel="{task.pk}"' in text
    assert "data-processing" in text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Waiting for a worker"),
        ({"started_at": NOW}, "Computing"),
        ({"started_at": NOW, "progress_done": 1, "progress_total": 3}, "Computing, 33 %"),
        (
            {"started_at": NOW, "progress_message": "reading", "progress_eta_seconds": 130.0},
            "reading, about 2 min left",
        ),
        ({"started_at": NOW, "progress_eta_seconds": 0.4}, "Computing"),
    ],
)
def test_words_of_progress(fields, words):
    assert progress_words(Task(**fields)) == words


def test_ended_ones_say_what_they_took_or_why_they_failed():
    user = make_user("trader")
    ended(created_by=user)
    ended("failed", created_by=user, error={"code": "no_price", "detail": "AAA has no price.", "remedy": "Import one."})
    text = shown(visitor(user))
    assert "took 4.50 s" in text
    assert "AAA has no price." in text
    assert "data-cancel" not in text


# --- Retry --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("role", "offered"), [("trader", True), ("viewer", False), ("risk_manager", False)])
def test_retry_is_offered_to_those_whom_the_api_would_let(role, offered):
    user = make_user(role)
    make_portfolio("BOOK")
    task = ended("failed", kind="risk.analyze", portfolio_id="BOOK", created_by=user, error={"detail": "it broke"})
    assert (f'data-retry="{task.pk}"' in shown(visitor(user))) is offered
    assert (f'data-retry="{task.pk}"' in one(visitor(user), task)) is offered


def test_retry_is_not_offered_of_a_book_that_is_not_seen_any_more():
    user = make_user("trader", groups=["elsewhere"])
    make_portfolio("BOOK")
    task = ended("failed", kind="risk.analyze", portfolio_id="BOOK", created_by=user, error={"detail": "it broke"})
    assert "data-retry" not in shown(visitor(user))
    assert "data-retry" not in one(visitor(user), task)


# --- The page of one ----------------------------------------------------------------------------------
def one(client: Client, task: Task, **headers: str) -> str:
    answer = client.get(reverse("dashboard:task", args=[task.pk]), headers=headers or None)
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def test_task_of_somebody_else_is_not_there():
    task = make_task(created_by=make_user("trader"))
    answer = visitor(make_user("trader")).get(f"/tasks/{task.pk}")
    assert answer.status_code == 404
    assert f"There is no task {task.pk} that you may see." in answer.content.decode()


def test_details_show_inputs_result_times_and_who_asked():
    user = make_user("trader", username="anna")
    make_portfolio("BOOK")
    task = ended(
        kind="risk.analyze",
        portfolio_id="BOOK",
        inputs={"method": "historical"},
        result={"var": 23456.7, "snapshot_id": "ab" * 32},
        created_by=user,
        created_at=NOW - timedelta(seconds=32),
        attempts=2,
    )
    text = one(visitor(user), task)
    for words in ("anna", "&quot;method&quot;: &quot;historical&quot;", "&quot;var&quot;: 23456.7", "4.50 s", "2.00 s"):
        assert words in text
    assert f'data-replay="{"ab" * 32}"' in text
    assert "<dt>Attempts</dt><dd>2" in text
    assert 'href="/portfolios/BOOK"' in text


def test_replay_is_a_traders():
    viewer = make_user("viewer")
    make_portfolio("BOOK")
    task = ended(kind="risk.analyze", portfolio_id="BOOK", result={"snapshot_id": "ab" * 32}, created_by=viewer)
    text = one(visitor(viewer), task)
    assert "data-replay" not in text
    assert "takes the role trader" in text


def test_error_is_shown_with_its_remedy_and_each_fault():
    user = make_user("trader")
    faults = [{"attr": "row 3", "detail": "No price.", "remedy": "Give one."}]
    error = {"code": "invalid_input", "detail": "2 faults", "remedy": "Mend them.", "errors": faults}
    text = one(visitor(user), ended("failed", created_by=user, error=error))
    for words in ("invalid_input", "2 faults", "Mend them.", "row 3: No price. Give one."):
        assert words in text


def test_task_that_waits_has_no_result_and_no_times_yet():
    user = make_user("trader")
    text = one(visitor(user), make_task(created_by=user), **{"HX-Request": "true", "HX-Target": "task"})
    assert "Waiting for a worker" in text
    assert "There is none yet. It comes here when the task ends." in text
    assert "data-processing" in text
    assert "<html" not in text


def test_long_result_is_cut_and_says_so():
    user = make_user("trader")
    text = one(visitor(user), ended(created_by=user, result={"rows": ["x" * 100] * 2_000}))
    assert "The first 100000 of" in text
    assert len(text) < 150_000


def test_related_tasks_are_linked_where_they_are_seen():
    user = make_user("trader")
    first = ended("failed", created_by=user, error={"detail": "it broke"})
    again = make_task(created_by=user, retry_of=first)
    theirs = make_task(created_by=make_user("trader"))
    shared = make_task(created_by=user, coalesced_with=theirs)
    client = visitor(user)
    assert f'href="/tasks/{again.pk}"' in one(client, first)
    assert f'href="/tasks/{first.pk}"' in one(client, again)
    text = one(client, shared)
    assert "an equal task of somebody else" in text
    assert str(theirs.pk) not in text


def test_worker_is_named_to_operators(settings):
    settings.FLOWER_URL = "http://flower.example:5555"
    task = ended(kind="market_data.import", worker="analytics-worker@host", created_by=None)
    operator = one(visitor(make_user("operator", groups=[])), task)
    assert "analytics-worker@host" in operator
    assert f"http://flower.example:5555/task/{task.pk}" in operator
    risk_manager = one(visitor(make_user("risk_manager")), task)
    assert "analytics-worker@host" not in risk_manager
    assert "flower.example" not in risk_manager
