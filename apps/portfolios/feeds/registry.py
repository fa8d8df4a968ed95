"""What a feed is, and the feeds by their public names."""

from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event
from typing import Any, Protocol

from apps.portfolios.quotes import QuoteBatch


class QuoteFeed(Protocol):
    """A source of live prices.

    `name` is also that of its lease: of several processes with a feed of this name one plays, the others wait.
    `source` is what users read in the feed's status. `batches` may block, but not for more than half a second once
    `stop` is set; it may end, and it is asked again after a lease was lost, to go on from where it was.
    """

    @property
    def name(self) -> str: ...

    @property
    def source(self) -> str: ...

    def batches(self, stop: Event) -> Iterator[QuoteBatch]: ...


@dataclass(frozen=True, slots=True)
class FeedKind:
    """`make` builds the feed from the options that `add_arguments` gave to the command line."""

    help: str
    add_arguments: Callable[[ArgumentParser], None]
    make: Callable[[dict[str, Any]], QuoteFeed]


FEEDS: dict[str, FeedKind] = {}


def register_feed(name: str, kind: FeedKind) -> None:
    FEEDS[name] = kind
