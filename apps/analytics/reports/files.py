"""A sheet as files, one a format."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from apps.analytics.models import Report
from apps.analytics.reports.csv_file import as_csv

Format = Report.Format

CONTENT_TYPES = {
    Format.HTML: "text/html; charset=utf-8",
    Format.PDF: "application/pdf",
    Format.CSV: "text/csv; charset=utf-8",
    Format.JSON: "application/json",
}

# Steps that `make_files` says it has come to.
STEPS = ("drawing charts", "writing html", "setting the pdf", "writing csv and json")


def make_files(sheet: dict[str, Any], made_at: datetime, say: Callable[[str], None]) -> dict[str, bytes]:
    """All formats at once, as most of the work is the drawings and the page that two of them share."""
    from apps.analytics.reports.html import as_html
    from apps.analytics.reports.page import make_page
    from apps.analytics.reports.pdf import as_pdf

    say(STEPS[0])
    page = make_page(sheet)
    say(STEPS[1])
    files = {Format.HTML: as_html(page)}
    say(STEPS[2])
    files[Format.PDF] = as_pdf(page, made_at)
    say(STEPS[3])
    files[Format.CSV] = as_csv(sheet)
    files[Format.JSON] = json.dumps(sheet, allow_nan=False, ensure_ascii=False).encode()
    return {str(name): content for name, content in files.items()}
