"""`python -m nautilus_client ws://localhost:8001 TOPIC`: prints a topic's messages, one JSON object a line."""

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from nautilus_client.errors import NautilusError
from nautilus_client.items import Gap, Item
from nautilus_client.sync import Client

EPILOG = """
A message is {"topic", "seq", "epoch", "timestamp", "data"}. Where messages are missing, a line
{"gap": reason, "topic", "seq", "epoch"} says so. Ends with Ctrl-C, after --count lines, or with status 1 and one
line on standard error where the server refuses.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    try:
        _tail(asked)
    except (NautilusError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:  # `| head` has seen enough; nor may Python complain of it when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _tail(asked: argparse.Namespace) -> None:
    with (
        Client(asked.url, token=asked.token, retries=asked.retries) as client,
        client.subscribe(
            asked.topic, filters=asked.filters, batch=asked.batch, since=asked.since, epoch=asked.epoch
        ) as items,
    ):
        _print(islice(items, asked.count))


def _print(items: Iterable[Item]) -> None:
    for item in items:
        sys.stdout.write(f"{json.dumps(_line(item))}\n")
        sys.stdout.flush()


def _line(item: Item) -> dict[str, Any]:
    told = dataclasses.asdict(item)
    return {"gap": told.pop("reason"), **told} if isinstance(item, Gap) else told


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m nautilus_client", description=__doc__, epilog=EPILOG)
    parser.add_argument("url", help="the server, e.g. ws://localhost:8001")
    parser.add_argument("topic", metavar="TOPIC", help="e.g. system:health, risk:alerts:PORTFOLIO_001 or 'news*'")
    parser.add_argument("--filters", type=_filters, metavar="JSON", help="""e.g. '{"severity": "critical"}'""")
    parser.add_argument("--since", type=int, metavar="N", help="go on after this seq; 0: all that the server keeps")
    parser.add_argument("--epoch", help="the epoch that --since belongs to")
    parser.add_argument("--batch", action="store_true", help="let the server send in batches")
    parser.add_argument("--count", type=int, metavar="N", help="end after so many lines")
    parser.add_argument("--retries", type=int, metavar="N", help="give up after so many failures in a row")
    parser.add_argument(
        "--token",
        default=os.environ.get("NAUTILUS_TOKEN"),
        help="a bearer token; better in the environment as NAUTILUS_TOKEN, where other users cannot see it",
    )
    return parser


def _filters(text: str) -> dict[str, Any]:
    filters = json.loads(text)
    if not isinstance(filters, dict):
        raise argparse.ArgumentTypeError(f"{text} is no JSON object")
    return filters


if __name__ == "__main__":
    sys.exit(main())
