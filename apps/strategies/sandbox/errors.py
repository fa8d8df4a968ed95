"""How a strategy in its sandbox can fail; one class a meaning."""

from collections.abc import Sequence

from apps.strategies.sandbox.code_rules import CodeFault
from nautilus.api.errors import DomainError, DomainErrors


class SandboxError(DomainError):
    """`printed` is what the strategy printed before, where it could still be had."""

    code = "sandbox_failed"
    printed = ""


class SandboxUnavailableError(SandboxError):
    """No sandbox can be had on this machine, or this one has ended: nothing of the strategy was run."""

    code = "sandbox_unavailable"
    status = 503


class StrategyRaisedError(SandboxError):
    """The strategy's own error: its `type`, `message` and the `line` of the strategy, None where that is not known."""

    code = "strategy_raised"

    def __init__(self, type_name: str, message: str, line: int | None) -> None:
        self.type, self.message, self.line = type_name, message, line
        where = f" in line {line}" if line else ""
        said = f": {message}" if message else ""
        super().__init__(f"The strategy raised {type_name}{where}{said}.", "Mend the strategy's code.", "code")


class StrategyCrashedError(SandboxError):
    """The process ended in the middle of a call, by a signal or by itself, and no limit was reached."""

    code = "strategy_crashed"

    def __init__(self, how: str) -> None:
        super().__init__(
            f"The strategy's process ended before it answered: {how}.",
            "Look for endless recursion, or for a library's call that does not bear its arguments.",
            "code",
        )


class ForbiddenError(SandboxError):
    """`tried` is what the strategy did that none may."""

    code = "strategy_forbidden"

    def __init__(self, tried: str) -> None:
        self.tried = tried
        super().__init__(
            f"The strategy tried {tried}, which no strategy may; it was ended.",
            "A strategy computes weights from the prices and parameters that it is given, and does nothing else.",
            "code",
        )


class LimitExceededError(SandboxError):
    """`which` is cpu, memory, time or output; `limit` its value in seconds or bytes."""

    code = "strategy_limit"

    def __init__(self, which: str, limit: float) -> None:
        self.which, self.limit = which, limit
        unit, setting = _LIMITS[which]
        super().__init__(
            f"The strategy took more than {limit:,.12g} {unit}.",
            f"Make it take less, or have {setting} raised.",
            "code",
        )


_LIMITS = {
    "cpu": ("s of CPU time", "NAUTILUS_SANDBOX_CPU_SECONDS"),
    "memory": ("bytes of memory", "NAUTILUS_SANDBOX_MEMORY_BYTES"),
    "time": ("s for one call", "NAUTILUS_SANDBOX_CALL_SECONDS"),
    "output": ("bytes for its answer", "NAUTILUS_SANDBOX_OUTPUT_BYTES"),
}


class BadWeightsError(SandboxError):
    """What came back are no weights of the portfolio's symbols."""

    code = "strategy_weights_invalid"

    def __init__(
        self, detail: str, remedy: str = "Answer with a dict or a Series of finite weights by symbol."
    ) -> None:
        super().__init__(detail, remedy, "code")


class CodeRefusedError(SandboxError, DomainErrors):
    """The rules refuse the code; one error for each fault, with its line."""

    code = "strategy_code_refused"

    def __init__(self, faults: Sequence[CodeFault]) -> None:
        DomainErrors.__init__(self, [_as_error(fault) for fault in faults])
        self.faults = list(faults)


def _as_error(fault: CodeFault) -> DomainError:
    error = SandboxError(f"Line {fault.line}: {fault.detail}", attr="code")
    error.code = fault.code
    return error
