"""The exact inputs of a figure, and their name: equal inputs have equal names (design.md, decision 7)."""

import hashlib
import json
from typing import Any

from apps.portfolios.models import Snapshot


def snapshot_id(kind: str, inputs: dict[str, Any]) -> str:
    """SHA-256 over the canonical JSON of kind and inputs: 64 hex digits.

    Raises ValueError for NaN and infinity, TypeError for what is not JSON (a Decimal or a date: say it as text).
    """
    return hashlib.sha256(canonical_json({"kind": kind, "inputs": inputs}).encode()).hexdigest()


def canonical_json(value: Any) -> str:
    """One text for one value: keys sorted, no spaces, floats in their shortest exact form, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def keep_snapshot(kind: str, portfolio_id: str, inputs: dict[str, Any], result: dict[str, Any]) -> None:
    """The snapshot of these inputs, kept now where there was none; the first result stays."""
    if inputs.get("portfolio_id") != portfolio_id:
        raise ValueError(
            f"inputs name portfolio {inputs.get('portfolio_id')!r}; expected {portfolio_id!r}, whose they are"
        )
    canonical_json(result)
    snapshot = Snapshot(
        id=snapshot_id(kind, inputs), kind=kind, portfolio_id=portfolio_id, inputs=inputs, result=result
    )
    # One statement, whether it is new or known: the insert stands in every job's last transaction.
    Snapshot.objects.bulk_create([snapshot], ignore_conflicts=True)
