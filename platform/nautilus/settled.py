"""What a process that answers requests does once, before the first of them."""

import gc
import importlib

from django.urls import get_resolver


def settle() -> None:
    """Loads every view and what figures need of scipy, then takes all that out of the garbage collector's sight.

    Half a million objects of modules that live as long as the process were gone through again and again: a view that
    returns a constant took 0.87 ms of processor with that and takes 0.53 without.
    """
    _ = get_resolver().url_patterns
    importlib.import_module("scipy.special")  # or the first pre-trade check would wait for it
    gc.collect()
    gc.freeze()
