"""The ids of what is worked on now: every log line has them, and messages to workers and sockets carry `request_id`."""

import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

Ids = Mapping[str, str | int]

_NONE: Ids = MappingProxyType({})
_ids: ContextVar[Ids] = ContextVar("log_ids", default=_NONE)
# As nginx's $request_id, a UUID or a W3C trace id; nothing that needs escaping anywhere.
_WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{7,63}\Z")


def current_ids() -> Ids:
    return _ids.get()


def current_request_id() -> str:
    """Empty where no request stands behind what is done now: what beat asked for, a feed."""
    return str(_ids.get().get("request_id", ""))


def begin_ids(**ids: str | int | None) -> None:
    """From here on these ids and no others."""
    _ids.set({name: value for name, value in ids.items() if value is not None})


def bind_ids(**ids: str | int | None) -> None:
    """From here on these ids as well; None takes nothing away."""
    _ids.set({**_ids.get(), **{name: value for name, value in ids.items() if value is not None}})


def forget_ids() -> None:
    _ids.set(_NONE)


@contextmanager
def bound_ids(**ids: str | int | None) -> Iterator[None]:
    """`bind_ids` until the block ends."""
    before = _ids.get()
    bind_ids(**ids)
    try:
        yield
    finally:
        _ids.set(before)


def request_id_of(header: str | None) -> str:
    """The id that a client sent as X-Request-ID, where it has the form of one; else a new one."""
    return header if header and _WELL_FORMED.match(header) else new_request_id()


def new_request_id() -> str:
    return uuid.uuid4().hex
