"""What a strategy says, as PostgreSQL can keep it."""

from typing import Any


def storable(text: str) -> str:
    """Without NUL and without halves of surrogate pairs, which UTF-8 does not have."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def storable_json(value: Any) -> Any:
    """The same of every string in it."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {key: storable_json(each) for key, each in value.items()}
    return [storable_json(each) for each in value] if isinstance(value, list) else value
