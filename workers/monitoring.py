"""The monitor of limits, as beat asks for it: its own lease decides who works, whatever is delivered how often."""

from celery import shared_task

from apps.risk.monitor.run import run_monitor
from apps.risk.monitor.watch import watch_monitor


@shared_task(name="monitoring.run")
def run() -> str:
    return run_monitor()


@shared_task(name="monitoring.watch")
def watch() -> None:
    watch_monitor()
