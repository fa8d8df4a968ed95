"""The monthly heat map: a table of years by months whose cells have colours, text in HTML and PDF alike."""

from typing import Any

from apps.analytics.reports.drawing import matplotlib
from apps.analytics.reports.numbers import plain

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# Returns from here on have the full colour: else one month of a crash leaves all others pale.
FULL_COLOUR_AT = 0.10


def heat_map(sheet: dict[str, Any]) -> list[dict[str, Any]]:
    """A row a year, the newest first: its label, and 13 cells, those of the months and that of the year.

    A cell has its text in per cent, its colour and the colour of its ink; text and colours are empty where the
    period has no day.
    """
    months = {(row["year"], row["month"]): row["return"] for row in sheet["performance"]["monthly_returns"]}
    yearly = {row["year"]: row["return"] for row in sheet["yearly_returns"]}
    return [
        {
            "year": str(year),
            "cells": [_cell(months.get((year, month))) for month in range(1, 13)] + [_cell(yearly[year], 3.0)],
        }
        for year in sorted(yearly, reverse=True)
    ]


def _cell(value: float | None, scale: float = 1.0) -> dict[str, str]:
    if value is None:
        return {"text": "", "fill": "#ffffff", "ink": "#374151"}
    shade = max(-1.0, min(1.0, value / (FULL_COLOUR_AT * scale)))
    # The ends of the scale are too dark for text on them; red and blue are told apart by all.
    colour = matplotlib.colormaps["RdBu"](0.5 + shade * 0.36)
    light = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    return {
        "text": plain(value * 100, 1),
        "fill": matplotlib.colors.to_hex(colour),
        "ink": "#111827" if light > 0.55 else "#ffffff",
    }
