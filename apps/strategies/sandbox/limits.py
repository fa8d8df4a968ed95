"""How much a strategy may take."""

from dataclasses import dataclass

MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """For one sandbox: `cpu_seconds` and `memory_bytes` over its life, `wall_seconds` and `output_bytes` for each call.

    `memory_bytes` comes on top of what Python and its libraries take; `user` is taken on where the platform runs as
    root, "" leaves it; `history_days` is how many of the latest rows a strategy sees.
    """

    cpu_seconds: int = 60
    memory_bytes: int = 512 * MEBIBYTE
    wall_seconds: float = 10.0
    output_bytes: int = MEBIBYTE
    history_days: int = 1260
    user: str = "nobody"
    allow_without_seccomp: bool = False


def limits_from_settings() -> Limits:
    from django.conf import settings

    return Limits(
        cpu_seconds=settings.SANDBOX_CPU_SECONDS,
        memory_bytes=settings.SANDBOX_MEMORY_BYTES,
        wall_seconds=settings.SANDBOX_CALL_SECONDS,
        output_bytes=settings.SANDBOX_OUTPUT_BYTES,
        history_days=settings.STRATEGY_HISTORY_DAYS,
        user=settings.SANDBOX_USER,
        allow_without_seccomp=settings.SANDBOX_WITHOUT_SECCOMP,
    )
