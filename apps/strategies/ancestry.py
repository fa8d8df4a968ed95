"""Who comes from whom among the versions of a strategy: by `parent`, and by `merged_from` for what a merge took in."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from apps.strategies.models import StrategyVersion


class Node(NamedTuple):
    """A version without its content."""

    id: int
    version: int
    hash: str
    parent_id: int | None
    merged_from_id: int | None
    canonical: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Ancestry:
    """Walks end at what is not of this strategy, and where they would go in a circle: history may be broken."""

    nodes: dict[int, Node]

    def main_line(self, head_id: int | None) -> list[Node]:
        """The version itself and its parents, up to the first."""
        line: dict[int, Node] = {}
        node = self.nodes.get(head_id or 0)
        while node is not None and node.id not in line:
            line[node.id] = node
            node = self.nodes.get(node.parent_id or 0)
        return list(line.values())

    def ancestors(self, version_id: int | None) -> set[int]:
        """Ids of all that the version contains, itself among them: parents, and what merges took in."""
        return {node.id for node in self._walk(version_id)}

    def _walk(self, version_id: int | None) -> Iterator[Node]:
        seen: set[int] = set()
        waiting = [version_id]
        while waiting:
            node = self.nodes.get(waiting.pop() or 0)
            if node is not None and node.id not in seen:
                seen.add(node.id)
                yield node
                waiting += [node.parent_id, node.merged_from_id]

    def base_of(self, head_id: int, branch_id: int) -> int:
        """The first on the branch's chain of parents that the head contains.

        It may be a version beside the main line: where one was merged and somebody goes on from it, what the main line
        has of it is no change of the main line's.
        """
        contained = self.ancestors(head_id)
        return next(node.id for node in self.main_line(branch_id) if node.id in contained)


def ancestry_of(strategy_id: str) -> Ancestry:
    rows = StrategyVersion.objects.filter(strategy_id=strategy_id).order_by("pk").values_list(*Node._fields)
    return Ancestry({row[0]: Node(*row) for row in rows})
