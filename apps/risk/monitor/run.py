"""One run of the monitor: take the turn, see, write, remember, tell."""

import logging
import os
import socket
import time
from collections import Counter
from typing import Any

from apps.realtime.topics import Encoded, encode, publish_all
from apps.risk.figures import NotMeasurableError
from apps.risk.models import RiskLimit
from apps.risk.monitor.memory import Memory
from apps.risk.monitor.record import Written, write
from apps.risk.monitor.seeing import Seen, see
from apps.risk.monitor.turns import Renewal, Turn, TurnLostError, fail_turn, give_up, take_turn
from apps.risk.monitor.verdicts import Standing
from apps.risk.monitoring import agree_on_flag

logger = logging.getLogger(__name__)

_memory = Memory()


def run_monitor(memory: Memory = _memory) -> str:
    """What came of it, in words. A run that fails says why in the monitor's row, and the next one starts afresh."""
    turn = take_turn(f"{socket.gethostname()}:{os.getpid()}")
    if turn is None:
        return "another run goes on"
    try:
        return _run(turn, memory)
    except TurnLostError:
        logger.warning("The monitor's run %d was replaced or stopped: it writes nothing", turn.epoch)
        give_up(turn)
        return "replaced"
    except Exception as error:
        logger.exception("The monitor's run %d failed", turn.epoch)
        fail_turn(turn, error)
        return f"failed: {error}"


def _run(turn: Turn, memory: Memory) -> str:
    if not agree_on_flag():
        give_up(turn)
        return "monitoring is stopped"
    begun = time.monotonic()
    with Renewal(turn):
        seen = see(memory)
    written = write(turn, seen, time.monotonic() - begun)
    memory.keep({each: standing.book for each, standing in seen.standings.items()})
    _tell(seen, written)
    return f"{len(seen.standings)} portfolios, {len(seen.measured)} measured, {len(written.verdicts)} limits changed"


def _tell(seen: Seen, written: Written) -> None:
    """Publishes what changed; while Redis is away it waits, as the next run tells only what has changed by then."""
    updates = [(each, _encoded(each, _update(seen, written, each))) for each in _changed(seen, written)]
    publish_all([(f"portfolio:updates:{each}", update) for each, update in updates if update is not None])


def _encoded(portfolio_id: str, update: dict[str, Any]) -> Encoded | None:
    """None for what JSON cannot say: one book's infinity keeps no other book from being told."""
    try:
        return Encoded(encode(update))
    except ValueError:
        logger.exception("Nobody is told of portfolio %s: its update is no JSON: %s", portfolio_id, update)
        return None


def _update(seen: Seen, written: Written, portfolio_id: str) -> dict[str, Any]:
    return {**_figures(seen.standings[portfolio_id]), "limits": _counts(seen, written, portfolio_id)}


def _changed(seen: Seen, written: Written) -> list[str]:
    # Of a book with a VaR it is new where its figures were not stored before, by this process or another.
    measured = {book.portfolio_id for book in seen.measured if book.record is None}
    moved = {verdict.limit.portfolio_id for verdict in written.verdicts if verdict.moved}
    return sorted((measured | written.figures | moved) & seen.standings.keys())


def _figures(standing: Standing) -> dict[str, Any]:
    book = standing.book
    told = {"event": "risk.monitored", "portfolio_id": book.portfolio_id, "as_of": book.as_of}
    tail = {name: getattr(book.tail, name, None) for name in ("var_95", "var_99", "expected_shortfall_975")}
    try:
        figures = book.figures(standing.find_past)
    except NotMeasurableError:
        return {**told, **dict.fromkeys(("value", "gross_exposure", "net_exposure")), **tail}
    return {**told, "value": figures.value, "gross_exposure": figures.gross, "net_exposure": figures.net, **tail}


def _counts(seen: Seen, written: Written, portfolio_id: str) -> dict[str, int]:
    """How many limits in force there are of each status."""
    verdicts = seen.verdicts.get(portfolio_id, ())
    counted = Counter(str(one.status) for one in verdicts if one.limit.in_force and one.limit.id not in written.left)
    return {status: counted[status] for status in RiskLimit.Status.values}
