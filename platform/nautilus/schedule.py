"""What happens by itself, and how often: the one list of Celery beat's entries."""

from typing import Any

from celery.schedules import crontab

MAINTENANCE = "maintenance_queue"


def beat_schedule(
    *, sweep_seconds: int, monitor_seconds: int, strategy_seconds: int, nightly_at: str, retention_at: str
) -> dict[str, dict[str, Any]]:
    """Entries by the name of their task; `…_at` is a time of the day in UTC as in 22:30, or "off"."""
    entries = [
        # A sweep that waited longer than this is followed by a fresher one.
        _entry("tasks.sweep", sweep_seconds, expires_seconds=sweep_seconds * 2),
        _entry("portfolios.refresh_histories", 10, queue="analytics_queue"),
        _entry("portfolios.expire_reservations", 60),
        _entry("monitoring.run", monitor_seconds),
        _entry("monitoring.watch", monitor_seconds),
        _entry("alerts.send_due", 1, expires_seconds=2),
        _entry("deployments.run_due", strategy_seconds),
        _entry("deployments.watch", strategy_seconds),
        _entry("deployments.clear_stuck", 60),
        _entry("websocket.record_metrics", 60),
        _entry("maintenance.forget", 3600),
    ]
    for task, at in (("risk.nightly", nightly_at), ("maintenance.retain", retention_at)):
        if at != "off":
            entries.append(_entry(task, crontab(hour=at[:2], minute=at[3:]), expires_seconds=3600))
    return {entry["task"]: entry for entry in entries}


def _entry(task: str, every: Any, *, queue: str = MAINTENANCE, expires_seconds: float | None = None) -> dict[str, Any]:
    """One that waited in its queue for as long as its interval is not carried out: the next one is."""
    return {"task": task, "schedule": every, "options": {"expires": expires_seconds or every, "queue": queue}}
