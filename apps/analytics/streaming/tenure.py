"""The shards that this engine publishes at the moment, and what lay between the last publish before and its first."""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from redis import Redis

from apps.analytics.streaming.leases import Kept, Taken, engine_of, keep_leases, let_go
from apps.analytics.streaming.messages import gap_of

logger = logging.getLogger(__name__)


class Before(NamedTuple):
    """The last publish of a shard before this engine's first: None where none is known."""

    at_us: int | None
    reason: str


class Tenure:
    """Leases by shard, as of the last renewal: whether one still holds is decided by the step that publishes."""

    def __init__(self, engine_id: str, client: Redis) -> None:
        self.engine_id = engine_id
        self.leases: dict[int, str] = {}
        self.kept: Kept | None = None
        self._client = client
        self._before: dict[int, Before] = {}
        self._last_us: dict[int, int] = {}
        self._interruption = ""

    def keep(self) -> set[int]:
        """Renews, gives up and takes; answers with the shards that begin anew. Raises RedisError."""
        had, kept = self.leases, keep_leases(self.engine_id, self._client)
        self.kept, self.leases = kept, dict(kept.leases)
        taken = {one.shard: self._before_taken(one) for one in kept.taken}
        held_on = {shard: self._before_interruption(shard) for shard in had if self._interruption}
        begun = held_on | taken
        self._before |= {shard: before for shard, before in begun.items() if shard in self.leases}
        self._log(kept, taken)
        self._interruption = ""
        return set(begun) & set(self.leases)

    def interrupt(self, why: str) -> None:
        """Nothing could be published for a while; the next updates say so."""
        self._interruption = self._interruption or why

    def published(self, shard: int, at_us: int) -> None:
        self._last_us[shard] = at_us

    def lose(self, shard: int, lease: str) -> None:
        """The fence says that the lease is another's now."""
        if self.leases.get(shard) == lease:
            del self.leases[shard]

    def let_go(self, why: str) -> None:
        """Raises RedisError."""
        let_go(self.engine_id, self.leases, why, self._client)
        self.leases = {}

    def gap(self, shard: int, now_us: int) -> Mapping[str, Any]:
        before = self._before.get(shard, Before(None, "nothing is known of any update before"))
        return gap_of(before.at_us, now_us, before.reason)

    def _before_taken(self, taken: Taken) -> Before:
        at_us = max(taken.at_us or 0, self._last_us.get(taken.shard, 0)) or None
        if at_us is None:
            return Before(None, "nothing is known of any update before")
        if taken.at_us is None:
            return Before(at_us, "Redis lost what it held")
        return Before(at_us, self._how_it_ended(taken))

    def _how_it_ended(self, taken: Taken) -> str:
        engine = engine_of(taken.by)
        if engine == self.engine_id and not taken.ended:
            return self._interruption or "this engine stood still"
        return f"{engine} {'fell silent' if not taken.ended else taken.ended}"

    def _before_interruption(self, shard: int) -> Before:
        return Before(self._last_us.get(shard), self._interruption)

    def _log(self, kept: Kept, taken: Mapping[int, Before]) -> None:
        if not taken:
            return
        reasons = sorted({before.reason for before in taken.values()})
        logger.info(
            "%s took %d shards and has %d of a share of %d beside %d other engines: %s",
            self.engine_id, len(taken), len(kept.leases), kept.share, kept.alive - 1, "; ".join(reasons),
        )  # fmt: skip
