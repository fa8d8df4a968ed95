"""matplotlib as the reports use it: SVG alone, the same bytes for the same figures, no state but the style set here.

Imported inside the job only: it takes most of a second and 40 MB, which a worker that draws nothing need not have.
`Figure` objects and no pyplot, as that keeps its figures for all threads together.
"""

import io
import os
import re
from typing import Any

from django.conf import settings

# Where matplotlib keeps its list of fonts, which takes seconds to make: a home directory may be read-only.
os.environ.setdefault("MPLCONFIGDIR", str(settings.NAUTILUS_HOME / "matplotlib"))

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, DayLocator
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from apps.analytics.reports.numbers import MINUS

OWN, OTHER, LOSS, INK, FAINT = "#1b4f8a", "#c2570c", "#b3263a", "#374151", "#dfe3e8"

# Inches: two in a row of A4 and of a wide window, one on a phone; 8 points stay readable in all three.
WIDTH, HEIGHT = 4.6, 2.45

matplotlib.rcParams.update(
    {
        "svg.hashsalt": "nautilus",  # else ids are random and no two files are alike
        "svg.fonttype": "path",  # looks the same where the font is not installed
        "font.family": "DejaVu Sans",
        "font.size": 8,
        "text.parse_math": False,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": "#9aa3af",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.titlesize": 8,
        "grid.color": FAINT,
        "grid.linewidth": 0.6,
        "xtick.color": INK,
        "ytick.color": INK,
        "xtick.labelsize": 7.5,
        "ytick.labelsize": 7.5,
        "legend.fontsize": 7.5,
        "legend.frameon": False,
        "lines.linewidth": 1.1,
    }
)


def new_axes() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    FigureCanvasSVG(figure)
    return figure, figure.add_subplot()


def as_svg(figure: Figure, name: str) -> str:
    """The drawing as an element for a page: no prolog, and no id that another drawing of the page has as well."""
    file = io.StringIO()
    nothing: Any = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(file, format="svg", metadata=nothing)
    text = file.getvalue()
    text = re.sub(r'<g id="[^"]*">', "<g>", text[text.index("<svg") :])
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    return re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", text)


def percent_axis(axis: Any) -> None:
    axis.set_major_formatter(FuncFormatter(lambda value, _: _percent(value)))


def _percent(value: float) -> str:
    shown = f"{abs(value) * 100:,.6g}" if abs(value) < 1e6 else f"{abs(value) * 100:.1e}"
    return f"{MINUS if value < 0 else ''}{shown}%"


def whole_axis(axis: Any) -> None:
    axis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def date_axis(axes: Axes, days: int) -> None:
    """No hours on the axis of a few days."""
    locator = DayLocator() if days <= 6 else AutoDateLocator(minticks=3, maxticks=7)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.margins(x=0.01)


def legend_above(axes: Axes) -> None:
    """Above the drawing, where no line can run through it."""
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 0.99), ncols=4, borderaxespad=0, handlelength=2.2)
