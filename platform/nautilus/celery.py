"""The Celery application; every setting of it stands in nautilus/settings.py under CELERY_."""

import importlib
import os
import resource
from typing import Any

from celery import Celery, signals

from nautilus.logs.celery import tie_to_celery
from nautilus.stopping import on_stop_signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nautilus.settings")
# Django's checks load every page and endpoint; `migrate` has run them.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

COMPUTING_QUEUES = {"risk_queue", "analytics_queue"}

app = Celery("nautilus")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["workers"], related_name=None)
tie_to_celery()


@signals.beat_init.connect
def end_the_scheduler_between_two_ticks(sender: Any, **_kwargs: Any) -> None:
    """Instead of Celery's handler, which raises SystemExit wherever the signal finds the scheduler.

    In the midst of an answer of Redis that was taken for a message which could not be sent: the scheduler went on, was
    killed after 20 s, and had not given its lease back.
    """
    on_stop_signals(sender.stop)


@signals.worker_init.connect
def watch_the_worker(sender: Any, **_kwargs: Any) -> None:
    """Before the worker's steps are put together."""
    from nautilus.watchdog import WatchdogStep  # it reads settings, which are there only now

    sender.app.steps["worker"].add(WatchdogStep)


@signals.worker_init.connect
def load_what_computes(sender: Any, **_kwargs: Any) -> None:
    """Scipy loads its parts on first use: here once, before the pool forks, and its processes share them."""
    if COMPUTING_QUEUES & set(sender.app.amqp.queues.consume_from):
        importlib.import_module("scipy.optimize")


@signals.worker_process_init.connect
def limit_memory(**_kwargs: Any) -> None:
    """A job that asks for too much gets a MemoryError, and fails with it, before the kernel kills its process.

    Counted is what the process has for itself (RLIMIT_DATA), not the price matrices that it maps.
    """
    from django.conf import settings

    if limit_bytes := settings.WORKER_MEMORY_LIMIT_MB * 2**20:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        most = limit_bytes if hard == resource.RLIM_INFINITY else min(limit_bytes, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
