import pytest

from apps.realtime.filters import MAX_CONDITIONS, BadFilterError, parse_filters

ALERT = {
    "severity": "critical",
    "var": 1200.5,
    "closed_at": None,
    "acknowledged": False,
    "timestamp": "2026-01-05T10:00:00Z",
    "limits": {"breached": 2, "kinds": ["var", "drawdown"]},
    "positions": [{"symbol": "AAPL", "weight": 0.4}, {"symbol": "MSFT", "weight": 0.6}],
    "dotted.name": 7,
}


@pytest.mark.parametrize(
    ("filters", "matches"),
    [
        ({"severity": "critical"}, True),
        ({"severity": "warning"}, False),
        ({"severity": {"eq": "critical"}}, True),
        ({"severity": {"ne": "critical"}}, False),
        ({"severity": {"in": ["warning", "critical"]}}, True),
        ({"severity": {"in": ["warning"]}}, False),
        ({"var": {"gt": 1200}}, True),
        ({"var": {"gt": 1200.5}}, False),
        ({"var": {"gte": 1200.5}}, True),
        ({"var": {"lt": 1200.5}}, False),
        ({"var": {"lte": 1200.5}}, True),
        ({"var": {"gt": 1000, "lt": 1100}}, False),
        ({"var": {"gt": 1000, "lt": 1300}, "severity": "critical"}, True),
        ({"var": {"gt": 1000}, "severity": "warning"}, False),
        ({"limits.breached": {"gte": 2}}, True),
        ({"limits.breached.deeper": {"gte": 2}}, False),
        ({"positions.1.symbol": "MSFT"}, True),
        ({"positions.2.symbol": "MSFT"}, False),
        ({"positions.-1.symbol": "MSFT"}, False),
        ({"dotted.name": 7}, True),
        ({"closed_at": None}, True),
        ({"not_there": None}, True),
        ({"not_there": {"ne": 1}}, True),
        ({"not_there": {"gt": 1}}, False),
        ({"acknowledged": False}, True),
        ({"acknowledged": 0}, False),
        ({"acknowledged": {"lt": 1}}, False),
        ({"acknowledged": {"in": [0, 1]}}, False),
        ({"severity": {"gt": 5}}, False),
        ({"timestamp": {"gte": "2026-01-05", "lt": "2026-01-06"}}, True),
        ({"limits": {"ne": None}}, True),
    ],
)
def test_filter_lets_through_what_meets_every_condition(filters: dict, matches: bool) -> None:
    parsed = parse_filters(filters)
    assert parsed is not None
    assert parsed.matches(ALERT) is matches


@pytest.mark.parametrize("data", [None, [], "text", 7, [[1]]])
def test_data_that_is_no_object_has_no_path(data: object) -> None:
    parsed = parse_filters({"severity": "critical"})
    assert parsed is not None
    assert parsed.matches(data) is False


@pytest.mark.parametrize("filters", [None, {}])
def test_no_condition_is_no_filter(filters: object) -> None:
    assert parse_filters(filters) is None


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ([], "expected an object"),
        ("severity", "expected an object"),
        ({"var": {}}, "no operator"),
        ({"var": {"over": 1}}, '"over" does not exist; expected one of eq, ne, gt, gte, lt, lte, in'),
        ({"var": {"gt": None}}, "filters.var.gt: null; expected a number or text"),
        ({"var": {"gt": True}}, "filters.var.gt: true; expected a number or text"),
        ({"var": {"eq": {"a": 1}}}, "expected text, a number"),
        ({"var": [1]}, "expected text, a number"),
        ({"var": {"in": "AAPL"}}, "expected a list of 1 to"),
        ({"var": {"in": []}}, "expected a list of 1 to"),
        ({"var": {"in": [[1]]}}, "expected text, a number"),
        ({"": 1}, "is no path"),
        ({"x" * 201: 1}, "is no path"),
        ({f"p{n}": n for n in range(MAX_CONDITIONS + 1)}, f"{MAX_CONDITIONS + 1} conditions"),
    ],
)
def test_filter_that_cannot_be_followed_says_what_would_be_right(filters: object, said: str) -> None:
    with pytest.raises(BadFilterError) as refused:
        parse_filters(filters)
    assert said in str(refused.value)
