"""The probes of tasks, workers, clocks, folders, versions and alerts, each with its fault."""

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from apps.operations.diagnosis.looking import load_probes
from apps.operations.diagnosis.probes import (
    beat,
    breaches,
    clock_skew,
    deployments,
    disk,
    file_descriptors,
    monitoring_flag,
    queues,
    version_history,
    workers,
)
from apps.operations.findings import Status
from apps.operations.tests.probing import clean_redis, only
from apps.risk.models import AlertChannel, AlertDelivery, RiskEvent, RiskMonitor
from apps.risk.monitoring import FLAG
from apps.risk.tests.alerting import a_breach, a_portfolio, let_pass, make_channel, make_delivery
from apps.strategies.models import Deployment
from apps.strategies.tests.api_factories import make_deployment, make_versions
from apps.strategies.tests.version_factories import make_strategy, make_version, without_triggers
from apps.tasks.models import Task
from nautilus.pulses import SchedulerPulse, WorkerPulse, write_scheduler_pulse, write_worker_pulse

__all__ = ["clean_redis"]

PROCFILE = [line for line in (settings.ROOT / "Procfile").read_text().splitlines() if line[:1].isalpha()]


# There is no scheduler and no worker here, and the rows that other tests rolled back are dead.
NOT_WELL_HERE = ("beat", "worker-tasks", "bloat")


@pytest.mark.django_db
@pytest.mark.parametrize("name", [name for name in load_probes() if name not in NOT_WELL_HERE])
def test_probe_finds_nothing_wrong_with_a_platform_that_is_well(name: str, clean_redis: Any):
    diagnosis = load_probes()[name].look()
    assert diagnosis.findings == ()
    assert diagnosis.detail.endswith(".")


@pytest.mark.django_db
def test_task_without_worker_and_message_is_found_and_sent_again(clean_redis: Any):
    old = timezone.now() - timedelta(minutes=10)
    task = Task.objects.create(kind="risk.analyze", coalesce_key="k", created_at=old, dispatched_at=old)
    findings = {finding.section: finding for finding in queues.look().findings}
    assert set(findings) == {"queue-grown-long", "redis-wiped"}
    assert str(task.pk) in findings["queue-grown-long"].cause
    assert findings["queue-grown-long"].status == Status.UNHEALTHY
    fix = findings["redis-wiped"].fix
    assert fix is not None
    assert fix() == "sent 1 tasks again, ended 0 that had lost their worker too often"
    (message,) = clean_redis.lrange("risk_queue", 0, -1)
    assert json.loads(message)["headers"]["id"] == str(task.pk)
    assert [finding.section for finding in queues.look().findings] == ["queue-grown-long"]


@pytest.mark.django_db
def test_task_that_a_worker_holds_does_notwait_for(clean_redis: Any):
    old, later = timezone.now() - timedelta(minutes=10), timezone.now() + timedelta(seconds=30)
    Task.objects.create(kind="risk.analyze", coalesce_key="k", created_at=old, lease_expires_at=later)
    assert queues.look().findings == ()


def _worker(**changes: Any) -> WorkerPulse:
    fields: dict[str, Any] = {"pid": 1, "slots": 2, "active": 0, "received": 3, "last_received_at": None}
    named = {"worker": "risk-worker@here", "queues": ("risk_queue",), "started_at": time.time()}
    return WorkerPulse(**{**named, **fields, **changes})


@pytest.mark.django_db
def test_worker_that_is_silent_or_loses_processes_is_named(clean_redis: Any, monkeypatch: Any):
    monkeypatch.setattr(workers, "SILENT_SECONDS", 0.1)
    write_worker_pulse(clean_redis, _worker(lost=2, last_lost_at=time.time(), last_lost="signal 9 (SIGKILL)"))
    time.sleep(0.2)
    findings = {finding.section: finding for finding in workers.look().findings}
    assert set(findings) == {"worker-killed", "worker-out-of-memory"}
    assert findings["worker-killed"].remedy == "scripts/restart-service.sh risk-worker"
    assert findings["worker-out-of-memory"].cause == "signal 9 (SIGKILL)"


@pytest.mark.django_db
def test_worker_of_a_machine_that_is_gone_for_good_is_not_named(clean_redis: Any, monkeypatch: Any):
    monkeypatch.setattr(workers, "SILENT_SECONDS", 0.1)
    monkeypatch.setattr(workers, "GONE_SECONDS", 0.1)
    write_worker_pulse(clean_redis, _worker())
    time.sleep(0.2)
    assert workers.look().findings == ()


@pytest.mark.django_db
def test_kind_of_task_that_loses_its_workers_is_named(clean_redis: Any):
    Task.objects.create(kind="risk.stress", coalesce_key="k", attempts=3)
    finding = only(workers.look())
    assert finding.section == "worker-poison-task"
    assert "risk.stress" in finding.symptom


def _beat(**changes: Any) -> SchedulerPulse:
    now = time.time()
    fields: dict[str, Any] = {"scheduler": "beat@here", "pid": 1, "leads": True, "started_at": now, "last_sent_at": now}
    return SchedulerPulse(**{**fields, **changes})


def test_scheduler_that_is_gone_late_or_doubled_is_told(clean_redis: Any):
    assert only(beat.look()).section == "scheduler-gone"
    write_scheduler_pulse(clean_redis, _beat())
    assert beat.look().findings == ()
    write_scheduler_pulse(clean_redis, _beat(scheduler="beat@there"))
    assert only(beat.look()).section == "scheduler-two"
    write_scheduler_pulse(clean_redis, _beat(scheduler="beat@there", leads=False))
    write_scheduler_pulse(clean_redis, _beat(last_sent_at=time.time() - 60))
    late = only(beat.look())
    assert (late.section, "beat@here leads and has sent nothing for 60 s" in late.symptom) == ("scheduler-gone", True)


def test_clock_that_differs_is_named_with_its_difference():
    ahead = clock_skew.seconds_ahead(lambda: time.time() + 5)
    (finding,) = clock_skew._findings({"Redis": ahead, "PostgreSQL": clock_skew.seconds_ahead(time.time)})
    assert "The clock of Redis is 5.0 s ahead" in finding.symptom
    assert finding.status == Status.DEGRADED


# --- Desk ------------------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_flag_that_was_wiped_is_written_again(clean_redis: Any):
    RiskMonitor.objects.update_or_create(pk=1, defaults={"enabled": True})
    finding = only(monitoring_flag.look())
    assert "is None" in finding.symptom
    assert finding.fix is not None
    assert finding.fix() == "PostgreSQL says on, Redis '1'"
    assert clean_redis.get(FLAG) == "1"
    assert monitoring_flag.look().findings == ()


@pytest.mark.django_db
def test_flag_that_somebody_has_set_is_no_reason_to_switch_monitoring_off(clean_redis: Any):
    RiskMonitor.objects.update_or_create(pk=1, defaults={"enabled": True})
    clean_redis.set(FLAG, "maybe")
    lost = only(monitoring_flag.look())
    clean_redis.set(FLAG, "0")
    finding = only(monitoring_flag.look())
    assert (finding.fix, finding.remedy) == (None, monitoring_flag.START)
    assert lost.fix is not None
    assert lost.fix() == "PostgreSQL says on, Redis '0'", "it was set after the doctor looked, and is left as it is"
    assert RiskMonitor.objects.get().enabled


@pytest.mark.django_db
def test_folder_is_measured_with_what_lies_below(tmp_path: Any):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"x" * 1000)
    (tmp_path / "other").write_bytes(b"x" * 24)
    assert disk.size_of(tmp_path) == 1024


def test_process_with_nearly_all_descriptors_open_is_named():
    opened = file_descriptors.Opened("web (pid 7)", 960, 1000, "scripts/restart-service.sh web")
    finding = file_descriptors._finding(opened)
    assert (finding.status, finding.remedy) == (Status.UNHEALTHY, "scripts/restart-service.sh web")
    assert "web (pid 7) has 960 of 1,000" in finding.symptom


@pytest.mark.parametrize("line", [line for line in PROCFILE if not line.startswith(("postgres:", "redis:"))])
def test_process_of_the_procfile_is_known_as_the_service_that_it_is(line: str):
    service, _, command = line.partition(": ")
    assert file_descriptors.service_of(["/usr/bin/python3", *command.split()]) == service


@pytest.mark.parametrize(
    ("command", "service"),
    [
        (["/usr/lib/postgresql/17/bin/postgres", "-D", "/data"], "postgres"),
        (["postgres: nautilus nautilus [local] idle"], "postgres"),
        (["/opt/bin/valkey-server 127.0.0.1:6379"], "redis"),
        (["python", "manage.py", "doctor"], ""),
    ],
)
def test_server_is_known_by_its_program_and_a_command_of_a_person_is_no_service(command: list[str], service: str):
    assert file_descriptors.service_of(command) == service


def test_our_own_process_is_among_those_looked_at():
    assert any("pid" in opened.who for opened in file_descriptors._of_our_processes())


@pytest.mark.django_db
def test_version_that_was_changed_behind_the_platform_is_named():
    strategy = make_strategy()
    make_version(strategy)
    make_version(strategy, 1, {5: "line_5 = 55"})
    assert version_history.look().findings == ()
    with without_triggers():
        strategy.versions.filter(version=1).update(code="something_else = 1\n")
    finding = only(version_history.look())
    assert finding.section == "version-history-corrupted"
    assert "Version 1 is named" in finding.cause
    assert finding.remedy.endswith(f"/{strategy.pk}/rebuild-history")


@pytest.mark.django_db
def test_breach_that_nobody_was_told_of_is_named_and_sent_again(clean_redis: Any):
    delivery = make_delivery(status="dead", attempts=120, last_answer="HTTP 500")
    assert breaches.look().findings == ()
    let_pass(RiskEvent.objects.all(), "timestamp", minutes=2)
    finding = only(breaches.look())
    assert "61234.50" in finding.symptom
    assert "webhook: HTTP 500" in finding.cause
    assert finding.fix is not None
    assert finding.fix() == "made 1 deliveries due again, queued 1"
    AlertDelivery.objects.filter(pk=delivery.pk).update(status="delivered", delivered_at=timezone.now())
    assert breaches.look().findings == ()


@pytest.mark.django_db
def test_breach_that_no_channel_should_have_been_told_of_yet_is_none(clean_redis: Any):
    escalated = make_channel(a_portfolio("LATER"), escalate_after_minutes=60)
    graver = make_channel(a_portfolio("GRAVE"), min_severity="critical")
    let_pass(AlertChannel.objects.all(), "created_at", minutes=10)
    for portfolio in (escalated.portfolio, graver.portfolio):
        a_breach(portfolio, severity="warning").save()
    let_pass(RiskEvent.objects.all(), "timestamp", minutes=2)
    assert breaches.look().findings == ()
    RiskEvent.objects.update(severity="critical")
    assert "1 open breaches were told to nobody" in only(breaches.look()).symptom
    RiskEvent.objects.update(acknowledged_at=timezone.now())
    assert breaches.look().findings == ()


@pytest.mark.django_db
def test_deployment_that_is_stuck_is_named_and_ended(clean_redis: Any, settings: Any):
    version, *_ = make_versions()
    deployment = make_deployment(version, a_portfolio(), status="pending")
    assert deployments.look().findings == ()
    let_pass(Deployment.objects.all(), "created_at", minutes=settings.DEPLOYMENT_STUCK_MINUTES + 1)
    finding = only(deployments.look())
    assert deployment.pk in finding.symptom
    assert finding.fix is not None
    assert finding.fix() == f"ended {deployment.pk} as failed"
    assert deployments.look().findings == ()
