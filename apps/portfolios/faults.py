"""The faults found in the rows of a file: all are counted, the first hundred are told."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from apps.portfolios.errors import RowError
from nautilus.api.errors import DomainError, DomainErrors

LISTED = 100


class UnlistedFaultsError(DomainError):
    code = "more_faults"


class Faults:
    """Collects faults by row and column; `raise_any` ends the reading where there were some.

    `first_row` is the number that a user would give the first row of data: 2 in a CSV, whose header is row 1.
    """

    def __init__(self, first_row: int) -> None:
        self.first_row = first_row
        self.total = 0
        self._listed: list[RowError] = []

    def add(self, index: int, column: str | None, code: str, detail: str, remedy: str = "") -> None:
        """`index` counts the rows of data from 0."""
        self.add_all([index], column, code, lambda _: detail, remedy)

    def add_all(
        self, indices: Iterable[int], column: str | None, code: str, detail: Callable[[int], str], remedy: str = ""
    ) -> None:
        """The same fault in many rows of a column; `detail` is asked only for those that will be listed."""
        for count, index in enumerate(indices):
            self.total += 1
            if count < LISTED:
                self._list(RowError(code, self.first_row + int(index), column, detail(int(index)), remedy))

    def add_error(self, index: int, error: DomainError) -> None:
        """A fault that is an error elsewhere: the same code and words, with the row and column."""
        self.add(index, error.attr, error.code, error.detail, error.remedy)

    def _list(self, fault: RowError) -> None:
        self._listed.append(fault)
        if len(self._listed) > 10 * LISTED:
            self._keep_first()

    def _keep_first(self) -> None:
        self._listed = sorted(self._listed, key=lambda fault: fault.row)[:LISTED]

    def raise_any(self) -> None:
        if not self.total:
            return
        self._keep_first()
        told: list[DomainError] = list(self._listed)
        if self.total > len(told):
            told.append(UnlistedFaultsError(f"The first {len(told)} of {self.total} faults are listed."))
        raise DomainErrors(told, self.total)

    @contextmanager
    def checked(self) -> Iterator["Faults"]:
        yield self
        self.raise_any()
