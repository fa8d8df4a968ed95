"""What is deleted once it is old, and above all what is not."""

import threading
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connection

from apps.analytics.models import AnalyticsMetric
from apps.operations.tests import growing
from apps.operations.timeseries import retention
from apps.operations.timeseries.models import RetentionRun
from apps.operations.timeseries.retention import Swept, enforce_retention
from apps.operations.timeseries.rules import RULES
from apps.realtime.models import WebsocketMetric
from apps.risk.models import AlertDelivery, DeliveryAttempt, RiskEvent, RiskMetric
from apps.tasks.models import Task
from nautilus.celery import app

pytestmark = pytest.mark.django_db


def swept() -> dict[str, Swept]:
    return {each.table: each for each in enforce_retention()}


def test_minutes_of_sockets_are_kept_for_thirty_days() -> None:
    growing.minute(30.1)
    kept = growing.minute(29.9)
    assert swept()["websocket_metrics"].deleted == 1
    assert list(WebsocketMetric.objects.all()) == [kept]


def test_old_rows_go_batch_by_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    for number in range(10):
        growing.minute(40 + number)
    assert swept()["websocket_metrics"] == Swept("websocket_metrics", 10)


def test_what_there_is_no_time_for_is_left_to_the_next_night(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    monkeypatch.setattr(retention, "MOST_SECONDS", 0.0)
    for number in range(10):
        growing.minute(40 + number)
    assert swept()["websocket_metrics"] == Swept("websocket_metrics", 3, is_done=False)
    assert not RetentionRun.objects.get(table="websocket_metrics").is_done
    assert swept()["websocket_metrics"].deleted == 3


def test_ended_tasks_go_after_ninety_days_and_open_ones_never() -> None:
    growing.task(91)
    young = growing.task(89)
    still = growing.task(400, status=Task.Status.PROCESSING, finished_at=None)
    assert swept()["tasks_task"].deleted == 1
    assert set(Task.objects.all()) == {young, still}


def test_task_that_a_stored_figure_came_of_is_kept() -> None:
    risk, performance = growing.task(400), growing.task(401)
    growing.figure(400, of=risk)
    growing.performance(401, of=performance)
    assert swept()["tasks_task"].deleted == 0
    assert set(Task.objects.all()) == {risk, performance}


def test_parts_go_with_their_task_and_keep_it_where_a_figure_came_of_one() -> None:
    whole, divided = growing.task(400), growing.task(401)
    growing.task(399, part_of=whole, part_number=0)
    part = growing.task(398, part_of=divided, part_number=0)
    growing.figure(398, of=part)
    assert swept()["tasks_task"].deleted == 2
    assert set(Task.objects.all()) == {divided, part}


def test_task_that_was_retried_goes_and_its_retry_stays() -> None:
    first = growing.task(100)
    again = growing.task(1, retry_of=first)
    assert swept()["tasks_task"].deleted == 1
    again.refresh_from_db()
    assert again.retry_of is None


def test_deliveries_go_after_a_year_with_their_attempts() -> None:
    old = growing.delivery(366, growing.event(366))
    DeliveryAttempt.objects.create(delivery=old, number=1, delivered=True, answer="250", elapsed_ms=1)
    young = growing.delivery(364, growing.event(364))
    assert swept()["risk_alert_deliveries"].deleted == 1
    assert list(AlertDelivery.objects.all()) == [young]
    assert not DeliveryAttempt.objects.exists()


def test_delivery_of_an_open_event_or_one_that_is_to_be_sent_is_kept() -> None:
    growing.delivery(400, growing.event(400, closed_at=None))
    growing.delivery(400, growing.event(400), status="pending")
    assert swept()["risk_alert_deliveries"].deleted == 0
    assert AlertDelivery.objects.count() == 2


def test_events_are_never_deleted_nor_any_figure_by_default() -> None:
    growing.event(4000)
    growing.figure(4000)
    growing.performance(4000)
    enforce_retention()
    assert (RiskEvent.objects.count(), RiskMetric.objects.count(), AnalyticsMetric.objects.count()) == (1, 1, 1)


def test_monitors_figures_go_where_a_setting_says_so_and_those_that_were_asked_for_stay(settings: Any) -> None:
    settings.MONITOR_FIGURES_DAYS = 700
    asked = growing.figure(800, of=growing.task(800))
    growing.figure(800)
    assert swept()["risk_metrics"].deleted == 1
    assert list(RiskMetric.objects.all()) == [asked]


def test_session_goes_a_day_after_its_end() -> None:
    for key, days in (("ended", 1.1), ("ends", 0.9)):
        Session.objects.create(session_key=key, session_data="", expire_date=growing.days_ago(days))
    assert swept()["django_session"].deleted == 1
    assert Session.objects.get().pk == "ends"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.table)
def test_zero_days_keep_for_ever(settings: Any, rule: Any) -> None:
    setattr(settings, rule.setting, 0)
    growing.minute(5000)
    growing.task(5000)
    assert rule.table not in swept()


def test_each_run_is_noted() -> None:
    growing.minute(31)
    enforce_retention()
    run = RetentionRun.objects.get(table="websocket_metrics")
    assert (run.deleted, run.is_done, run.error) == (1, True, "")


@pytest.mark.django_db(transaction=True)
def test_table_that_cannot_be_looked_at_says_so_and_the_others_are_done() -> None:
    growing.task(91)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE websocket_metrics RENAME TO hidden")
    try:
        done = swept()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE hidden RENAME TO websocket_metrics")
    assert 'relation "websocket_metrics" does not exist' in done["websocket_metrics"].error
    assert done["tasks_task"].deleted == 1
    assert "does not exist" in RetentionRun.objects.get(table="websocket_metrics").error


@pytest.mark.django_db(transaction=True)
def test_two_at_once_do_not_get_in_each_others_way() -> None:
    growing.minute(31)
    holds, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with retention._alone() as is_alone:
            assert is_alone
            holds.set()
            may_end.wait(30)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert holds.wait(30)
    assert enforce_retention() == []
    may_end.set()
    thread.join()
    assert swept()["websocket_metrics"].deleted == 1


def test_it_is_done_every_night() -> None:
    assert app.conf.beat_schedule["maintenance.retain"]["task"] == "maintenance.retain"
    growing.minute(31)
    app.loader.import_default_modules()
    assert app.tasks["maintenance.retain"]()["websocket_metrics"] == 1
