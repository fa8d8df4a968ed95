"""The chain that versions are added to. Who adds holds the strategy's row: there is one next version, and one head."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from apps.portfolios.names import is_portfolio_id
from apps.strategies.contents import Content
from apps.strategies.errors import StrategyNotFoundError
from apps.strategies.hashing import content_hash
from apps.strategies.models import Strategy, StrategyVersion


def lock_strategy(strategy_id: str) -> Strategy:
    """Its row, held until the transaction ends; rows that refer to it may still be written (FOR NO KEY UPDATE).

    Raises StrategyNotFoundError.
    """
    found = Strategy.objects.select_for_update(no_key=True).filter(pk=strategy_id)
    strategy = found.first() if is_portfolio_id(strategy_id) else None
    if strategy is None:
        raise StrategyNotFoundError(strategy_id)
    return strategy


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody posts; with its parents it has a hash."""

    content: Content
    message: str
    author: str

    def hash_on(self, parent: StrategyVersion | None, merged_from: StrategyVersion | None = None) -> str:
        return content_hash(
            code=self.content.code,
            parameters_text=self.content.parameters_text,
            message=self.message,
            author=self.author,
            parent_hash=parent.hash if parent else None,
            merged_from_hash=merged_from.hash if merged_from else None,
        )


def add_version(
    strategy: Strategy,
    draft: Draft,
    *,
    parent: StrategyVersion | None,
    merged_from: StrategyVersion | None = None,
    canonical: bool,
    user: Any = None,
    created_at: datetime | None = None,
) -> StrategyVersion:
    """Expects the strategy's row held. A canonical version is the new head."""
    version = StrategyVersion.objects.create(
        strategy=strategy,
        parent=parent,
        merged_from=merged_from,
        hash=draft.hash_on(parent, merged_from),
        code=draft.content.code,
        parameters_text=draft.content.parameters_text,
        message=draft.message,
        author=draft.author,
        canonical=canonical,
        created_by=user,
        **_next(strategy, created_at or timezone.now()),
    )
    if canonical:
        strategy.head = version
        strategy.save(update_fields=["head"])
    return version


def _next(strategy: Strategy, now: datetime) -> dict[str, Any]:
    """The next number, and a time that is not before the last one's, whose clock may go ahead: history orders by it."""
    last = strategy.versions.order_by("-version").values_list("version", "created_at").first()
    number, before = last or (0, now)
    return {"version": number + 1, "created_at": max(now, before)}
