"""The tear sheet as one HTML file: no script, no font, no picture from elsewhere."""

from functools import cache
from pathlib import Path
from typing import Any

from django.template import Context, Engine, Template
from django.utils.safestring import mark_safe

TEMPLATES = Path(__file__).parent / "templates"


@cache
def _template() -> Template:
    return Engine(dirs=[str(TEMPLATES)], autoescape=True).get_template("sheet.html")


def as_html(page: dict[str, Any]) -> bytes:
    """Every text of the page is escaped; only our own style sheet and drawings are markup."""
    charts = [{**chart, "svg": mark_safe(chart["svg"])} for chart in page["charts"]]  # noqa: S308 - drawn by us
    style = mark_safe((TEMPLATES / "sheet.css").read_text())  # noqa: S308 - a file of ours
    context = Context({"page": {**page, "charts": charts}, "style": style}, autoescape=True)
    return _template().render(context).encode()
