"""`/risk/limits` over HTTP: shapes, roles, filters, approvals, history, and a status that is never too calm."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.portfolios.ledger import close_portfolio
from apps.portfolios.tests.factories import client_of, make_client, make_portfolio, make_prices, make_user
from apps.risk.limits import shown_status
from apps.risk.models import RiskLimit, RiskMonitor
from apps.risk.monitoring import Freshness
from apps.risk.tests.desks import make_limit

pytestmark = pytest.mark.django_db

URL = "/api/v1/sprint3/risk/limits"
NEW = {"portfolio_id": "BOOK", "kind": "gross_exposure", "threshold_value": 1_000}


@pytest.fixture(autouse=True)
def book(settings):
    settings.LIMIT_FOUR_EYES = True
    make_prices()
    return make_portfolio("BOOK")


@pytest.fixture
def alice():
    return make_client(make_user("risk_manager", username="alice"))


@pytest.fixture
def bob():
    return make_client(make_user("risk_manager", username="bob"))


def create(client, **fields):
    answer = client.post(URL, {**NEW, **fields})
    assert answer.status_code == 201, answer.content
    return answer.json()


def change(client, limit, status=200, **fields):
    answer = client.patch(f"{URL}/{limit['id']}", fields)
    assert answer.status_code == status, answer.content
    return answer.json()


def errors_of(answer):
    return [(error["code"], error["attr"]) for error in answer.json()["errors"]]


def monitor_runs(**fields):
    """The monitor ran a moment ago."""
    RiskMonitor.objects.update_or_create(pk=1, defaults={"enabled": True, "last_run_at": timezone.now(), **fields})


def seen(limit_id, status, value=None, **fields):
    """The monitor has seen the limit so, just now."""
    fields = {"evaluated_at": timezone.now(), "status_reason": "", **fields}
    RiskLimit.objects.filter(pk=limit_id).update(status=status, current_value=value, **fields)


# --- Shapes ------------------------------------------------------------------------------------------------------


def test_created_limit_has_the_shape_of_the_contract(alice):
    monitor_runs()
    answer = alice.post(URL, NEW | {"symbol": None, "reason": "desk policy"})
    assert answer.status_code == 201
    body = answer.json()
    assert answer.headers["Location"] == f"{URL}/{body['id']}"
    assert {body.pop(name)[-1] for name in ("created_at", "updated_at")} == {"Z"}
    assert body == {
        "id": body["id"],
        "portfolio_id": "BOOK",
        "kind": "gross_exposure",
        "symbol": None,
        "threshold_value": 1_000.0,
        "warning_threshold": 800.0,
        "active": True,
        "action": "block",
        "severity": "critical",
        "effective_from": None,
        "effective_to": None,
        "current_value": None,
        "status": "unknown",
        "status_reason": "not evaluated yet",
        "status_since": None,
        "evaluated_at": None,
        "utilization": None,
        "created_by": "alice",
        "pending_change": None,
    }
    shown = client_of("viewer").get(f"{URL}/{body['id']}").json()
    assert shown | body == shown


def test_value_is_shown_with_the_part_of_the_threshold_that_it_uses(alice):
    monitor_runs()
    limit = create(alice)
    seen(limit["id"], "warning", 850.0)
    shown = alice.get(f"{URL}/{limit['id']}").json()
    assert (shown["current_value"], shown["utilization"], shown["status"]) == (850, 0.85, "warning")
    assert shown["status_reason"] is None


@pytest.mark.parametrize(
    ("fields", "code", "attr"),
    [
        ({"threshold_value": "1000"}, "invalid", "threshold_value"),
        ({"threshold_value": -1}, "threshold_out_of_range", "threshold_value"),
        ({"threshold_value": 1e16}, "threshold_out_of_range", "threshold_value"),
        ({"warning_threshold": 1_001}, "warning_threshold_out_of_range", "warning_threshold"),
        ({"kind": "var_97"}, "invalid_choice", "kind"),
        ({"symbol": "AAA"}, "symbol_not_taken", "symbol"),
        ({"kind": "price_collar", "symbol": "ZZZ"}, "unknown_symbol", "symbol"),
        ({"action": "stop"}, "invalid_choice", "action"),
        ({"effective_from": "2024-07-01T00:00:00"}, "no_time_zone", "effective_from"),
        (
            {"effective_from": "2024-07-02T00:00:00Z", "effective_to": "2024-07-01T00:00:00Z"},
            "dates_out_of_order",
            "effective_to",
        ),
        ({"treshold_value": 1}, "unknown_field", "treshold_value"),
        ({"status": "ok"}, "unknown_field", "status"),
    ],
)
def test_bad_limit_is_refused_with_its_field(alice, fields, code, attr):
    answer = alice.post(URL, NEW | fields)
    assert (answer.status_code, errors_of(answer)) == (400, [(code, attr)])
    assert not RiskLimit.objects.exists()


def test_all_faults_are_said_at_once(alice):
    answer = alice.post(URL, NEW | {"threshold_value": 0, "symbol": "AAA"})
    assert {attr for _, attr in errors_of(answer)} == {"threshold_value", "symbol"}


def test_portfolio_and_kind_of_a_limit_stay(alice):
    limit = create(alice)
    for field in ("portfolio_id", "kind"):
        answer = alice.patch(f"{URL}/{limit['id']}", {field: limit[field]})
        assert errors_of(answer) == [("unknown_field", field)]


def test_equal_limit_and_closed_portfolio_are_conflicts(alice):
    create(alice)
    assert errors_of(alice.post(URL, NEW)) == [("limit_exists", None)]
    close_portfolio("BOOK")
    assert errors_of(alice.post(URL, NEW | {"threshold_value": 5})) == [("portfolio_closed", None)]


def test_limit_is_deleted_at_once_where_it_only_warns(alice):
    limit = create(alice, action="warn")
    assert alice.delete(f"{URL}/{limit['id']}").status_code == 204
    assert alice.get(f"{URL}/{limit['id']}").status_code == 404


def test_same_idempotency_key_makes_one_limit(alice):
    first, again = (alice.post(URL, NEW, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json() == again.json()
    assert RiskLimit.objects.count() == 1


# --- Who ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("trader", 403), ("operator", 403), ("admin", 200)])
def test_limits_are_changed_by_risk_managers_and_admins(alice, role, status):
    limit, client = create(alice), client_of(role)
    assert client.patch(f"{URL}/{limit['id']}", {"threshold_value": 900}).status_code == status
    assert (client.post(URL, NEW | {"threshold_value": 1}).status_code == 403) is (status == 403)
    assert (client.delete(f"{URL}/{limit['id']}").status_code == 403) is (status == 403)


def test_limit_on_a_hidden_portfolio_is_not_there(alice):
    make_portfolio("THEIRS", groups=["another desk"])
    theirs, viewer = create(alice, portfolio_id="THEIRS"), client_of("viewer")
    for query in ("", "?portfolio_id=THEIRS", "?portfolio_id=NOWHERE"):
        assert viewer.get(URL + query).json()["count"] == 0
    for path in ("", "/history"):
        assert viewer.get(f"{URL}/{theirs['id']}{path}").status_code == 404
    assert alice.post(URL, NEW | {"portfolio_id": "NOWHERE"}).status_code == 404


# --- The list ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", 4),
        ("portfolio_id=BOOK", 3),
        ("kind=price_collar", 1),
        ("symbol=AAA", 1),
        ("active=false", 1),
        ("action=warn", 1),
        ("status=breach", 1),
        ("status=unknown", 3),
        ("portfolio_id=BOOK&action=block&active=true", 1),
    ],
)
def test_list_is_filtered(alice, query, found):
    make_portfolio("OTHER")
    create(alice, portfolio_id="OTHER")
    seen(create(alice)["id"], "breach")
    create(alice, kind="price_collar", symbol="AAA", threshold_value=0.1, active=False)
    create(alice, action="warn")
    assert alice.get(f"{URL}?{query}").json()["count"] == found


def test_list_is_ordered_and_comes_in_pages(alice):
    for threshold in (300, 100, 200):
        create(alice, threshold_value=threshold)
    page = alice.get(f"{URL}?ordering=-threshold_value&page_size=2").json()
    assert [row["threshold_value"] for row in page["results"]] == [300, 200]
    assert page["next"] is not None


@pytest.mark.parametrize("query", ["active=yes", "status=green", "sybmol=AAA", "ordering=status_reason"])
def test_filter_that_does_not_exist_is_refused(alice, query):
    assert alice.get(f"{URL}?{query}").status_code == 400


def test_list_takes_as_many_queries_for_thirty_limits_as_for_one(alice):
    create(alice)
    alice.get(URL)
    with CaptureQueriesContext(connection) as one:
        alice.get(URL)
    for number in range(30):
        change(alice, create(alice, threshold_value=2_000 + number), 202, active=False)
    with CaptureQueriesContext(connection) as many:
        assert alice.get(URL).json()["count"] == 31
    assert len(many) == len(one)


# --- Four eyes ---------------------------------------------------------------------------------------------------


def test_raised_block_limit_is_answered_with_what_waits_and_approved_by_another(alice, bob):
    limit = create(alice)
    body = change(alice, limit, 202, threshold_value=2_000, reason="quarter end")
    waiting = body["pending_change"]
    assert (body["threshold_value"], waiting["changes"]) == (
        1_000,
        {"threshold_value": 2_000, "warning_threshold": 1_600},
    )
    assert (waiting["requested_by"], waiting["reason"], waiting["status"]) == ("alice", "quarter end", "pending")
    assert alice.get(f"{URL}/{limit['id']}").json()["pending_change"] == waiting
    approve = f"{URL}/{limit['id']}/changes/{waiting['id']}/approve"
    assert errors_of(alice.post(approve)) == [("own_change", None)]
    answer = bob.post(approve)
    assert (answer.status_code, answer.json()["status"], answer.json()["decided_by"]) == (200, "approved", "bob")
    shown = alice.get(f"{URL}/{limit['id']}").json()
    assert (shown["threshold_value"], shown["pending_change"]) == (2_000, None)
    assert errors_of(bob.post(approve)) == [("change_decided", None)]


def test_rejected_change_leaves_the_limit(alice, bob):
    limit = create(alice)
    waiting = change(alice, limit, 202, active=False)["pending_change"]
    reject = f"{URL}/{limit['id']}/changes/{waiting['id']}/reject"
    assert alice.post(reject).status_code == 403
    assert bob.post(reject).json()["status"] == "rejected"
    assert alice.get(f"{URL}/{limit['id']}").json()["active"] is True


def test_second_change_is_a_conflict_that_names_the_first(alice):
    limit = create(alice)
    waiting = change(alice, limit, 202, active=False)["pending_change"]
    answer = alice.patch(f"{URL}/{limit['id']}", {"threshold_value": 9_000})
    assert (answer.status_code, errors_of(answer)) == (409, [("change_pending", None)])
    assert f"Change {waiting['id']} of limit {limit['id']}" in answer.json()["errors"][0]["detail"]


def test_deletion_of_a_block_limit_waits(alice, bob):
    limit = create(alice)
    answer = alice.delete(f"{URL}/{limit['id']}", {"reason": "no use any more"})
    assert (answer.status_code, answer.json()["pending_change"]["deletes"]) == (202, True)
    waiting = answer.json()["pending_change"]
    assert bob.post(f"{URL}/{limit['id']}/changes/{waiting['id']}/approve").status_code == 200
    assert bob.get(f"{URL}/{limit['id']}").status_code == 404


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_decision_needs_a_risk_manager_and_the_change_of_that_limit(alice, bob, decision):
    limit, other = create(alice), create(alice, threshold_value=5)
    waiting = change(alice, limit, 202, active=False)["pending_change"]
    assert client_of("trader").post(f"{URL}/{limit['id']}/changes/{waiting['id']}/{decision}").status_code == 403
    assert bob.post(f"{URL}/{other['id']}/changes/{waiting['id']}/{decision}").status_code == 404


# --- History -----------------------------------------------------------------------------------------------------


def test_history_says_who_when_why_and_from_what_to_what(alice, bob):
    limit = create(alice, reason="desk policy")
    change(bob, limit, threshold_value=500)
    waiting = change(alice, limit, 202, active=False, reason="holidays")["pending_change"]
    bob.post(f"{URL}/{limit['id']}/changes/{waiting['id']}/approve")
    entries = client_of("viewer").get(f"{URL}/{limit['id']}/history").json()["results"]
    assert [(entry["event"], entry["by"], entry["reason"]) for entry in entries] == [
        ("changed", "bob", "holidays (asked for by alice)"),
        ("changed", "bob", None),
        ("created", "alice", "desk policy"),
    ]
    assert entries[0]["changes"] == {"active": {"from": True, "to": False}}
    assert entries[1]["changes"] == {
        "threshold_value": {"from": 1_000, "to": 500},
        "warning_threshold": {"from": 800, "to": 400},
    }
    assert entries[2]["changes"]["threshold_value"] == {"from": None, "to": 1_000}
    assert "symbol" not in entries[2]["changes"]
    assert entries[0]["at"] > entries[1]["at"]


def test_history_of_a_deleted_limit_stays(alice):
    limit = create(alice, action="warn")
    alice.delete(f"{URL}/{limit['id']}", {"reason": "no use"})
    entries = alice.get(f"{URL}/{limit['id']}/history?page_size=1").json()
    assert (entries["count"], entries["results"][0]["event"], entries["results"][0]["reason"]) == (
        2,
        "deleted",
        "no use",
    )


# --- Never too calm ----------------------------------------------------------------------------------------------

NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)
RAN = NOW - timedelta(seconds=2)
MONITORS = {
    "running": {"enabled": True, "last_run_at": RAN},
    "stopped": {"enabled": False, "last_run_at": RAN, "changed_at": NOW},
    "stalled": {"enabled": True, "last_run_at": NOW - timedelta(minutes=5)},
}


@pytest.mark.parametrize(
    ("status", "monitor", "shown", "reason"),
    [
        ("ok", "running", "ok", ""),
        ("warning", "running", "warning", ""),
        ("ok", "stopped", "unknown", "monitoring is stopped since 2024-07-01T12:00:00Z"),
        ("warning", "stopped", "unknown", "monitoring is stopped since 2024-07-01T12:00:00Z"),
        ("ok", "stalled", "unknown", "not evaluated since 2024-07-01T11:55:00Z: the monitor has not run for 300 s"),
        ("breach", "running", "breach", ""),
        ("breach", "stopped", "breach", "monitoring is stopped since 2024-07-01T12:00:00Z"),
    ],
)
def test_status_is_calm_only_where_the_monitor_has_just_seen_it(status, monitor, shown, reason):
    limit = RiskLimit(status=status, status_reason="", evaluated_at=RAN, updated_at=RAN - timedelta(days=1))
    found = shown_status(limit, Freshness(RiskMonitor(**MONITORS[monitor]), NOW))
    assert (found.status, found.reason) == (shown, reason)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"active": False}, "the limit is not active"),
        ({"effective_from": NOW + timedelta(days=1)}, "the limit is effective from 2024-07-02T12:00:00Z on"),
        ({"effective_to": NOW}, "the limit was effective until 2024-07-01T12:00:00Z"),
        ({"updated_at": NOW}, "not evaluated since the limit was changed"),
    ],
)
def test_limit_that_is_not_held_against_anything_is_not_shown_as_ok(fields, reason):
    fields = {"updated_at": RAN - timedelta(days=1), **fields}
    limit = RiskLimit(status="ok", status_reason="", evaluated_at=RAN, **fields)
    found = shown_status(limit, Freshness(RiskMonitor(**MONITORS["running"]), NOW))
    assert (found.status, found.reason) == ("unknown", reason)


def test_list_shows_a_limit_as_unknown_while_the_monitor_stands_still(alice, book):
    limit = make_limit(book, "gross_exposure", 1_000, status="ok", current_value=1.0)
    seen(limit.pk, "ok", 1.0)
    monitor_runs()
    assert alice.get(URL).json()["results"][0]["status"] == "ok"
    monitor_runs(last_run_at=timezone.now() - timedelta(hours=1))
    row = alice.get(URL).json()["results"][0]
    assert row["status"] == "unknown"
    assert row["status_reason"].startswith("not evaluated since")
