"""Readable ids that are given one after the other: STRATEGY_001, DEPLOY_001."""

import re

from django.db.models import BigIntegerField, Max, Model
from django.db.models.functions import Cast, Substr

_DIGITS = 18  # of the largest number that is looked for; BIGINT holds 19, not all of them


def next_number(model: type[Model], prefix: str) -> int:
    """One more than the greatest in the ids `prefix` + digits; 1 without any.

    Expects a lock held until the row is written, or two callers are given the same.
    """
    ids = model._default_manager.filter(pk__regex=rf"^{re.escape(prefix)}[0-9]{{1,{_DIGITS}}}$")
    number = Cast(Substr("pk", len(prefix) + 1), BigIntegerField())
    greatest: int | None = ids.aggregate(greatest=Max(number))["greatest"]
    return (greatest or 0) + 1


def next_id(model: type[Model], prefix: str) -> str:
    """As in STRATEGY_042, with three digits or more; expects what next_number does."""
    return f"{prefix}{next_number(model, prefix):03d}"


def number_of(name: str, prefix: str) -> int | None:
    """Of an id in the numbered form; None of any other."""
    match = re.fullmatch(rf"{re.escape(prefix)}([0-9]+)", name, re.ASCII)
    return int(match[1]) if match else None
