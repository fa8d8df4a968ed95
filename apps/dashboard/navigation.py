"""The pages, in the order of the navigation, and who is shown which."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """`name` is the URL's name in the namespace `dashboard`; `icon` one of static/dashboard/icons.svg."""

    name: str
    title: str
    icon: str
    roles: tuple[str, ...] = ("viewer",)


ENTRIES = (
    Entry("overview", "Overview", "overview"),
    Entry("portfolio", "Portfolio", "portfolio"),
    Entry("performance", "Performance", "performance"),
    Entry("limits", "Limits and alerts", "limits"),
    Entry("strategies", "Strategies", "strategies", ("viewer", "operator")),
    Entry("tasks", "Tasks", "tasks", ("viewer", "operator")),
    Entry("operations", "Operations", "operations", ("viewer", "operator")),
)


def entries_for(roles: Collection[str]) -> list[Entry]:
    return [entry for entry in ENTRIES if not set(entry.roles).isdisjoint(roles)]
