"""Publishes live figures as the analytics engine does, at an even rate, until SIGTERM; then says the last of each."""

import json
import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from typing import Any

import django

TICKS_PER_SECOND = 10


def main(rate: int, ids: list[str]) -> None:
    """`rate` is that of all portfolios together."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nautilus.settings")
    django.setup()
    from apps.realtime.topics import publish_many

    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    begun, ticks, sent, last = time.monotonic(), 0, 0, {}
    while not ended.wait(max(0.0, begun + ticks / TICKS_PER_SECOND - time.monotonic())):
        ticks += 1
        count = rate * ticks // TICKS_PER_SECOND - sent
        chosen = [ids[number % len(ids)] for number in range(sent, sent + count)]
        told = [(f"analytics:updates:{each}", figures(each, sent + place)) for place, each in enumerate(chosen)]
        publish_many(told)
        sent += count
        last |= {data["portfolio_id"]: data["value"] for _, data in told}
    json.dump({"sent": sent, "per_second": round(sent / (time.monotonic() - begun), 1), "last": last}, sys.stdout)


def figures(portfolio_id: str, number: int) -> dict[str, Any]:
    """With the names and the size of the engine's (apps/analytics/streaming/messages.py), other than those before."""
    value = 1_000_000.0 + 137 * (number % 1_000)
    var = 20_000.0 + 11 * (number % 900)
    return {
        "event": "analytics.updated",
        "portfolio_id": portfolio_id,
        "status": "live",
        "as_of": "2022-12-28",
        "quoted_at": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "source": "benchmark",
        "books_as_of": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "currency": "USD",
        "ledger_version": 1,
        "value": value,
        "cash": 1_000_000.0,
        "gross_exposure": value,
        "net_exposure": value,
        "day_pnl": 5_000.0 - 10 * (number % 1_000),
        "day_pnl_pct": 0.005 - 0.00001 * (number % 1_000),
        "drawdown": -0.05,
        "var_95": 0.7 * var,
        "var_99": var,
        "var_99_pct": var / value,
        "expected_shortfall_975": 1.1 * var,
        "stale_symbols": [],
        "stale_count": 0,
        "reasons": {},
        "gap": None,
    }


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
