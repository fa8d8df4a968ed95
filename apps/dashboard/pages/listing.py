"""Lists that the address filters, orders and pages: `?kind=var_99&ordering=-used&page=2`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django_filters.rest_framework import FilterSet

from apps.portfolios.names import is_portfolio_id
from nautilus.api.errors import DomainError


class FilterError(DomainError):
    """The address asks for what a list cannot be filtered or ordered by."""

    code = "invalid_filter"


@dataclass(frozen=True, slots=True)
class Heading:
    """Of a column: `href` orders by it, `sorted` is what `aria-sort` says."""

    name: str
    title: str
    href: str
    sorted: str


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of a list; `before` and `after` are the addresses of the pages beside it, empty where there is none."""

    rows: list[Any]
    count: int
    first: int
    last: int
    before: str
    after: str


def address(request: HttpRequest, **changes: str) -> str:
    """The address of this page with these parameters; an empty one is left out."""
    asked = {**request.GET.dict(), **changes}
    return f"{request.path}?{urlencode({name: value for name, value in asked.items() if value})}"


def filtered(filterset: FilterSet) -> QuerySet[Any]:
    """Raises FilterError in the form's words for what cannot be filtered by."""
    if filterset.is_valid():
        return filterset.qs
    name, faults = next(iter(filterset.errors.items()))
    raise FilterError(f"{name}: {faults[0]}", "Choose among what the filters offer.", name)


def choice(request: HttpRequest, name: str, known: Mapping[str, Any] | list[str]) -> str:
    """What the address has chosen, empty where nothing; raises FilterError for what is not known."""
    asked = request.GET.get(name, "")
    if asked and asked not in known:
        raise FilterError(f"'{asked[:40]}' is no {name} here.", f"Expected one of {', '.join(known)}.", name)
    return asked


def portfolio_choice(request: HttpRequest) -> str:
    """The portfolio that the list is filtered by, empty for all; one that is not there finds nothing."""
    asked = request.GET.get("portfolio_id", "")
    if asked and not is_portfolio_id(asked):
        raise FilterError(f"'{asked[:40]}' is no portfolio_id.", "Choose one of the portfolios.", "portfolio_id")
    return asked


def order(name: str, columns: Mapping[str, Any]) -> Any:
    """By `columns[name]`, or downwards by that of `-name`; what has no value comes last."""
    column = columns[name.removeprefix("-")]
    return (column.desc if name.startswith("-") else column.asc)(nulls_last=True)


def headings(request: HttpRequest, titles: Mapping[str, str], ordering: str) -> dict[str, Heading]:
    """By name; a title's order is what its first click asks for, `-used` say, and each further one turns it round."""
    return {asked.removeprefix("-"): _heading(request, asked, title, ordering) for asked, title in titles.items()}


def _heading(request: HttpRequest, first: str, title: str, ordering: str) -> Heading:
    name = first.removeprefix("-")
    if ordering.removeprefix("-") != name:
        return Heading(name, title, address(request, ordering=first, page=""), "none")
    is_down = ordering.startswith("-")
    turned = address(request, ordering=name if is_down else f"-{name}", page="")
    return Heading(name, title, turned, "descending" if is_down else "ascending")


def paged(request: HttpRequest, rows: QuerySet[Any], size: int) -> Listed:
    """The page that the address asks for; the nearest one where there is no such."""
    page = Paginator(rows, size).get_page(request.GET.get("page"))
    return Listed(
        list(page.object_list),
        page.paginator.count,
        page.start_index(),
        page.end_index(),
        address(request, page=str(page.previous_page_number())) if page.has_previous() else "",
        address(request, page=str(page.next_page_number())) if page.has_next() else "",
    )
