"""What a version is made of, checked and brought to one form."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from apps.portfolios.snapshots import canonical_json
from apps.strategies.errors import BadAuthorError, BadCodeError, BadMessageError, BadParametersError
from apps.strategies.models import StrategyVersion
from nautilus.api.errors import DomainError

MAX_BYTES = 100_000  # of the code in UTF-8, and of the parameters as canonical JSON
MAX_DEPTH = 20
MAX_NAME = 200  # characters of a parameter's name: hunks and diffs repeat the names on the way to a value
MAX_WHOLE_NUMBER = 2**63 - 1
MAX_MESSAGE = 1_000
MAX_AUTHOR = 150

# The author of what the platform itself posts.
PLATFORM_AUTHOR = "nautilus"

_NOT_OF_AN_AUTHOR = re.compile(r"[<>\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Content:
    """`code` has LF between its lines and at its end; `parameters_text` is canonical JSON of an object."""

    code: str
    parameters_text: str

    @property
    def lines(self) -> list[str]:
        return lines_of(self.code)

    @property
    def parameters(self) -> dict[str, Any]:
        parameters: dict[str, Any] = json.loads(self.parameters_text)
        return parameters


def lines_of(code: str) -> list[str]:
    """Split at LF alone: a form feed or U+2028 in a string ends no line."""
    return [f"{line}\n" for line in code.split("\n")[:-1]]


def checked_content(code: str, parameters: Any) -> Content:
    """Raises BadCodeError, BadParametersError."""
    return Content(checked_code(code), checked_parameters(parameters))


def checked_code(code: str) -> str:
    text = code.replace("\r\n", "\n").replace("\r", "\n")
    _refuse_unstorable(text, "code", BadCodeError)
    if not text.strip():
        raise BadCodeError("The code is empty.", "Expected Python with `def target_weights(prices, params)`.", "code")
    text = text if text.endswith("\n") else f"{text}\n"
    _refuse_size(len(text.encode()), "code", BadCodeError)
    return text


def _refuse_unstorable(text: str, name: str, error: type[DomainError]) -> None:
    """PostgreSQL has no place for NUL, UTF-8 none for half a surrogate pair."""
    at = re.search(r"[\x00\ud800-\udfff]", text)
    if at is not None:
        raise error(
            f"The {name} has U+{ord(at[0]):04X} at character {at.start() + 1}, which cannot be stored.",
            "Leave it out.",
            name,
        )


def _refuse_size(size: int, name: str, error: type[DomainError]) -> None:
    if size > MAX_BYTES:
        raise error(f"The {name} has {size:,} bytes.", f"Expected at most {MAX_BYTES:,}.", name)


def checked_parameters(parameters: Any) -> str:
    """Their canonical JSON. Raises BadParametersError, of what is too large without having looked at all of it."""
    if not isinstance(parameters, dict):
        raise _bad_parameters(f"The parameters are {type(parameters).__name__}", 'a JSON object such as {"days": 60}')
    least = 0
    for path, value in _values(parameters):
        least += _least_bytes(value)
        if least > MAX_BYTES:
            raise _bad_parameters(f"The parameters have more than {MAX_BYTES:,} bytes", "less")
        _check_value(path, value)
    text = canonical_json(parameters)
    if len(text) > MAX_BYTES:
        raise _bad_parameters(f"The parameters have {len(text):,} bytes", f"at most {MAX_BYTES:,}")
    return text


def _least_bytes(value: Any) -> int:
    """Which the value takes in JSON, or more; of an object or a list without what the values in it take."""
    if isinstance(value, str):
        return len(value) + 2
    if isinstance(value, dict):
        return 1 + sum(4 + len(key) if isinstance(key, str) else 1 for key in value)  # quotes, colon and comma
    return 1 + len(value) if isinstance(value, list) else 1


def _values(parameters: dict[str, Any]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every value at every depth, down to MAX_DEPTH, with the keys and places that lead to it."""
    waiting: list[tuple[tuple[Any, ...], Any]] = [((), parameters)]
    while waiting:
        path, value = waiting.pop()
        yield path, value
        if isinstance(value, dict):
            waiting += [((*path, key), item) for key, item in value.items()]
        elif isinstance(value, list):
            waiting += [((*path, place), item) for place, item in enumerate(value)]


def _check_value(path: tuple[Any, ...], value: Any) -> None:
    if len(path) > MAX_DEPTH:
        raise _bad_parameters(f"The parameters are nested deeper than {MAX_DEPTH} at '{_name(path)}'", "fewer levels")
    for text in (path[-1] if path else "", value):
        if isinstance(text, str):
            _refuse_unstorable(text, "parameters", BadParametersError)
    if path and isinstance(path[-1], str) and len(path[-1]) > MAX_NAME:
        raise _bad_parameters(
            f"The name '{path[-1][:40]}…' has {len(path[-1]):,} characters", f"at most {MAX_NAME} in a parameter's name"
        )
    if not _is_json(value):
        raise _bad_parameters(
            f"'{_name(path)}' is {_shown(value)}", "text, a finite number, true, false, null, a list or an object"
        )


def _name(path: tuple[Any, ...]) -> str:
    return ".".join(str(step)[:100] for step in path)[:100]


def _is_json(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return abs(value) <= MAX_WHOLE_NUMBER
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value)
    return value is None or isinstance(value, (str, list))


def _shown(value: Any) -> str:
    if isinstance(value, int):
        return f"a whole number beyond {MAX_WHOLE_NUMBER}"
    return str(value) if isinstance(value, float) else f"of the type {type(value).__name__}"


def _bad_parameters(wrong: str, expected: str) -> BadParametersError:
    return BadParametersError(f"{wrong}.", f"Expected {expected}.", "parameters")


def checked_message(message: str) -> str:
    """Raises BadMessageError."""
    text = message.replace("\r\n", "\n").strip()
    _refuse_unstorable(text, "message", BadMessageError)
    if len(text) > MAX_MESSAGE:
        raise BadMessageError(
            f"The message has {len(text):,} characters.", f"Expected at most {MAX_MESSAGE:,}.", "message"
        )
    return text


def shortened_message(message: str) -> str:
    return message[:MAX_MESSAGE].strip()


def author_of(user: Any, author: str | None) -> str:
    """The name that goes into the hash: as given, or the user's; raises BadAuthorError."""
    name = author if author is not None else user.get_username() if user is not None else PLATFORM_AUTHOR
    if not name.strip() or name != name.strip() or len(name) > MAX_AUTHOR or _NOT_OF_AN_AUTHOR.search(name):
        raise BadAuthorError(
            f"{name[:200]!r} cannot be an author.",
            f"Expected 1 to {MAX_AUTHOR} characters, no '<' or '>', no control character, no space at the ends.",
            "author",
        )
    return name


def content_of(version: StrategyVersion) -> Content:
    return Content(version.code, version.parameters_text)
