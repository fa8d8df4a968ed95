"""What a session may take before PostgreSQL ends it, as the options that a connection begins with."""

from collections.abc import Mapping


def session_options(limits_seconds: Mapping[str, float], callers: str = "") -> str:
    """`-c name=…ms` for each limit, with the caller's options after ours: of two PostgreSQL takes the last.

    A limit of 0 is left out: where a pooler refuses options, or the role has limits of its own, all are.
    """
    ours = [f"-c {name}={round(seconds * 1000)}ms" for name, seconds in limits_seconds.items() if seconds]
    return " ".join([*ours, *([callers] if callers else [])])
