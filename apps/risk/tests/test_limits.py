"""The operations on limits: what is refused, what goes with what, and what waits for a second pair of eyes."""

from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from django.db import connection

from apps.portfolios.errors import PortfolioClosedError, PortfolioNotFoundError
from apps.portfolios.ledger import close_portfolio
from apps.portfolios.models import Portfolio
from apps.portfolios.tests.factories import make_portfolio, make_prices, make_user
from apps.realtime.topics import stream_key
from apps.risk.errors import (
    ChangeDecidedError,
    ChangeNotFoundError,
    ChangePendingError,
    LimitExistsError,
    LimitNotFoundError,
    OwnChangeError,
)
from apps.risk.limit_kinds import LIMIT_KINDS
from apps.risk.limits import approve_change, change_limit, create_limit, delete_limit, reject_change
from apps.risk.models import LimitChange, RiskEvent, RiskLimit
from nautilus.api.errors import DomainError
from nautilus.connections import redis_client

pytestmark = pytest.mark.django_db

JULY, AUGUST, SEPTEMBER = (datetime(2024, month, 1, tzinfo=UTC) for month in (7, 8, 9))


@pytest.fixture(autouse=True)
def four_eyes(settings: Any) -> None:
    settings.LIMIT_FOUR_EYES = True


@pytest.fixture
def book() -> Portfolio:
    make_prices()
    return make_portfolio("BOOK")


@pytest.fixture
def alice() -> Any:
    return make_user("risk_manager", username="alice")


@pytest.fixture
def bob() -> Any:
    return make_user("risk_manager", username="bob")


def limit_on(book: Portfolio, kind: str = "gross_exposure", threshold: float = 1_000.0, **terms: Any) -> RiskLimit:
    return create_limit(book.pk, kind, {"threshold_value": threshold, **terms})


def stored(limit: RiskLimit) -> RiskLimit:
    return RiskLimit.objects.get(pk=limit.pk)


# --- What goes with what -----------------------------------------------------------------------------------------


def test_limit_of_a_threshold_alone_blocks_is_active_and_warns_at_four_fifths(book):
    limit = stored(limit_on(book, threshold=1_000))
    assert (limit.warning_threshold, limit.action, limit.active, limit.severity) == (800, "block", True, "critical")
    assert (limit.status, limit.status_reason, limit.current_value) == ("unknown", "not evaluated yet", None)


@pytest.mark.parametrize(("action", "severity"), [("block", "critical"), ("warn", "warning")])
def test_severity_goes_with_the_action(book, action, severity):
    assert limit_on(book, action=action).severity == severity
    assert limit_on(book, action=action, threshold=5, severity="info").severity == "info"


def test_warning_follows_a_new_threshold_in_proportion(book):
    limit = limit_on(book, threshold=1_000, warning_threshold=900)
    changed, _ = change_limit(limit.pk, {"threshold_value": 500.0})
    assert (changed.threshold_value, changed.warning_threshold) == (500, 450)


def test_warning_of_none_is_four_fifths_again(book):
    limit = limit_on(book, threshold=1_000, warning_threshold=900)
    changed, _ = change_limit(limit.pk, {"warning_threshold": None})
    assert changed.warning_threshold == 800


def test_change_that_changes_nothing_leaves_no_trace(book):
    limit = limit_on(book)
    change_limit(limit.pk, {"threshold_value": 1_000.0, "action": "block"})
    assert RiskLimit.history.count() == 1


def test_change_leaves_what_the_monitor_saw(book):
    limit = limit_on(book)
    RiskLimit.objects.filter(pk=limit.pk).update(status="breach", current_value=1_500.0)
    change_limit(limit.pk, {"threshold_value": 900.0})
    assert (stored(limit).status, stored(limit).current_value) == ("breach", 1_500)


def test_every_kind_stands_in_the_docs_with_its_unit():
    lines = (Path(__file__).parents[3] / "docs" / "limits.md").read_text().splitlines()
    for name, kind in LIMIT_KINDS.items():
        (line,) = [line for line in lines if line.startswith("|") and f"`{name}`" in line.split("|")[1]]
        assert [cell.strip() for cell in line.split("|")[2:4]] == [kind.unit, "may" if kind.takes_symbol else ""]


# --- What is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "terms", "code", "attr"),
    [
        ("var_99", {"threshold_value": 0.0}, "threshold_out_of_range", "threshold_value"),
        ("var_99", {"threshold_value": -5.0}, "threshold_out_of_range", "threshold_value"),
        ("var_99", {"threshold_value": 1.1e15}, "threshold_out_of_range", "threshold_value"),
        ("var_99", {"threshold_value": float("nan")}, "threshold_out_of_range", "threshold_value"),
        ("var_99", {"warning_threshold": 1_001.0}, "warning_threshold_out_of_range", "warning_threshold"),
        ("var_99", {"warning_threshold": 0.0}, "warning_threshold_out_of_range", "warning_threshold"),
        ("var_99", {"symbol": "AAA"}, "symbol_not_taken", "symbol"),
        ("price_collar", {"symbol": "ZZZ"}, "unknown_symbol", "symbol"),
        ("price_collar", {"symbol": "\0"}, "unknown_symbol", "symbol"),
        ("var_97", {}, "invalid_choice", "kind"),
        ("var_99", {"action": "shout"}, "invalid_choice", "action"),
        ("var_99", {"severity": "dire"}, "invalid_choice", "severity"),
        ("var_99", {"effective_from": AUGUST, "effective_to": AUGUST}, "dates_out_of_order", "effective_to"),
    ],
)
def test_bad_terms_are_refused_with_their_place(book, kind, terms, code, attr):
    with pytest.raises(DomainError) as refused:
        create_limit(book.pk, kind, {"threshold_value": 1_000.0, **terms})
    assert (refused.value.code, refused.value.attr) == (code, attr)
    assert not RiskLimit.objects.exists()


@pytest.mark.parametrize(
    "kind", ["position_notional", "concentration", "order_notional", "order_quantity", "order_rate", "price_collar"]
)
def test_limit_on_positions_and_orders_can_be_of_one_symbol(book, kind):
    assert stored(limit_on(book, kind, symbol="AAA")).instrument_id == "AAA"


def test_second_level_is_allowed_and_an_equal_limit_is_not(book):
    limit = limit_on(book, threshold=1_000)
    limit_on(book, threshold=800, action="warn")
    limit_on(book, threshold=1_000, action="warn")
    with pytest.raises(LimitExistsError, match=f"Limit {limit.pk} on BOOK is the same"):
        limit_on(book, threshold=1_000)


def test_equal_limits_may_follow_each_other_and_may_sleep(book):
    limit_on(book, effective_to=AUGUST)
    limit_on(book, effective_from=AUGUST)
    sleeping = limit_on(book, active=False)
    with pytest.raises(LimitExistsError):
        limit_on(book, effective_from=JULY, effective_to=SEPTEMBER)
    with pytest.raises(LimitExistsError):
        change_limit(sleeping.pk, {"active": True})


def test_limit_needs_an_open_portfolio(book):
    limit = limit_on(book)
    close_portfolio(book.pk)
    for write in (lambda: limit_on(book, threshold=5), lambda: change_limit(limit.pk, {"threshold_value": 5.0})):
        with pytest.raises(PortfolioClosedError):
            write()
    with pytest.raises(PortfolioNotFoundError):
        create_limit("NOWHERE", "var_99", {"threshold_value": 1.0})


def test_limit_that_is_not_there_is_not_found():
    for write in (lambda: change_limit(77, {}), lambda: delete_limit(77)):
        with pytest.raises(LimitNotFoundError):
            write()


# --- Four eyes ---------------------------------------------------------------------------------------------------

LOOSENING = [
    {"threshold_value": 1_000.1},
    {"action": "warn"},
    {"active": False},
    {"symbol": "AAA"},
    {"effective_from": AUGUST},
    {"effective_to": AUGUST},
    {"threshold_value": 2_000.0, "warning_threshold": 10.0},
]
TIGHTENING = [
    {"threshold_value": 999.0},
    {"warning_threshold": 950.0},
    {"severity": "info"},
    {"active": True, "threshold_value": 10.0},
]


@pytest.mark.parametrize("changes", LOOSENING)
def test_change_that_loosens_a_blocking_limit_waits(book, alice, changes):
    limit = limit_on(book, "position_notional")
    unchanged, waiting = change_limit(limit.pk, changes, user=alice, reason="quarter end")
    assert (waiting.status, waiting.requested_by, waiting.reason) == ("pending", alice, "quarter end")
    assert stored(limit).updated_at == unchanged.updated_at == limit.updated_at
    assert RiskLimit.history.count() == 1


@pytest.mark.parametrize("changes", TIGHTENING)
def test_change_that_tightens_takes_effect_at_once(book, alice, changes):
    limit = limit_on(book, "position_notional")
    assert change_limit(limit.pk, changes, user=alice)[1] is None
    for name, value in changes.items():
        assert getattr(stored(limit), name) == value


@pytest.mark.parametrize(
    ("terms", "changes", "waits"),
    [
        ({"effective_from": AUGUST}, {"effective_from": SEPTEMBER}, True),
        ({"effective_from": AUGUST}, {"effective_from": JULY}, False),
        ({"effective_from": AUGUST}, {"effective_from": None}, False),
        ({"effective_to": AUGUST}, {"effective_to": JULY}, True),
        ({"effective_to": AUGUST}, {"effective_to": SEPTEMBER}, False),
        ({"symbol": "AAA"}, {"symbol": "BBB"}, True),
        ({"symbol": "AAA"}, {"symbol": None}, False),
        ({"active": False}, {"active": True}, False),
        ({"action": "warn"}, {"threshold_value": 9_000.0}, False),
        ({"action": "warn"}, {"action": "block"}, False),
    ],
)
def test_what_loosens_depends_on_what_was(book, terms, changes, waits):
    limit = limit_on(book, "position_notional", **terms)
    assert (change_limit(limit.pk, changes)[1] is not None) is waits


def test_deleting_a_blocking_limit_waits_and_a_warning_one_goes_at_once(book, alice, bob):
    limit, mild = limit_on(book), limit_on(book, action="warn")
    assert delete_limit(mild.pk, user=alice) is None
    waiting = delete_limit(limit.pk, user=alice)
    assert RiskLimit.objects.get() == limit
    approve_change(waiting.pk, user=bob)
    assert not RiskLimit.objects.exists()
    assert LimitChange.objects.get().limit_name == "BOOK gross_exposure 1000"


def test_breach_of_a_deleted_limit_is_over_and_stays_on_record(book):
    limit, other = limit_on(book, action="warn"), limit_on(book, action="warn", threshold=5)
    for each in (limit, other):
        RiskEvent.objects.create(portfolio=book, limit=each, event_type="limit_breach", severity="critical")
    delete_limit(limit.pk)
    assert RiskEvent.objects.get(closed_at=None).limit_id == other.pk
    assert RiskEvent.objects.exclude(closed_at=None).get().limit_id == limit.pk


def test_without_four_eyes_everything_takes_effect_at_once(book, settings):
    settings.LIMIT_FOUR_EYES = False
    limit = limit_on(book)
    assert change_limit(limit.pk, {"threshold_value": 5_000.0})[1] is None
    assert delete_limit(limit.pk) is None
    assert not RiskLimit.objects.exists()


def test_approved_change_is_exactly_what_was_asked_for(book, alice, bob):
    limit = limit_on(book)
    _, waiting = change_limit(limit.pk, {"threshold_value": 2_000.0, "effective_to": SEPTEMBER}, user=alice)
    approve_change(waiting.pk, user=bob)
    after = stored(limit)
    assert (after.threshold_value, after.warning_threshold, after.effective_to) == (2_000, 1_600, SEPTEMBER)
    change = LimitChange.objects.get()
    assert (change.status, change.decided_by) == ("approved", bob)


def test_rejected_change_leaves_the_limit(book, alice, bob):
    limit = limit_on(book)
    _, waiting = change_limit(limit.pk, {"active": False}, user=alice)
    assert reject_change(waiting.pk, user=bob).status == "rejected"
    assert stored(limit).active
    assert change_limit(limit.pk, {"active": False}, user=alice)[1] is not None


@pytest.mark.parametrize("decide", [approve_change, reject_change])
def test_nobody_decides_on_an_own_change(book, alice, decide):
    limit = limit_on(book)
    _, waiting = change_limit(limit.pk, {"active": False}, user=alice)
    with pytest.raises(OwnChangeError, match="asked for by alice"):
        decide(waiting.pk, user=alice)
    _, unsigned = change_limit(limit_on(book, "leverage").pk, {"active": False})
    with pytest.raises(OwnChangeError):
        decide(unsigned.pk, user=None)


def test_one_change_of_a_limit_waits_at_a_time(book, alice):
    limit = limit_on(book)
    _, waiting = change_limit(limit.pk, {"active": False}, user=alice)
    for again in (lambda: change_limit(limit.pk, {"threshold_value": 2_000.0}), lambda: delete_limit(limit.pk)):
        with pytest.raises(ChangePendingError, match=f"Change {waiting.pk} of limit {limit.pk}"):
            again()


def test_limit_is_tightened_while_a_change_waits(book, alice):
    limit = limit_on(book)
    change_limit(limit.pk, {"threshold_value": 2_000.0}, user=alice)
    assert change_limit(limit.pk, {"threshold_value": 500.0}, user=alice)[1] is None
    assert stored(limit).threshold_value == 500


def test_change_is_decided_once(book, alice, bob):
    _, waiting = change_limit(limit_on(book).pk, {"threshold_value": 2_000.0}, user=alice)
    approve_change(waiting.pk, user=bob)
    for decide in (approve_change, reject_change):
        with pytest.raises(ChangeDecidedError, match="is approved since"):
            decide(waiting.pk, user=bob)
    with pytest.raises(ChangeNotFoundError):
        approve_change(waiting.pk + 1, user=bob)


def test_change_that_no_longer_fits_is_refused_and_still_waits(book, alice, bob):
    limit = limit_on(book)
    _, waiting = change_limit(limit.pk, {"threshold_value": 2_000.0}, user=alice)
    limit_on(book, threshold=2_000)
    with pytest.raises(LimitExistsError):
        approve_change(waiting.pk, user=bob)
    assert LimitChange.objects.get().status == "pending"
    assert stored(limit).threshold_value == 1_000


def test_change_that_waits_ends_with_its_limit(book, alice, settings):
    limit = limit_on(book)
    change_limit(limit.pk, {"active": False}, user=alice)
    settings.LIMIT_FOUR_EYES = False
    delete_limit(limit.pk, user=alice)
    assert LimitChange.objects.get().status == "rejected"


@pytest.mark.django_db(transaction=True)
def test_two_approvals_at_once_apply_the_change_once(book, alice, bob):
    limit = limit_on(book)
    _, waiting = change_limit(limit.pk, {"threshold_value": 2_000.0}, user=alice)
    outcomes: list[str] = []

    def approve() -> None:
        try:
            outcomes.append(approve_change(waiting.pk, user=bob).status)
        except ChangeDecidedError as error:
            outcomes.append(error.code)
        finally:
            connection.close()

    threads = [Thread(target=approve) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["approved"] + ["change_decided"] * 7
    assert RiskLimit.history.count() == 2


# --- What is told ------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_each_write_is_told_on_the_topic_of_the_portfolio(book, alice, bob):
    redis_client().delete(stream_key("portfolio:updates:BOOK"))
    limit = limit_on(book, threshold=1_000)
    change_limit(limit.pk, {"threshold_value": 500.0})
    _, waiting = change_limit(limit.pk, {"active": False}, user=alice)
    approve_change(waiting.pk, user=bob)
    approve_change(delete_limit(limit.pk, user=alice).pk, user=bob)
    told = "".join(str(message) for message in redis_client().xrange(stream_key("portfolio:updates:BOOK")))
    positions = [told.index(part) for part in ("limit.created", "limit.changed", '"active":false', "limit.deleted")]
    assert positions == sorted(positions)
    assert f'"limit":{{"id":{limit.pk},"portfolio_id":"BOOK","kind":"gross_exposure","threshold_value":500.0' in told
