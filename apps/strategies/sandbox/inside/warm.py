"""Imports what strategies use before the lock: after it no file can be opened, so no module can be loaded."""

import importlib
import sys
import warnings

NUMPY_PARTS = ("fft", "lib.stride_tricks", "linalg", "ma", "polynomial", "random", "typing")


def import_modules(modules: list[str]) -> None:
    """numpy and pandas with what they load on first use, and the named modules. Raises ImportError."""
    # pandas would keep strings in Arrow: 30 MB and a thread pool that a strategy on prices has no use for.
    sys.modules["pyarrow"] = None  # type: ignore[assignment]
    for name in ("numpy", *(f"numpy.{part}" for part in NUMPY_PARTS), "pandas", *modules):
        importlib.import_module(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module(f"{__package__}.uses").use(modules)
