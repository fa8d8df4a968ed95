"""Whether a version is a strategy at all: its hash, its code, and one answer on a sample, asked twice.

The sample are the newest recorded days. The second answer comes from a process of its own: what differs there depends
on chance, on the clock or on the order of a set, and a backtest of it would say nothing about what runs.
"""

from typing import Any

from django.conf import settings

from apps.strategies.errors import HistoryBrokenError, NotDeterministicError
from apps.strategies.pipeline.context import Context, refuse_gross
from apps.strategies.sandbox import Answer, CodeRefusedError, code_faults
from apps.strategies.version_history import check_version


def run(context: Context) -> dict[str, Any]:
    deployment = context.deployment
    version = deployment.version
    _check_hash(context)
    if faults := code_faults(version.code):
        raise CodeRefusedError(faults)
    context.say("the code may run: syntax, signature, imports")
    context.progress(1, 3, "first answer")
    first = _ask(context)
    context.progress(2, 3, "second answer")
    second = _ask(context)
    _compare(first, second)
    weights = context.as_array(first)
    refuse_gross(weights, settings.STRATEGY_MAX_GROSS)
    named = {symbol: weight for symbol, weight in sorted(first.weights.items()) if weight}
    context.say(f"two answers of two processes are equal: {len(named)} weights, {first.seconds:.3f} s")
    if first.printed:
        context.say(f"it printed: {first.printed}")
    return {"weights": named, "gross": float(abs(weights).sum()), "seconds": round(first.seconds, 6)}


def _check_hash(context: Context) -> None:
    version = context.deployment.version
    check_version(version)
    if version.hash != context.deployment.version_hash:
        raise HistoryBrokenError(
            f"{version} is no longer what was asked for: its hash is {version.hash[:12]}, "
            f"and was {context.deployment.version_hash[:12]}.",
            f"POST /api/v1/sprint3/strategy/versions/{version.strategy_id}/rebuild-history says what is wrong.",
        )


def _ask(context: Context) -> Answer:
    with context.sandbox() as sandbox:
        context.feed(sandbox, context.rows()[-settings.STRATEGY_HISTORY_DAYS :])
        return sandbox.target_weights()


def _compare(first: Answer, second: Answer) -> None:
    for symbol in sorted({*first.weights, *second.weights}):
        one, other = first.weights.get(symbol, 0.0), second.weights.get(symbol, 0.0)
        if one != other:
            raise NotDeterministicError(
                f"Two runs on the same prices gave {symbol} {one!r} and {other!r}.",
                "Take out what depends on chance, the clock or the order of a set; seed a random generator.",
            )
