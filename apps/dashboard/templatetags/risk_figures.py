"""Words and colours of risk results."""

from django import template

from apps.dashboard.pages.portfolio_results import method_title
from apps.dashboard.templatetags.figures import DASH

register = template.Library()

register.filter("method_title", method_title)

_LIGHTS = {"green": "good", "yellow": "warning", "red": "bad"}


@register.filter
def light(zone: str) -> str:
    """The colour of a zone of the supervisor's traffic light."""
    return _LIGHTS.get(zone, "")


@register.filter
def small_percent(value: float | None) -> str:
    """A probability as percent, with as many digits as it needs to be more than zero."""
    return DASH if value is None else f"{100 * value:.2g} %"
