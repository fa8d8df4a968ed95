"""What tests read of a subscription."""

from nautilus_client import Gap, Item, Message, SyncSubscription

PATIENCE_SECONDS = 10.0


def take(items: SyncSubscription, count: int) -> list[Item]:
    return [item for _ in range(count) if (item := items.receive(PATIENCE_SECONDS))]


def seqs(items: list[Item]) -> list[int | None]:
    assert all(isinstance(item, Message) for item in items), items
    return [item.seq for item in items]


def gap(item: Item) -> tuple[int | None, str | None, str]:
    assert isinstance(item, Gap), item
    return item.seq, item.epoch, item.reason
