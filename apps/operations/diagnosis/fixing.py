"""What `manage.py doctor --fix` does, and says beforehand where it is only asked what it would do."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fix:
    """A finding's `fix`: `would` says what it does, in the imperative; `act` does it and says what it did."""

    would: str
    act: Callable[[], str]

    def __call__(self) -> str:
        return self.act()
