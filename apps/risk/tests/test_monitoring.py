"""The monitor's switch, in PostgreSQL and in Redis, and how fresh it is said to be."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone
from redis.exceptions import RedisError

from apps.portfolios.tests.factories import make_user
from apps.risk.models import RiskEvent, RiskMonitor
from apps.risk.monitor.watch import watch_monitor
from apps.risk.monitoring import FLAG, monitor_freshness, monitor_row, start_monitoring, stop_monitoring
from apps.risk.tests.desks import DESK_SETTINGS, make_desk, make_limit
from apps.risk.tests.monitored import forget_flag, look, redis_away, state_of, told
from nautilus.connections import redis_client
from workers import monitoring

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clean_flag(settings):
    for name, value in DESK_SETTINGS.items():
        setattr(settings, name, value)
    forget_flag()
    yield
    forget_flag()


def flag() -> object:
    return redis_client().get(FLAG)


def last_run(seconds_ago: float, **fields: object) -> None:
    monitor_row()
    moment = timezone.now() - timedelta(seconds=seconds_ago)
    RiskMonitor.objects.update(last_run_at=moment, **{"changed_at": moment, **fields})


# --- Start and stop ----------------------------------------------------------------------------------------------


def test_stopped_monitor_evaluates_nothing_until_it_is_started():
    limit = make_limit(make_desk(), "gross_exposure", 29_000)
    user = make_user("risk_manager")
    stop_monitoring(user)
    assert look() == "monitoring is stopped"
    assert state_of(limit)[2] == "not evaluated yet"
    start_monitoring(user)
    look()
    assert state_of(limit)[0] == "breach"


def test_switch_is_kept_in_both_stores_with_who_moved_it():
    user = make_user("operator", username="olga")
    stop_monitoring(user)
    monitor = RiskMonitor.objects.get()
    assert (monitor.enabled, monitor.changed_by, flag()) == (False, user, "0")
    event = RiskEvent.objects.get()
    assert (event.event_type, event.severity, event.portfolio_id) == ("monitoring_stopped", "critical", None)
    assert (
        event.message == "The monitoring of limits was stopped by olga: no limit is evaluated until it is started again"
    )
    start_monitoring(user)
    assert (RiskMonitor.objects.get().enabled, flag()) == (True, "1")
    assert told() == ["monitoring_stopped", "monitoring_started"]
    assert not RiskEvent.objects.filter(closed_at=None).exists()


def test_stopping_twice_is_one_event():
    stop_monitoring(None)
    stop_monitoring(None)
    assert told() == ["monitoring_stopped"]


def test_nothing_changes_where_redis_cannot_be_told():
    with redis_away(), pytest.raises(RedisError):
        stop_monitoring(None)
    assert monitor_row().enabled is True
    assert told() == []


# --- The key in Redis --------------------------------------------------------------------------------------------


def test_wiped_redis_is_told_again_and_stops_nothing():
    limit = make_limit(make_desk(), "gross_exposure", 29_000)
    look()
    redis_client().flushdb()
    look()
    assert (state_of(limit)[0], flag()) == ("breach", "1")


def test_wiped_redis_starts_nothing_that_was_stopped():
    stop_monitoring(None)
    redis_client().flushdb()
    assert look() == "monitoring is stopped"
    assert flag() == "0"


@pytest.mark.parametrize("text", ["0", "false", "off", "OFF", " False "])
def test_operator_stops_monitoring_by_the_key_in_redis(text):
    redis_client().set(FLAG, text)
    assert look() == "monitoring is stopped"
    assert monitor_row().enabled is False
    assert RiskEvent.objects.get().message.startswith(
        f"The monitoring of limits was stopped by setting risk_monitoring_enabled to {text!r} in Redis"
    )


@pytest.mark.parametrize("text", ["1", "true", "on"])
def test_operator_starts_monitoring_by_the_key_in_redis(text):
    stop_monitoring(None)
    redis_client().set(FLAG, text)
    assert look().startswith("0 portfolios")
    assert monitor_row().enabled is True
    assert told() == ["monitoring_stopped", "monitoring_started"]


def test_key_that_means_nothing_is_written_again(caplog):
    redis_client().set(FLAG, "maybe")
    look()
    assert flag() == "1"
    assert "'maybe'; expected 1 or 0" in caplog.text


def test_monitor_goes_on_while_redis_is_away():
    limit = make_limit(make_desk(), "gross_exposure", 29_000)
    with redis_away():
        look()
    assert state_of(limit)[0] == "breach"


# --- Freshness ---------------------------------------------------------------------------------------------------


def test_monitor_that_ran_just_now_is_fresh():
    last_run(1)
    freshness = monitor_freshness()
    assert (freshness.running, freshness.stale_reason) == (True, None)
    assert freshness.lag_seconds == pytest.approx(1, abs=1)
    assert freshness.next_run_at == freshness.expected_from + timedelta(seconds=5)


def test_monitor_is_stale_after_three_intervals_and_what_its_run_takes():
    last_run(16, last_run_seconds=2.0)
    assert monitor_freshness().stale_reason is None
    last_run(18, last_run_seconds=2.0)
    freshness = monitor_freshness()
    assert freshness.stale_reason == (
        f"not evaluated since {freshness.monitor.last_run_at:%Y-%m-%dT%H:%M:%SZ}: the monitor has not run for 18 s"
    )
    assert (freshness.running, freshness.next_run_at) == (False, None)


def test_stopped_monitor_says_since_when():
    stop_monitoring(None)
    changed = RiskMonitor.objects.get().changed_at
    assert monitor_freshness().stale_reason == f"monitoring is stopped since {changed:%Y-%m-%dT%H:%M:%SZ}"
    assert monitor_freshness().running is False


def test_monitor_that_was_started_just_now_is_expected_to_run_but_limits_are_old():
    last_run(1_000, enabled=False)
    start_monitoring(None)
    freshness = monitor_freshness()
    assert freshness.running is True
    assert freshness.stale_reason is not None


# --- The watch ---------------------------------------------------------------------------------------------------


def test_monitor_that_stands_still_is_told_once_and_once_that_it_runs_again():
    last_run(60)
    watch_monitor()
    watch_monitor()
    event = RiskEvent.objects.get()
    assert (event.event_type, event.severity, event.closed_at) == ("monitoring_stalled", "critical", None)
    assert event.message.startswith("Limits are not evaluated since")
    look()
    watch_monitor()
    watch_monitor()
    assert told() == ["monitoring_stalled", "monitoring_resumed"]
    assert not RiskEvent.objects.filter(closed_at=None).exists()


def test_stall_names_the_error_that_runs_end_with():
    last_run(60, last_error="KeyError: 'AAA'", last_error_at=Now())
    watch_monitor()
    assert RiskEvent.objects.get().message.endswith("; it failed: KeyError: 'AAA'")


def test_monitor_that_is_stopped_does_not_stall():
    last_run(60, enabled=False)
    watch_monitor()
    assert told() == []


def test_stop_ends_a_stall():
    last_run(60)
    watch_monitor()
    stop_monitoring(None)
    watch_monitor()
    assert list(RiskEvent.objects.filter(closed_at=None).values_list("event_type", flat=True)) == ["monitoring_stopped"]


def test_beat_asks_for_both_at_each_interval(settings):
    for task in (monitoring.run, monitoring.watch):
        entry = settings.CELERY_BEAT_SCHEDULE[task.name]
        assert (entry["task"], entry["schedule"]) == (task.name, settings.MONITOR_INTERVAL_SECONDS)
        assert entry["options"]["queue"] == "maintenance_queue"
    assert monitoring.run() == "0 portfolios, 0 measured, 0 limits changed"
    assert monitoring.watch() is None
