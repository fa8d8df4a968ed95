"""The admin's pages of limits: they show what may be said of a limit, and write as the API does."""

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from apps.portfolios.tests.factories import make_portfolio, make_prices, make_user
from apps.risk.limits import change_limit, create_limit
from apps.risk.models import LimitChange, RiskLimit, RiskMonitor

pytestmark = pytest.mark.django_db

LIMITS, CHANGES = "/admin/risk/risklimit/", "/admin/risk/limitchange/"


@pytest.fixture(autouse=True)
def book(settings):
    settings.LIMIT_FOUR_EYES = True
    make_prices()
    return make_portfolio("BOOK")


@pytest.fixture
def alice():
    return make_user("risk_manager", username="alice", is_staff=True)


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def client(alice):
    return signed_in(alice)


@pytest.fixture
def second():
    return signed_in(make_user("risk_manager", username="bob", is_staff=True))


def limit_of(threshold=1_000.0, kind="gross_exposure", **terms):
    return create_limit("BOOK", kind, {"threshold_value": threshold, **terms})


def form(**changed):
    empty = dict.fromkeys(
        ["instrument", "effective_from_0", "effective_from_1", "effective_to_0", "effective_to_1"], ""
    )
    sure = {"threshold_value": "1000", "warning_threshold": "800", "action": "block", "severity": "critical"}
    return {**empty, **sure, "active": "on", "reason": "policy", **changed}


def page(client, path, **more):
    answer = client.get(path, **more)
    assert answer.status_code == 200
    return answer.content.decode()


def run(client, path, action, *ids):
    answer = client.post(path, {"action": action, "_selected_action": list(ids)}, follow=True)
    return answer.content.decode()


# --- Looking -----------------------------------------------------------------------------------------------------


def test_list_shows_how_far_each_limit_is_used_and_how_it_stands(client):
    RiskMonitor.objects.create(pk=1, last_run_at=timezone.now())
    limit = limit_of(50_000.0)
    RiskLimit.objects.filter(pk=limit.pk).update(
        status="warning", status_reason="", current_value=42_500.0, evaluated_at=timezone.now()
    )
    text = page(client, LIMITS)
    assert "85 % of the threshold; warns at 80 %" in text
    assert "width:85.0%" in text
    assert re.search(r"bg-orange-100[^>]*>\s*warning", text)
    assert "42500.00" in text


def test_limit_that_was_fine_is_not_shown_so_while_monitoring_is_stopped(client):
    RiskMonitor.objects.create(pk=1, last_run_at=timezone.now(), enabled=False)
    limit = limit_of()
    RiskLimit.objects.filter(pk=limit.pk).update(status="ok", status_reason="", evaluated_at=timezone.now())
    for path in (LIMITS, f"{LIMITS}{limit.pk}/change/"):
        assert "monitoring is stopped since" in page(client, path)
        assert not re.search(r"bg-green-100[^>]*>\s*ok", page(client, path))


def test_list_takes_no_query_a_row(client, django_assert_max_num_queries):
    for number in range(30):
        limit_of(1_000.0 + number, "position_notional", symbol="AAA")
    with django_assert_max_num_queries(16):
        assert "BOOK" in page(client, LIMITS)


@pytest.mark.parametrize(
    "query", ["status__exact=breach", "kind__exact=order_rate", "q=AAA", "active__exact=0", "action__exact=warn"]
)
def test_list_is_filtered_and_searched(client, query):
    limit_of()
    other = limit_of(5.0, "order_rate", symbol="AAA", active=False, action="warn")
    RiskLimit.objects.filter(pk=other.pk).update(status="breach")
    found = client.get(f"{LIMITS}?{query}").context["cl"].result_list
    assert [limit.pk for limit in found] == [other.pk]


def test_history_page_shows_who_changed_what_and_why(client, alice):
    limit = limit_of()
    change_limit(limit.pk, {"threshold_value": 900.0}, user=alice, reason="calmer")
    text = page(client, f"{LIMITS}{limit.pk}/history/")
    assert "calmer" in text
    assert "alice" in text
    assert "900.0" in text
    assert "Updated at" not in text
    old = f"{LIMITS}{limit.pk}/history/{RiskLimit.history.earliest().pk}/"
    assert page(client, old)
    assert client.post(old, form()).status_code == 403


@pytest.mark.parametrize(("role", "status"), [("admin", 200), ("operator", 403), ("trader", 403), ("viewer", 403)])
def test_pages_are_for_risk_managers_and_admins(role, status):
    other = signed_in(make_user(role, is_staff=True))
    for path in (LIMITS, f"{LIMITS}add/", f"{LIMITS}import/", f"{LIMITS}export/", CHANGES):
        assert other.get(path).status_code == status


# --- Writing -----------------------------------------------------------------------------------------------------


def test_limit_is_added_with_what_goes_with_its_threshold(client):
    empty = {"warning_threshold": "", "severity": "", "action": "warn"}
    answer = client.post(f"{LIMITS}add/", form(portfolio="BOOK", kind="gross_exposure", **empty))
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    limit = RiskLimit.objects.get()
    assert (limit.warning_threshold, limit.severity, limit.created_by.username) == (800, "warning", "alice")
    assert RiskLimit.history.get().history_change_reason == "policy"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"warning_threshold": "1001"}, "Expected a number above zero and at most 1000.0."),
        ({"threshold_value": "0"}, "Expected a number above zero and at most 1e15."),
        ({"instrument": "AAA"}, "Leave the symbol out"),
        ({"reason": ""}, "This field is required"),
    ],
)
def test_bad_form_is_refused_beside_its_field(client, wrong, said):
    answer = client.post(f"{LIMITS}add/", form(portfolio="BOOK", kind="gross_exposure", **wrong))
    assert answer.status_code == 200
    assert said in str(answer.context["adminform"].form.errors[next(iter(wrong))])
    assert not RiskLimit.objects.exists()


def test_form_that_tightens_takes_effect(client):
    limit = limit_of()
    assert client.post(f"{LIMITS}{limit.pk}/change/", form(threshold_value="900")).status_code == 302
    limit.refresh_from_db()
    assert (limit.threshold_value, limit.warning_threshold) == (900, 720)
    entry = RiskLimit.history.latest()
    assert (entry.history_user.username, entry.history_change_reason) == ("alice", "policy")


def test_form_that_loosens_waits_and_says_so(client):
    limit = limit_of()
    answer = client.post(f"{LIMITS}{limit.pk}/change/", form(threshold_value="2000"), follow=True)
    change = LimitChange.objects.get()
    assert change.changes == {"threshold_value": 2_000, "warning_threshold": 1_600}
    text = answer.content.decode()
    assert f"stays as it is: change {change.pk} loosens it, and waits for approval" in text
    assert "changed successfully" not in text
    assert f"{CHANGES}{change.pk}/change/" in text
    assert RiskLimit.objects.get().threshold_value == 1_000
    assert "waits for approval" in LogEntry.objects.get().change_message


def test_bulk_actions_switch_on_at_once_and_off_after_approval(client):
    strict, mild, sleeping = limit_of(), limit_of(action="warn"), limit_of(500.0, active=False)
    text = run(client, LIMITS, "switch_off", strict.pk, mild.pk)
    assert "waits for approval" in text
    assert "is off" in text
    run(client, LIMITS, "switch_on", sleeping.pk)
    assert [RiskLimit.objects.get(pk=limit.pk).active for limit in (strict, mild, sleeping)] == [True, False, True]


def test_bulk_action_says_what_is_refused_and_does_the_rest(client):
    limit_of()
    twin, other = limit_of(active=False), limit_of(5.0, active=False)
    assert "is the same" in run(client, LIMITS, "switch_on", twin.pk, other.pk)
    assert RiskLimit.objects.get(pk=other.pk).active


def test_limit_is_deleted_with_a_reason_and_approval(client, second):
    limit = limit_of()
    path = f"{LIMITS}{limit.pk}/remove/"
    page(client, path)
    client.post(path, {"_form_submitted": "True", "reason": ""})
    assert not LimitChange.objects.exists()
    client.post(path, {"_form_submitted": "True", "reason": "no use"})
    change = LimitChange.objects.get()
    assert (change.deletes, change.reason) == (True, "no use")
    second.post(f"{CHANGES}{change.pk}/approve/", {"_form_submitted": "True"})
    assert not RiskLimit.objects.exists()
    assert "delete" in page(client, CHANGES)


# --- Approving ---------------------------------------------------------------------------------------------------


@pytest.fixture
def change(alice):
    return change_limit(limit_of().pk, {"threshold_value": 2_000.0}, user=alice)[1]


def test_change_is_approved_from_the_list_by_another(client, second, change):
    assert "was asked for by alice" in run(client, CHANGES, "approve_chosen", change.pk)
    assert RiskLimit.objects.get().threshold_value == 1_000
    assert f"Change {change.pk} is approved" in run(second, CHANGES, "approve_chosen", change.pk)
    assert RiskLimit.objects.get().threshold_value == 2_000


@pytest.mark.parametrize(("decision", "threshold"), [("approve", 2_000), ("reject", 1_000)])
def test_change_is_decided_on_its_own_page_once_confirmed(second, change, decision, threshold):
    page(second, f"{CHANGES}{change.pk}/change/")
    page(second, f"{CHANGES}{change.pk}/{decision}/")
    assert LimitChange.objects.get().status == "pending"
    second.post(f"{CHANGES}{change.pk}/{decision}/", {"_form_submitted": "True"})
    assert LimitChange.objects.get().status != "pending"
    assert RiskLimit.objects.get().threshold_value == threshold
