"""docs/asyncapi.yaml says what the code does: fields, operators, error codes, limits."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from apps.realtime import connections, filters, protocol

ROOT = Path(__file__).parents[3]
DOCUMENT = yaml.safe_load((ROOT / "docs" / "asyncapi.yaml").read_text())
SCHEMAS = DOCUMENT["components"]["schemas"]


def payload(message: str) -> dict[str, Any]:
    return DOCUMENT["components"]["messages"][message]["payload"]


@pytest.mark.parametrize("kind", sorted(protocol._FIELDS))
def test_fields_of_what_a_client_says_are_those_that_are_taken(kind: str) -> None:
    assert payload(kind)["properties"].keys() == protocol._FIELDS[kind] | {"type"}


def test_operators_of_filters_are_those_that_exist() -> None:
    assert SCHEMAS["filterOperators"]["properties"].keys() == filters.OPERATORS.keys()


def test_bounds_of_filters_are_those_that_are_checked() -> None:
    assert SCHEMAS["filters"]["maxProperties"] == filters.MAX_CONDITIONS
    assert SCHEMAS["filters"]["propertyNames"]["maxLength"] == filters.MAX_PATH_LENGTH
    assert SCHEMAS["filterOperators"]["properties"]["in"]["maxItems"] == filters.MAX_CHOICES


def test_error_codes_are_those_that_are_sent() -> None:
    sources = [Path(module).read_text() for module in (ROOT / "apps" / "realtime").glob("*.py")]
    sent = {code for source in sources for code in re.findall(r'ProtocolError\(\s*"(\w+)"', source)}
    assert set(payload("error")["properties"]["code"]["enum"]) == sent


@pytest.mark.parametrize(
    "name", ["UNAUTHENTICATED", "FORBIDDEN", "UNKNOWN_PATH", "TOO_SLOW", "POLICY_VIOLATION", "SERVICE_RESTART"]
)
@pytest.mark.parametrize("page", ["docs/asyncapi.yaml", "docs/realtime.md"])
def test_close_codes_are_documented(page: str, name: str) -> None:
    assert re.search(rf"^ *\| {getattr(connections, name)} \|", (ROOT / page).read_text(), flags=re.MULTILINE)


def test_server_tells_all_frames_but_those_of_the_client() -> None:
    answer = DOCUMENT["operations"]["tell"]["messages"]
    told = {reference["$ref"].rpartition("/")[2] for reference in answer}
    assert told == set(DOCUMENT["channels"]["any"]["messages"]) - protocol._FIELDS.keys()
