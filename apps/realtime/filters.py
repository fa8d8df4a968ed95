"""Which messages of a topic a subscriber wants: conditions on paths of the data, all of which must hold.

    {"severity": "critical"}
    {"var": {"gt": 1000}, "limits.breached": {"gte": 1}}
    {"symbol": {"in": ["AAPL", "MSFT"]}}

A path goes down by dots, into lists by number (`positions.0.symbol`); one that is not there counts as null. Numbers
are compared with numbers and text with text (dates and times in ISO form are text); anything else is no match.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from apps.realtime.wording import shown

MAX_CONDITIONS = 20
MAX_CHOICES = 500
MAX_PATH_LENGTH = 200

_EXAMPLE = '{"severity": "critical"} or {"var": {"gt": 1000}}'


class BadFilterError(ValueError):
    """Filters that cannot be followed."""


def _equal(value: Any, wanted: Any) -> bool:
    # Python's True is 1; JSON's is not.
    return value == wanted and isinstance(value, bool) is isinstance(wanted, bool)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def holds(value: Any, bound: Any) -> bool:
        return _order_of(value) == _order_of(bound) != "" and compare(value, bound)

    return holds


def _order_of(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else ""


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": _equal,
    "ne": lambda value, wanted: not _equal(value, wanted),
    "gt": _ordered(lambda value, bound: value > bound),
    "gte": _ordered(lambda value, bound: value >= bound),
    "lt": _ordered(lambda value, bound: value < bound),
    "lte": _ordered(lambda value, bound: value <= bound),
    "in": lambda value, choices: any(_equal(value, choice) for choice in choices),
}


@dataclass(frozen=True, slots=True)
class Condition:
    path: str
    operator: str
    operand: Any

    def holds(self, data: Any) -> bool:
        return OPERATORS[self.operator](_value_at(data, self.path), self.operand)


@dataclass(frozen=True, slots=True)
class Filter:
    conditions: tuple[Condition, ...]

    def matches(self, data: Any) -> bool:
        return all(condition.holds(data) for condition in self.conditions)


def parse_filters(given: Any) -> Filter | None:
    """The filter that `filters` of a request says, None for none; raises BadFilterError."""
    if given is None or given == {}:
        return None
    if not isinstance(given, dict):
        raise BadFilterError(f"filters: {shown(given)}; expected an object such as {_EXAMPLE}.")
    conditions = tuple(condition for path, wanted in given.items() for condition in _conditions(path, wanted))
    if len(conditions) > MAX_CONDITIONS:
        raise BadFilterError(f"filters: {len(conditions)} conditions; expected at most {MAX_CONDITIONS}.")
    return Filter(conditions)


def _conditions(path: str, wanted: Any) -> list[Condition]:
    if not 1 <= len(path) <= MAX_PATH_LENGTH:
        raise BadFilterError(f"filters: {shown(path)} is no path; expected 1 to {MAX_PATH_LENGTH} characters.")
    if not isinstance(wanted, dict):
        return [_condition(path, "eq", wanted)]
    if not wanted:
        raise BadFilterError(f"filters.{path}: no operator; expected one of {', '.join(OPERATORS)}.")
    return [_condition(path, operator, operand) for operator, operand in wanted.items()]


def _condition(path: str, operator: str, operand: Any) -> Condition:
    if operator not in OPERATORS:
        raise BadFilterError(
            f"filters.{path}: operator {shown(operator)} does not exist; expected one of {', '.join(OPERATORS)}."
        )
    _CHECKS.get(operator, _check_order)(f"filters.{path}.{operator}", operand)
    return Condition(path, operator, operand)


def _check_value(name: str, operand: Any) -> None:
    if isinstance(operand, dict | list):
        raise BadFilterError(f"{name}: {shown(operand)}; expected text, a number, true, false or null.")


def _check_order(name: str, operand: Any) -> None:
    if not _order_of(operand):
        raise BadFilterError(f"{name}: {shown(operand)}; expected a number or text.")


def _check_choices(name: str, operand: Any) -> None:
    if not isinstance(operand, list) or not 1 <= len(operand) <= MAX_CHOICES:
        raise BadFilterError(f"{name}: {shown(operand)}; expected a list of 1 to {MAX_CHOICES} values.")
    for choice in operand:
        _check_value(name, choice)


_CHECKS = {"eq": _check_value, "ne": _check_value, "in": _check_choices}


def _value_at(data: Any, path: str) -> Any:
    if isinstance(data, Mapping) and path in data:
        return data[path]  # also a key that holds dots itself
    for name in path.split("."):
        if isinstance(data, Mapping):
            data = data.get(name)
        elif isinstance(data, list) and name.isdecimal() and int(name) < len(data):
            data = data[int(name)]
        else:
            return None
    return data
