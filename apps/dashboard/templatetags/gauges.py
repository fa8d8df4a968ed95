"""Limits as half-circle gauges and weights as small bars, drawn by attributes: no style is inline."""

from math import cos, pi, sin

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.dashboard.templatetags.figures import DASH, Number, fixed, money, percent, quantity

register = template.Library()

# The limit stands at four fifths of the half circle: there is room to show by how much it is exceeded.
FULL_SHARE = 1.25
MOST_PERCENT = 999

CENTRE_X, CENTRE_Y, RADIUS = 60.0, 58.0, 46.0
INNER, OUTER = 37.0, 56.0


_WRITERS = {"currency": money, "fraction": percent, "ratio": fixed, "quantity": quantity, "count": quantity}


@register.filter
def in_unit(value: Number, unit: str) -> str:
    """A limit's figure, by its kind's unit; static/dashboard/pages/portfolio-whatif.js writes them so too."""
    return _WRITERS[unit](value)


@register.simple_tag
def gauge(share: Number, warning_share: float, kind: str, label: str) -> SafeString:
    """`share` of the limit is used; `kind` is the class of the arc's colour."""
    arc = f"M{CENTRE_X - RADIUS:g} {CENTRE_Y:g}A{RADIUS:g} {RADIUS:g} 0 0 1 {CENTRE_X + RADIUS:g} {CENTRE_Y:g}"
    return format_html(
        '<svg class="gauge {}" role="img" aria-label="{}" viewBox="0 0 120 64">'
        '<path class="gauge-track" d="{}"></path>'
        '<path class="gauge-value" d="{}" pathLength="100" stroke-dasharray="{} 200"></path>{}{}'
        '<text x="60" y="56" text-anchor="middle" aria-hidden="true">{}</text></svg>',
        kind or "unknown",
        label,
        SafeString(arc),
        SafeString(arc),
        f"{100 * _place(share or 0.0):.1f}",
        _mark("gauge-warning", warning_share),
        _mark("gauge-limit", 1.0),
        _used(share),
    )


def _place(share: float) -> float:
    """Where along the half circle, from 0 to 1."""
    return min(max(share, 0.0), FULL_SHARE) / FULL_SHARE


def _mark(name: str, share: float) -> SafeString:
    angle = pi * (1 - _place(share))
    (x1, y1), (x2, y2) = ((CENTRE_X + radius * cos(angle), CENTRE_Y - radius * sin(angle)) for radius in (INNER, OUTER))
    return SafeString(f'<line class="{name}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"></line>')


def _used(share: Number) -> str:
    if share is None:
        return DASH
    return percent(share, 0) if 100 * share <= MOST_PERCENT else f"> {MOST_PERCENT} %"


@register.simple_tag
def weight_bar(part: float, value: Number) -> SafeString:
    """`part` in per cent of the greatest; beside the number, so that nobody needs to see it."""
    kind = "short" if value is not None and value < 0 else ""
    return SafeString(
        f'<svg class="weight {kind}" aria-hidden="true" preserveAspectRatio="none">'
        f'<rect width="{part:.1f}%" height="100%"></rect></svg>'
    )
