"""Figures in templates, as static/dashboard/js/format.js writes them in the browser; None is a dash."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import Any

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"

Number = float | int | None


def _signed(value: Number, write: Callable[[float], str], plus: str = "") -> str:
    if value is None or value == "" or not isfinite(value):
        return DASH
    text = write(abs(float(value)))
    if not any(digit in text for digit in "123456789"):
        return text
    return (MINUS if value < 0 else plus) + text


def _grouped(size: float, places: int) -> str:
    """Rounded as a browser's Intl does it: what is written, and not what binary makes of it, ties to the even digit."""
    return f"{Decimal(repr(size)):,.{places}f}"


def _amount(size: float) -> str:
    return _grouped(size, 0 if size >= 1000 else 2)


@register.filter
def money(value: Number) -> str:
    """An amount: in whole units from 1,000 on."""
    return _signed(value, _amount)


@register.filter
def change(value: Number) -> str:
    return _signed(value, _amount, "+")


@register.filter
def percent(value: Number, digits: int = 2) -> str:
    """A fraction as percent."""
    return _signed(value, lambda size: f"{100 * size:.{digits}f} %")


@register.filter
def percent_change(value: Number, digits: int = 2) -> str:
    return _signed(value, lambda size: f"{100 * size:.{digits}f} %", "+")


@register.filter
def quantity(value: Number) -> str:
    """As many digits as it has, eight at most."""
    return _signed(value, lambda size: _grouped(size, 8).rstrip("0").rstrip("."))


@register.filter
def price(value: Number) -> str:
    """Two digits and more where it has more, as far as they matter."""
    return _signed(value, _price)


def _price(size: float) -> str:
    whole, _, places = _grouped(size, 4 if size >= 10 else 6 if size >= 1 else 8).partition(".")
    return f"{whole}.{places.rstrip('0'):0<2}"


@register.filter
def fixed(value: Number, digits: int = 2) -> str:
    return _signed(value, lambda size: f"{size:.{digits}f}")


@register.filter
def both_ends(text: str, most: int = 300) -> str:
    """A reason may name every symbol of a book: what it begins and ends with says what it is about."""
    return text if len(text) <= most else f"{text[: most // 2]} … {text[-(most // 2) :]}"


@register.filter
def sign(value: Number) -> str:
    """The class for its colour."""
    return "" if not value else "negative" if value < 0 else "positive"


@register.filter
def iso(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment else ""


@register.filter
def item(of: Mapping[Any, Any], key: Any) -> Any:
    return of.get(key)


@register.filter
def tone(status: str) -> str:
    """The colour of a state: of a limit, a task, a deployment, a component, an event's severity."""
    return _TONES.get(status, "")


_TONES = {
    **dict.fromkeys(("ok", "healthy", "succeeded", "active", "live", "streaming", "delivered", "merged"), "good"),
    **dict.fromkeys(
        ("warning", "degraded", "stale", "stalled", "awaiting_approval", "reducing", "conflict"), "warning"
    ),
    **dict.fromkeys(("breach", "unhealthy", "failed", "critical", "stopped", "halted", "given_up", "dead"), "bad"),
    **dict.fromkeys(("processing", "pending", "sending", "validating", "backtesting", "info"), "accent"),
}


@register.simple_tag
def usage(current: Number, threshold: Number, warning: Number, label: str) -> SafeString:
    """A bar of what is used of a limit, with a mark where it warns. Drawn by attributes: no style is inline."""
    share = None if current is None or not threshold else max(current / threshold, 0.0)
    warns = bool(warning and current is not None and current > warning)
    kind = "unknown" if share is None else "bad" if share > 1 else "warning" if warns else ""
    mark = 100 * warning / threshold if warning and threshold else 100
    words = f"{label}: unknown" if share is None else f"{label}: {100 * share:.0f} % of the limit"
    return mark_safe(  # noqa: S308 (numbers, and a label that is escaped)
        f'<svg class="usage {kind}" role="img" aria-label="{escape(words)}" preserveAspectRatio="none">'
        f'<rect width="{min(100 * (share or 0), 100):.1f}%" height="100%"></rect>'
        f'<line x1="{mark:.1f}%" x2="{mark:.1f}%" y1="0" y2="100%"></line></svg>'
    )


@register.simple_tag
def spark(values: list[float], label: str) -> SafeString:
    """A line of the values in 100 x 28 units."""
    if len(values) < 2:
        return SafeString(f'<span class="subtle" title="fewer than two days have a value">{DASH}</span>')
    low, high = min(values), max(values)
    scale = (high - low) or 1.0
    points = " ".join(
        f"{100 * place / (len(values) - 1):.1f},{26 - 24 * (value - low) / scale:.1f}"
        for place, value in enumerate(values)
    )
    return mark_safe(  # noqa: S308 (numbers, and a label that is escaped)
        f'<svg class="spark" role="img" aria-label="{escape(label)}" viewBox="0 0 100 28" preserveAspectRatio="none">'
        f'<polyline points="{points}"></polyline></svg>'
    )


@register.filter
def duration(seconds: Number) -> str:
    """How long something took or takes: 0.42 s, 14 s, 3 min 20 s, 2 h 5 min."""
    if seconds is None:
        return DASH
    if seconds < 10:
        return f"{max(seconds, 0.0):.2f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    large, small, units = (60, 1, ("min", "s")) if whole < 3600 else (3600, 60, ("h", "min"))
    return f"{whole // large:,} {units[0]} {whole % large // small} {units[1]}"


@register.filter
def as_json(value: Any) -> str:
    """For a `pre`, readable."""
    return json.dumps(value, indent=2, sort_keys=True, default=str, ensure_ascii=False)
