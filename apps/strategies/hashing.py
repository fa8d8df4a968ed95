"""The name that a version has by its content: whoever changes a version, or one before it, changes the name."""

import hashlib

from apps.portfolios.snapshots import canonical_json
from apps.strategies.models import StrategyVersion


def content_hash(
    *, code: str, parameters_text: str, message: str, author: str, parent_hash: str | None, merged_from_hash: str | None
) -> str:
    """SHA-256, 64 hex digits, over the canonical JSON of all six; None where there is no such version.

    The strategy's id and the time of creation are not in it: a history that is exported and imported under another id
    keeps its names, and whoever posts the same on the same parent twice, as after a lost answer, gets one version.
    """
    content = {
        "author": author,
        "code": code,
        "merged_from": merged_from_hash,
        "message": message,
        "parameters": parameters_text,
        "parent": parent_hash,
    }
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def hash_of(version: StrategyVersion, parent_hash: str | None, merged_from_hash: str | None) -> str:
    """The hash that this row's content should have."""
    return content_hash(
        code=version.code,
        parameters_text=version.parameters_text,
        message=version.message,
        author=version.author,
        parent_hash=parent_hash,
        merged_from_hash=merged_from_hash,
    )
