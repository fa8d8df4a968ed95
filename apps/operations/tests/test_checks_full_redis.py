"""A Redis whose memory is full refuses the pulses too: the processes are silent, and Redis is to blame."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.utils import timezone
from redis.exceptions import OutOfMemoryError

from apps.operations.blame import finding_of_error
from apps.operations.checks.risk_monitoring import check_risk_monitoring
from apps.operations.checks.scheduler import check_scheduler
from apps.operations.checks.workers import check_workers
from apps.operations.findings import Health
from apps.operations.tests.alive import a_scheduler, a_worker, forget_all, say_all_workers, say_scheduler, say_worker
from apps.risk.models import RiskMonitor
from nautilus.connections import redis_client


@pytest.fixture(autouse=True)
def _nobody_yet() -> Iterator[None]:
    forget_all()
    yield
    redis_client().config_set("maxmemory", 0)
    forget_all()


def fill_memory() -> None:
    redis_client().config_set("maxmemory", 1)


@pytest.mark.parametrize(("component", "check"), [("workers", check_workers), ("scheduler", check_scheduler)])
def test_silence_under_a_full_memory_is_blamed_on_redis(component: str, check: Callable[[], Health]):
    say_all_workers(without="risk_queue")
    say_worker(a_worker("risk_queue"), silent_seconds=60)
    say_scheduler(a_scheduler(), silent_seconds=60)
    fill_memory()
    with pytest.raises(OutOfMemoryError) as raised:
        check()
    assert finding_of_error(component, raised.value).section == "redis-memory-full"


def test_processes_that_were_heard_lately_are_well_under_a_full_memory():
    say_all_workers()
    say_scheduler(a_scheduler())
    fill_memory()
    assert (check_workers().findings, check_scheduler().findings) == ((), ())


@pytest.mark.django_db
def test_monitor_that_stalls_under_a_full_memory_is_blamed_on_redis():
    long_ago = timezone.now() - timedelta(minutes=5)
    RiskMonitor.objects.create(pk=1, last_run_at=long_ago, last_run_seconds=0.2, changed_at=long_ago)
    fill_memory()
    (finding,) = check_risk_monitoring().findings
    assert finding.section == "risk-figures-stuck"
    assert finding.cause.startswith("Redis' memory is full")
    assert "restart" not in finding.remedy
