"""Fields that several requests have."""

from typing import Any

from rest_framework import serializers

from apps.strategies.versions import LARGEST_VERSION
from nautilus.api.serializers import NumberField, StrictSerializer, WholeNumberField


class NothingSerializer(StrictSerializer):
    """No field: the path says it all."""


class CodeField(serializers.CharField):
    """Text as it was written; a number is no code."""

    default_error_messages = {"invalid": "{value!r} is not text; expected the source as a JSON string."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


class ParametersField(serializers.DictField):
    default_error_messages = {"not_a_dict": 'This is a {input_type}; expected a JSON object such as {{"days": 60}}.'}


class OneOfField(serializers.ChoiceField):
    """Says which choices there are."""

    def __init__(self, choices: Any, **kwargs: Any) -> None:
        super().__init__(choices, **kwargs)
        self.error_messages["invalid_choice"] = f"'{{input}}' is not one of {', '.join(self.choices)}."


def bounds_in_words(low: float, high: float, unit: str) -> dict[str, Any]:
    """The error messages of a number that has both bounds."""
    outside = f"%(value)s is not between {low:g} and {high:g} {unit}."
    return {"min_value": outside, "max_value": outside}


class VersionNumberField(WholeNumberField):
    default_error_messages = {
        "min_value": "%(value)s is no version: they count from {min_value}.",
        "max_value": "%(value)s is no version: there is none above {max_value}.",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=1, max_value=LARGEST_VERSION, **kwargs)


class ShareField(NumberField):
    default_error_messages = {"share": "{value} is not between 0 and 1; expected a part such as 0.1."}

    def to_internal_value(self, data: Any) -> float:
        value = super().to_internal_value(data)
        if not 0 < value < 1:
            self.fail("share", value=value)
        return value
