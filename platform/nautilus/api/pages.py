"""Lists: pages, filters and order by query parameter; a parameter that does not exist is refused."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.filters import OrderingFilter
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request
from rest_framework.views import APIView

PAGE_PARAMETERS = {"page", "page_size", "ordering", "format"}


class Pages(PageNumberPagination):
    page_size = 100
    page_size_query_param = "page_size"
    max_page_size = 500


def unknown_name(name: str, known: Iterable[str], what: str) -> ErrorDetail:
    """The refusal of a name that does not exist, with the nearest one that does."""
    known = sorted(known)
    near = get_close_matches(name, known, 1, 0.6)
    hint = f"did you mean '{near[0]}'?" if near else f"expected one of {', '.join(known) or 'none'}."
    return ErrorDetail(f"'{name}' is not a {what} here; {hint}", "unknown_" + what)


def refuse_unknown_parameters(request: Request, known: Iterable[str]) -> None:
    known = set(known)
    faults = {name: [unknown_name(name, known, "parameter")] for name in request.query_params if name not in known}
    if faults:
        raise ValidationError(faults)


class StrictFilters(DjangoFilterBackend):
    def filter_queryset(self, request: Request, queryset: QuerySet, view: APIView) -> QuerySet:
        filterset_class = self.get_filterset_class(view, queryset)
        filters = set(filterset_class.base_filters) if filterset_class else set()
        refuse_unknown_parameters(request, filters | PAGE_PARAMETERS)
        return super().filter_queryset(request, queryset, view)


class StrictOrdering(OrderingFilter):
    def remove_invalid_fields(self, queryset: QuerySet, fields: Iterable[str], view: APIView, request: Request) -> Any:
        valid = [name for name, _ in self.get_valid_fields(queryset, view, {"request": request})]
        for field in fields:
            name = field.removeprefix("-")
            if name not in valid:
                raise ValidationError({"ordering": [unknown_name(name, valid, "field")]})
        return fields
