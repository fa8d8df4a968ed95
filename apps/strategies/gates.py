"""The gates of a backtest: figures that a version must not be worse than, each a setting."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings


def gates() -> dict[str, tuple[str, float]]:
    """By figure: "least" or "most", and the bound. A bound of 0 on the capacity asks for none."""
    capacity = {"capacity": ("least", settings.GATE_MIN_CAPACITY)} if settings.GATE_MIN_CAPACITY else {}
    return {
        "sharpe": ("least", settings.GATE_MIN_SHARPE),
        "max_drawdown": ("most", settings.GATE_MAX_DRAWDOWN),
        "annual_turnover": ("most", settings.GATE_MAX_TURNOVER),
        **capacity,
    }


def broken_gates(figures: Mapping[str, Any]) -> list[str]:
    """Each gate that is not passed, in words. A figure that could not be computed passes none."""
    return list(_broken(figures))


def _broken(figures: Mapping[str, Any]) -> Iterator[str]:
    for name, (side, bound) in gates().items():
        value = figures[name]
        if value is None:
            yield f"{name} is unknown ({figures['reasons'].get(name, 'no reason given')}), expected at {side} {bound:g}"
        elif value < bound if side == "least" else value > bound:
            yield f"{name} is {value:.6g}, expected at {side} {bound:g}"
