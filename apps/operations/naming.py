"""Findings that name what is of one desk: for those who may know of every portfolio there is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.operations.findings import Finding

MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class NamingFinding(Finding):
    """`cause` names them; `cause_for_all` says the same without names, for viewers and for the topic.

    Where symptom or remedy name something of one desk as well, or quote somebody, there are words for all too.
    """

    cause_for_all: str = ""
    symptom_for_all: str = ""
    remedy_for_all: str = ""


def words_for_all(finding: Finding) -> dict[str, Any]:
    """The finding's words as viewers and the topic have them."""
    words: dict[str, Any] = finding.as_dict()
    if not isinstance(finding, NamingFinding):
        return words
    told = {"symptom": finding.symptom_for_all, "remedy": finding.remedy_for_all}
    return {**words, "cause": finding.cause_for_all, **{name: text for name, text in told.items() if text}}


def named(names: Sequence[str]) -> str:
    """The first MOST_NAMED of them, and how many more there are."""
    rest = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
