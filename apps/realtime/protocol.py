"""What client and server say to each other: contract section 9, docs/asyncapi.yaml. Text in, values out, and back."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from apps.realtime.filters import BadFilterError, Filter, parse_filters
from apps.realtime.topics import BadTopicError, check_subscription, is_pattern, utc_now
from apps.realtime.wording import shown

MAX_FRAME_BYTES = 64 * 1024
MAX_SEQ = 2**53
MAX_ID_LENGTH = 200
MAX_EPOCH_LENGTH = 64

RequestId = str | int | None

_FIELDS = {
    "ping": {"id"},
    "subscribe": {"topic", "filters", "batch", "since", "epoch", "id"},
    "unsubscribe": {"topic", "id"},
    "list": {"id"},
}


class ProtocolError(Exception):
    """A frame that cannot be followed; the client is told, the connection stays."""

    def __init__(self, code: str, detail: str, request_id: RequestId = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.request_id = request_id


@dataclass(frozen=True, slots=True)
class Ping:
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class Subscribe:
    topic: str
    since: int | None = None
    epoch: str | None = None
    request_id: RequestId = None
    filter: Filter | None = None
    batch: bool = False


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    topic: str
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class ListTopics:
    request_id: RequestId = None


Request = Ping | Subscribe | Unsubscribe | ListTopics


# --- Client to server ---------------------------------------------------------------------------------
def parse_request(text: str | None) -> Request:
    """The request in a frame (None: a binary one); raises ProtocolError."""
    frame = _decode(text)
    request_id = _request_id(frame)
    try:
        return _request(frame, request_id)
    except BadTopicError as error:
        raise ProtocolError("invalid_topic", str(error), request_id) from error
    except BadFilterError as error:
        raise ProtocolError("invalid_filter", str(error), request_id) from error
    except ProtocolError as error:
        error.request_id = request_id
        raise


def _decode(text: str | None) -> dict[str, Any]:
    if text is None:
        raise ProtocolError("binary", "The frame is binary; expected a text frame with a JSON object.")
    if len(text) > MAX_FRAME_BYTES or len(text.encode(errors="replace")) > MAX_FRAME_BYTES:
        raise ProtocolError("too_large", f"The frame has over {MAX_FRAME_BYTES} bytes; expected at most that many.")
    frame = _json(text)
    if not isinstance(frame, dict):
        raise ProtocolError("not_an_object", f'{shown(frame)} is no object; expected e.g. {{"type": "ping"}}.')
    return frame


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)[:200]
        raise ProtocolError(
            "not_json", f'The frame is not JSON: {reason}; expected e.g. {{"type": "ping"}}.'
        ) from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _request_id(frame: dict[str, Any]) -> RequestId:
    value = frame.get("id")
    if value is None or (type(value) is int and abs(value) <= MAX_SEQ):
        return value
    if isinstance(value, str) and len(value) <= MAX_ID_LENGTH:
        return value
    raise ProtocolError(
        "invalid_field", f"id: {shown(value)}; expected an integer, or text of {MAX_ID_LENGTH} at most."
    )


def _request(frame: dict[str, Any], request_id: RequestId) -> Request:
    kind = frame.get("type")
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise ProtocolError("unknown_type", f"type: {shown(kind)}; expected one of {', '.join(_FIELDS)}.")
    _check_fields(kind, frame)
    if kind == "subscribe":
        return _subscribe(frame, request_id)
    if kind == "unsubscribe":
        return Unsubscribe(_topic(frame), request_id)
    return Ping(request_id) if kind == "ping" else ListTopics(request_id)


def _check_fields(kind: str, frame: dict[str, Any]) -> None:
    for name in frame.keys() - _FIELDS[kind] - {"type"}:
        expected = ", ".join(sorted(_FIELDS[kind]))
        raise ProtocolError("unknown_field", f"{shown(name)} is no field of '{kind}'; expected {expected}.")


def _subscribe(frame: dict[str, Any], request_id: RequestId) -> Subscribe:
    topic, since, epoch = _topic(frame), _since(frame.get("since")), _epoch(frame.get("epoch"))
    if since is None and epoch is not None:
        raise ProtocolError("missing_field", "epoch without since; expected both, from the last frame that came.")
    if since is not None and is_pattern(topic):
        raise ProtocolError(
            "invalid_field", f"since: '{topic}' stands for many topics; expected one topic's full name."
        )
    return Subscribe(topic, since, epoch, request_id, parse_filters(frame.get("filters")), _batch(frame.get("batch")))


def _topic(frame: dict[str, Any]) -> str:
    if "topic" not in frame:
        raise ProtocolError("missing_field", "topic is missing; expected e.g. 'system:health'.")
    if not isinstance(frame["topic"], str):
        raise ProtocolError("invalid_topic", f"topic: {shown(frame['topic'])}; expected text, e.g. 'system:health'.")
    return check_subscription(frame["topic"])


def _since(value: Any) -> int | None:
    if value is None or (type(value) is int and 0 <= value <= MAX_SEQ):
        return value
    raise ProtocolError("invalid_field", f"since: {shown(value)}; expected the seq of the last message, or 0 for all.")


def _epoch(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and 1 <= len(value) <= MAX_EPOCH_LENGTH):
        return value
    raise ProtocolError("invalid_field", f"epoch: {shown(value)}; expected the text that came with 'subscribed'.")


def _batch(value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    raise ProtocolError("invalid_field", f"batch: {shown(value)}; expected true or false.")


# --- Server to client ---------------------------------------------------------------------------------
def pong(positions: Mapping[str, int], request_id: RequestId = None) -> str:
    """`positions`: the seq of each topic with a filter, which lets the client know where it stands."""
    told = {"positions": dict(positions)} if positions else {}
    return _frame("pong", request_id, timestamp=utc_now(), **told)


def subscribed(topic: str, *, seq: int | None, epoch: str | None, recovered: bool, request_id: RequestId = None) -> str:
    return _frame("subscribed", request_id, topic=topic, seq=seq, epoch=epoch, recovered=recovered)


def unsubscribed(topic: str, request_id: RequestId = None) -> str:
    return _frame("unsubscribed", request_id, topic=topic)


def subscriptions(topics: Iterable[str], request_id: RequestId = None) -> str:
    return _frame("subscriptions", request_id, topics=list(topics))


def error(problem: ProtocolError) -> str:
    return _frame("error", problem.request_id, code=problem.code, detail=problem.detail)


def _frame(kind: str, request_id: RequestId, **fields: Any) -> str:
    told = {} if request_id is None else {"id": request_id}
    # ASCII: half of a surrogate pair in a name or an id must not break the frame.
    return json.dumps({"type": kind, **fields, **told}, separators=(",", ":"), allow_nan=False)
