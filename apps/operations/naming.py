"""Findings that name portfolios: for those who may know of every portfolio there is."""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.operations.findings import Finding

MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class NamingFinding(Finding):
    """`cause` names them; `cause_for_all` says the same without names, for viewers and for the topic."""

    cause_for_all: str = ""


def for_all(finding: Finding) -> dict[str, str]:
    """The finding's words, without any portfolio's name."""
    words = finding.as_dict()
    return {**words, "cause": finding.cause_for_all} if isinstance(finding, NamingFinding) else words


def named(names: Sequence[str]) -> str:
    """The first MOST_NAMED of them, and how many more there are."""
    rest = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
