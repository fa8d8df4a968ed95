"""What a client said, as an error shows it."""

import json
from typing import Any

SHOWN_CHARACTERS = 60
# What a close frame takes beside its code.
REASON_BYTES = 123


def shown(value: Any) -> str:
    """The beginning of a decoded JSON value."""
    try:
        text = json.dumps(value)
    except RecursionError:  # what was just deep enough to be read is too deep to be written
        return "something nested too deep"
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def reason_of_close(text: str) -> str:
    return text.encode(errors="replace")[:REASON_BYTES].decode(errors="ignore")
