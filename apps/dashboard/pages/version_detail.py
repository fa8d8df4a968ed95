"""What stands beside the graph of versions: one of them with its code, or two against each other."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Max, Q, QuerySet
from django.http import HttpRequest

from apps.strategies.api.queries import versions_as_shown
from apps.strategies.errors import VersionNotFoundError
from apps.strategies.models import Strategy, StrategyVersion
from apps.strategies.showing.comparison import Comparison, as_json, compare
from apps.strategies.versions import get_version

Choices = Sequence[tuple[int, str]]

LONGEST_NUMBER = 9  # digits
LONGEST_MESSAGE = 60  # in a list to choose from
OFFERED = 200  # of thousands each list to choose from would be a megabyte


@dataclass(frozen=True, slots=True)
class VersionDetail:
    """`comparison` of `left` and `right`, or where there is none the code of `right`; `choices` to compare."""

    right: StrategyVersion
    left: StrategyVersion | None
    comparison: Comparison | None
    choices: Choices

    @property
    def lines(self) -> list[str]:
        return self.right.code.removesuffix("\n").split("\n")

    @property
    def parameters(self) -> list[tuple[str, str]]:
        return [(name, as_json(value)) for name, value in sorted(self.right.parameters.items())]

    @property
    def compared_with(self) -> int:
        """What the form begins with on its left."""
        return _compared_with(self.left, self.right)


def version_detail(request: HttpRequest, strategy: Strategy) -> VersionDetail | None:
    """`?version=3` is that one's code; `?from=1&to=3` what differs, by itself what the head changed.

    None for a strategy without versions. Raises VersionNotFoundError.
    """
    asked = request.GET
    if (number := asked.get("version")) is not None:
        return _code(strategy, _named(strategy, number))
    head = _head(strategy)
    if head is None:
        return None
    right = _named(strategy, asked["to"]) if asked.get("to") else head
    left = _named(strategy, asked["from"]) if asked.get("from") else right.parent
    return _code(strategy, right) if left is None else _compared(strategy, left, right, "whole" in asked)


def _code(strategy: Strategy, version: StrategyVersion) -> VersionDetail:
    return VersionDetail(version, None, None, _choices(strategy, None, version))


def _compared(strategy: Strategy, left: StrategyVersion, right: StrategyVersion, is_whole: bool) -> VersionDetail:
    return VersionDetail(right, left, compare(left, right, whole=is_whole), _choices(strategy, left, right))


def offered_versions(strategy: Strategy, *also: int) -> QuerySet[StrategyVersion]:
    """The newest, and these."""
    newest = StrategyVersion.objects.filter(strategy=strategy).aggregate(number=Max("version", default=0))["number"]
    return versions_as_shown(strategy.pk).filter(Q(version__gt=newest - OFFERED) | Q(version__in=also))


def _compared_with(left: StrategyVersion | None, right: StrategyVersion) -> int:
    return (left or right.parent or right).version


def _choices(strategy: Strategy, left: StrategyVersion | None, right: StrategyVersion) -> Choices:
    offered = offered_versions(strategy, _compared_with(left, right), right.version)
    return [(version, _short(message)) for version, message in offered.values_list("version", "message")]


def _short(message: str) -> str:
    return message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]}…"


def _named(strategy: Strategy, number: str) -> StrategyVersion:
    if not (number.isascii() and number.isdecimal() and len(number) <= LONGEST_NUMBER):
        raise VersionNotFoundError(strategy.pk, number[:LONGEST_MESSAGE])
    return _shown(strategy, get_version(strategy.pk, int(number)))


def _head(strategy: Strategy) -> StrategyVersion | None:
    return None if strategy.head is None else _shown(strategy, strategy.head)


def _shown(strategy: Strategy, version: StrategyVersion) -> StrategyVersion:
    """With its parents' numbers, and whether it is the head."""
    return versions_as_shown(strategy.pk).defer(None).get(pk=version.pk)
