"""Strict input: unknown fields are refused, numbers are numbers, and a fault names the value."""

import math
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from nautilus.api.pages import unknown_name


class StrictSerializer(serializers.Serializer):
    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            known = {name for name, field in self.fields.items() if not field.read_only}
            unknown = {str(name): [unknown_name(str(name), known, "field")] for name in data if name not in known}
            if unknown:
                raise ValidationError(unknown)
        return super().to_internal_value(data)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


class NumberField(serializers.FloatField):
    """A finite JSON number; text that looks like one is refused, as are true and false."""

    default_error_messages = {
        "invalid": "{value} is not a number; expected a JSON number.",
        "min_value": "must be {min_value} or more.",
        "max_value": "must be {max_value} or less.",
    }

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid", value=_shown(data))
        try:
            value = float(data)
        except OverflowError:  # a whole number of 400 digits is valid JSON
            value = math.inf
        if not math.isfinite(value):
            self.fail("invalid", value=_shown(data))
        return value


class WholeNumberField(serializers.IntegerField):
    default_error_messages = {"invalid": "{value} is not a whole number; expected a JSON number such as 500."}

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int | float) or data != data or data % 1:
            self.fail("invalid", value=_shown(data))
        return int(data)


class AmountField(serializers.Field):
    """An amount, quantity or price: a JSON number in, an exact Decimal of at most 8 places inside."""

    default_error_messages = {
        "invalid": "{value} is not a number; expected a JSON number.",
        "places": "{value} has more than 8 decimal places.",
        "positive": "{value} is not above zero.",
        "zero": "{value} moves nothing; expected a number other than zero.",
        "too_large": "{value} is larger than 1e15.",
    }

    def __init__(self, *, positive: bool = False, zero: bool = True, **kwargs: Any) -> None:
        self.positive = positive
        self.zero = zero
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> Decimal:
        if isinstance(data, bool) or not isinstance(data, int | float | Decimal):
            self.fail("invalid", value=_shown(data))
        try:
            value = Decimal(repr(data) if isinstance(data, float) else data)
        except InvalidOperation:
            self.fail("invalid", value=_shown(data))
        if not value.is_finite():
            self.fail("invalid", value=_shown(data))
        self._check(value, data)
        return value

    def _check(self, value: Decimal, data: Any) -> None:
        if abs(value) > Decimal(10) ** 15:
            self.fail("too_large", value=_shown(data))
        if value != round(value, 8):
            self.fail("places", value=_shown(data))
        if self.positive and value <= 0:
            self.fail("positive", value=_shown(data))
        if not self.zero and value == 0:
            self.fail("zero", value=_shown(data))

    def to_representation(self, value: Decimal | float) -> float:
        return float(value)
