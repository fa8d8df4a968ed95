"""What an answer is kept under: `{prefix}:{function}:{version of the data}:{hash of everything it depends on}`."""

import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from nautilus.api.errors import DomainError

PREFIXES = ("analytics", "risk")

# Ours alone: neither of these may begin like an answer's key, which a clearing unlinks.
MODE_KEY = "cache:mode"
GENERATION_KEY = "cache:generation"
STATISTICS_KEY = "cache:statistics"
SIZES_KEY = "cache:sizes"

_ROOT = Path(__file__).resolve().parents[3]
_ENTRY = re.compile(rf"(?:{'|'.join(PREFIXES)}):[\w.-]+:[\w.-]+:[0-9a-f]{{32}}")
_UNDER_A_PREFIX = re.compile(rf"(?:{'|'.join(PREFIXES)})(?::[\w.-]+){{0,2}}", re.ASCII)
_UNFIT = re.compile(r"[^\w.-]", re.ASCII)


class UnknownPrefixError(DomainError):
    code = "unknown_prefix"


def entry_key(prefix: str, function: str, version: str, arguments: Any) -> str:
    """Equal arguments of equal data, computed by equal code, have equal keys; raises what canonical JSON raises."""
    everything = [function, version, arguments, code_version()]
    digest = hashlib.sha256(canonical(everything).encode()).hexdigest()[:32]
    return f"{prefix}:{_fit(function)}:{_fit(version)}:{digest}"


def _fit(text: str) -> str:
    # Cut and cleaned for the eye only: the whole text is in the hash.
    return _UNFIT.sub("-", text)[:64] or "-"


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


@cache
def code_version() -> str:
    """A hash of our own sources: an answer that other code has computed is not this code's answer."""
    digest = hashlib.sha256()
    for folder in ("apps", "platform/nautilus"):
        for file in sorted((_ROOT / folder).rglob("*")):
            if file.suffix in (".py", ".sql") and "tests" not in file.parts:
                digest.update(f"{file.relative_to(_ROOT)}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def is_entry(key: str) -> bool:
    return _ENTRY.fullmatch(key) is not None


def check_prefix(text: str) -> str:
    """Raises UnknownPrefixError for what answers are not kept under."""
    if not _UNDER_A_PREFIX.fullmatch(text):
        raise UnknownPrefixError(
            f"No answers are kept under {text[:60]!r}.",
            "Expected 'risk' or 'analytics', or a name under one of them such as 'risk:analyze'.",
            "prefix",
        )
    return text


def lock_key(key: str) -> str:
    return f"cache:lock:{key}"


def news_channel(key: str) -> str:
    """Where those who wait for an answer hear that its computation has ended."""
    return f"cache:news:{key}"
