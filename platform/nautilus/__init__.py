"""The Django project: settings, routing, Celery application and API conventions."""

# ruff: noqa: E402 - the first line comes before whatever makes many objects

import gc

# 700 by default, fewer than two requests make. An eighth of a process' start went into looking through what it loads.
gc.set_threshold(50_000, 20, 50)

from nautilus.celery import app as celery_app

__version__ = "0.1.0"

__all__ = ["__version__", "celery_app"]
