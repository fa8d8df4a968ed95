"""Whether a version is a strategy at all: its hash, its code, and one answer on a sample, asked twice.

The sample are the newest recorded days. The second answer comes from a process of its own that was asked about some
days before: what differs there depends on chance, on the order of a set, or on what a strategy has kept from an earlier
call, and a backtest of it would say nothing about what runs.
"""

from typing import Any

from apps.portfolios.errors import NoTradingDayError
from apps.strategies.asking import refuse_other_code
from apps.strategies.errors import NotDeterministicError
from apps.strategies.pipeline.context import Context
from apps.strategies.sandbox import Answer
from apps.strategies.version_history import check_version

DAYS_BEFORE = 5


def run(context: Context) -> dict[str, Any]:
    check_version(context.deployment.version)
    refuse_other_code(context.deployment)
    context.say("the code may run: syntax, signature, imports")
    context.progress(1, 3, "first answer")
    first = _ask(context, days=1)
    context.progress(2, 3, "second answer")
    second = _ask(context, days=DAYS_BEFORE + 1)
    _compare(first, second)
    named = {symbol: weight for symbol, weight in sorted(first.weights.items()) if weight}
    context.say(f"two answers of two processes are equal: {len(named)} weights, {first.seconds:.3f} s")
    if first.printed:
        context.say(f"it printed: {first.printed}")
    gross = sum(abs(weight) for weight in named.values())
    return {"weights": named, "gross": gross, "seconds": round(first.seconds, 6)}


def _ask(context: Context, days: int) -> Answer:
    """On the newest of so many days, after the others."""
    rows = context.rows()[-days:].tolist()
    if not rows:
        raise NoTradingDayError(f"No day is recorded of {len(context.symbols)} symbols.", "Import prices first.")
    with context.strategies() as strategies:
        answers = [strategies.ask(context.deployment, row) for row in rows]
    return answers[-1]


def _compare(first: Answer, second: Answer) -> None:
    for symbol in sorted({*first.weights, *second.weights}):
        one, other = first.weights.get(symbol, 0.0), second.weights.get(symbol, 0.0)
        if one != other:
            raise NotDeterministicError(
                f"Two runs on the same prices gave {symbol} {one!r} and {other!r}.",
                "Take out what depends on chance, the order of a set or an earlier call; seed a random generator.",
            )
