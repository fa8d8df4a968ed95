import json
import re
from pathlib import Path

import pytest
import yaml
from django.conf import settings

from apps.realtime.filters import Condition, Filter
from apps.realtime.protocol import (
    ListTopics,
    Ping,
    ProtocolError,
    Subscribe,
    Unsubscribe,
    error,
    parse_request,
    subscribed,
)


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ('{"type":"ping"}', Ping()),
        ('{"type":"ping","id":7}', Ping(7)),
        ('{"type":"list","id":"a"}', ListTopics("a")),
        ('{"type":"subscribe","topic":"news"}', Subscribe("news")),
        ('{"type":"subscribe","topic":"a:*","id":1}', Subscribe("a:*", request_id=1)),
        ('{"type":"subscribe","topic":"news","since":3,"epoch":"e"}', Subscribe("news", 3, "e")),
        ('{"type":"subscribe","topic":"news","since":0,"epoch":null}', Subscribe("news", 0)),
        ('{"type":"subscribe","topic":"news","filters":{},"batch":null}', Subscribe("news")),
        (
            '{"type":"subscribe","topic":"news","filters":{"var":{"gt":1}},"batch":true}',
            Subscribe("news", filter=Filter((Condition("var", "gt", 1),)), batch=True),
        ),
        ('{"type":"unsubscribe","topic":"news"}', Unsubscribe("news")),
    ],
)
def test_requests(text: str, request_: object) -> None:
    assert parse_request(text) == request_


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, "binary"),
        ("", "not_json"),
        ("ping", "not_json"),
        ('{"type":"ping","id":NaN}', "not_json"),
        ("[" * 60_000, "not_json"),
        ('{"a":' * 10_000, "not_json"),
        ("1" * 5_000, "not_json"),
        ('"' + "x" * 65_536 + '"', "too_large"),
        ('"' + "ü" * 40_000 + '"', "too_large"),
        ("[]", "not_an_object"),
        ("7", "not_an_object"),
        ("{}", "unknown_type"),
        ('{"type":["ping"]}', "unknown_type"),
        ('{"type":"publish"}', "unknown_type"),
        ('{"type":"ping","topic":"x"}', "unknown_field"),
        ('{"type":"subscribe","topic":"x","sinse":1}', "unknown_field"),
        ('{"type":"subscribe","topic":"x","filters":[]}', "invalid_filter"),
        ('{"type":"subscribe","topic":"x","filters":{"var":{"over":1}}}', "invalid_filter"),
        ('{"type":"subscribe","topic":"x","filters":{"var":{"gt":null}}}', "invalid_filter"),
        ('{"type":"subscribe","topic":"x","batch":"yes"}', "invalid_field"),
        ('{"type":"subscribe"}', "missing_field"),
        ('{"type":"subscribe","topic":"x","epoch":"e"}', "missing_field"),
        ('{"type":"subscribe","topic":7}', "invalid_topic"),
        ('{"type":"subscribe","topic":"two words"}', "invalid_topic"),
        ('{"type":"subscribe","topic":"\\ud800"}', "invalid_topic"),
        ('{"type":"subscribe","topic":"*"}', "invalid_topic"),
        ('{"type":"unsubscribe","topic":""}', "invalid_topic"),
        ('{"type":"subscribe","topic":"x","since":-1}', "invalid_field"),
        ('{"type":"subscribe","topic":"x","since":true}', "invalid_field"),
        ('{"type":"subscribe","topic":"x","since":1.0}', "invalid_field"),
        ('{"type":"subscribe","topic":"x:*","since":1}', "invalid_field"),
        ('{"type":"subscribe","topic":"x","since":1,"epoch":7}', "invalid_field"),
        ('{"type":"ping","id":{}}', "invalid_field"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_a_code(text: str | None, code: str) -> None:
    with pytest.raises(ProtocolError) as refused:
        parse_request(text)
    assert refused.value.code == code
    assert refused.value.detail


def test_refusal_names_the_clients_id() -> None:
    with pytest.raises(ProtocolError) as refused:
        parse_request('{"type":"subscribe","topic":"a b","id":"mine"}')
    assert json.loads(error(refused.value))["id"] == "mine"


def test_frames_are_plain_ascii_whatever_a_client_named_itself() -> None:
    frame = subscribed("ü", seq=1, epoch="e", recovered=True, request_id="\ud800")
    assert frame.isascii()
    assert json.loads(frame) == {
        "type": "subscribed",
        "topic": "ü",
        "seq": 1,
        "epoch": "e",
        "recovered": True,
        "id": "\ud800",
    }


def test_asyncapi_names_every_error_code_and_no_other() -> None:
    described = yaml.safe_load((settings.ROOT / "docs/asyncapi.yaml").read_text())
    error_payload = described["components"]["messages"]["error"]["payload"]
    code = "".join(path.read_text() for path in Path(__file__).parents[1].glob("*.py"))
    assert set(error_payload["properties"]["code"]["enum"]) == set(re.findall(r'ProtocolError\(\s*"(\w+)"', code))
