"""What no log may hold: passwords in URLs, tokens, and the values of the settings that are secret."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

MASK = "***"
LONGEST_TEXT = 32_768
# A setting that is shorter is a word that lines hold by chance; as a part of a URL it is found by its place.
SHORTEST_SECRET = 12

_NAMES = r"passw(?:or)?d|secret(?:_key)?|token|ticket|api[_-]?key|authorization|cookie|sessionid|csrftoken|credentials?"
_SECRET_NAME = re.compile(rf"(?:^|[_-])(?:{_NAMES})\Z", re.IGNORECASE)
_PATTERNS = (
    (re.compile(r"(://[^/\s:@\"']*:)[^@\s/\"']+@"), rf"\1{MASK}@"),
    (re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), rf"\1 {MASK}"),
    (
        re.compile(
            rf"\b({_NAMES})([\"']?\s*[=:]\s*[\"']?)(?!{re.escape(MASK)})(?!Bearer |Basic )[^\s\"'&,;)}}\]]+",
            re.IGNORECASE,
        ),
        rf"\1\2{MASK}",
    ),
    (re.compile(r"(hooks\.slack\.com/services/)[A-Za-z0-9/_-]+"), rf"\1{MASK}"),
)
# Most lines hold none of these, and are not looked through by the patterns, which takes some 13 µs.
_SIGNS = (
    *(
        "://",
        "bearer",
        "basic",
        "passw",
        "secret",
        "token",
        "ticket",
        "api_key",
        "api-key",
        "apikey",
        "authorization",
        "cookie",
        "sessionid",
    ),
    *("csrftoken", "credential", "hooks.slack"),
)


class Masking:
    """`secrets` are values that are replaced wherever they stand."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {each for each in secrets if len(each) >= SHORTEST_SECRET}
        self._known = sorted(known, key=len, reverse=True)

    def text(self, text: str) -> str:
        if len(text) > LONGEST_TEXT:
            text = f"{text[:LONGEST_TEXT]}… and {len(text) - LONGEST_TEXT} characters more"
        for secret in self._known:
            if secret in text:
                text = text.replace(secret, MASK)
        return _without_patterns(text) if _is_suspicious(text) else text

    def value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {str(name): self.field(str(name), each) for name, each in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.value(each) for each in value]
        return value if isinstance(value, (bool, int, float, type(None))) else self.text(_shown(value))

    def field(self, name: str, value: Any) -> Any:
        return MASK if _is_secret(name) and value else self.value(value)

    def line(self, line: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self.field(name, value) for name, value in line.items()}


def _is_suspicious(text: str) -> bool:
    lowered = text.lower()
    return any(sign in lowered for sign in _SIGNS)


def _without_patterns(text: str) -> str:
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


@lru_cache(maxsize=1_024)
def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def _shown(value: Any) -> str:
    try:
        return str(value)
    except Exception as error:  # a line must come out all the same
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
