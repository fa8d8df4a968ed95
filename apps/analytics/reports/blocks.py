"""A table before it is a table of HTML or of PDF."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Cell:
    """`note` stands small beside the text; `tone` is `good`, `warning`, `bad` or nothing, and never says it alone."""

    text: str
    note: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """`columns` by title, those in `numeric` to the right; `empty` says why there is no row, `note` what to know."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numeric: Sequence[int] = ()
    note: str = ""
    empty: str = ""
    total: bool = False  # the last row is a sum

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "title": self.title,
            "columns": [{"title": title, "numeric": place in self.numeric} for place, title in enumerate(self.columns)],
            "rows": [self._row(row) for row in self.rows],
            "note": self.note,
            "empty": "" if self.rows else self.empty,
            "total": self.total,
        }

    def _row(self, row: Sequence[Cell]) -> list[dict[str, Any]]:
        return [{**asdict(cell), "numeric": place in self.numeric} for place, cell in enumerate(row)]
