"""The limits of the page Limits and alerts: what stands there, for whom, and what is chosen of it."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.portfolios.models import Portfolio
from apps.portfolios.tests.factories import make_portfolio, make_user
from apps.risk.halting import set_trading_state_of_all
from apps.risk.limits import change_limit, create_limit, delete_limit
from apps.risk.models import RiskLimit, RiskMonitor
from apps.risk.monitoring import monitor_row
from apps.risk.tests.desks import make_limit

pytestmark = pytest.mark.django_db


def signed_in(role: str, groups: tuple[str, ...] = ("desk",)) -> Client:
    client = Client()
    client.force_login(make_user(role, groups))
    return client


def fragment(client: Client, target: str, query: str = "", status: int = 200) -> str:
    answer = client.get(f"/limits?{query}", headers={"HX-Request": "true", "HX-Target": target})
    assert answer.status_code == status, answer.content
    return answer.content.decode()


def seen(limit: RiskLimit, status: str = "ok", value: float | None = 1.0, reason: str = "") -> RiskLimit:
    """As the monitor leaves it."""
    now = timezone.now()
    state = {"status": status, "current_value": value, "status_reason": reason, "evaluated_at": now}
    RiskLimit.objects.filter(pk=limit.pk).update(status_since=now, **state)
    return limit


@pytest.fixture(autouse=True)
def monitor_runs() -> None:
    monitor_row()
    RiskMonitor.objects.update(enabled=True, last_run_at=timezone.now(), last_run_seconds=60.0)


@pytest.fixture
def book() -> Portfolio:
    return make_portfolio("BOOK")


# --- What stands there -------------------------------------------------------------------------------------------


def test_limit_stands_there_with_what_is_used_of_it(book):
    seen(make_limit(book, "var_99", 1_000), "warning", 850)
    shown = signed_in("viewer").get("/limits").content.decode()
    for words in ("VaR 99 %", "850.00", "1,000", "warns above 800.00", "VaR 99 %: 85 % of the limit", "warning", "USD"):
        assert words in shown, words


def test_figures_are_written_in_the_unit_of_their_kind(book):
    seen(make_limit(book, "concentration", 0.25), "ok", 0.1)
    seen(make_limit(book, "leverage", 1.5), "ok", 0.75)
    shown = fragment(signed_in("viewer"), "limits")
    for words in ("10.00 %", "25.00 %", "0.75", "1.50", "warns above 1.20"):
        assert words in shown, words


def test_limit_without_a_value_says_why(book):
    seen(make_limit(book, "order_notional", 1_000), "ok", None, "checked with each order")
    assert 'title="checked with each order">\N{EN DASH}' in fragment(signed_in("viewer"), "limits")


def test_value_of_a_stopped_monitor_looks_stale(book):
    seen(make_limit(book, "var_99", 1_000), "ok", 10)
    RiskMonitor.objects.update(enabled=False)
    shown = fragment(signed_in("viewer"), "limits")
    assert 'class="is-stale" title="monitoring is stopped since' in shown
    assert '<span class="badge ">unknown</span>' in shown


def test_names_and_reasons_are_text(book):
    seen(make_limit(book, "var_99", 1_000), "unknown", None, "<script>alert(1)</script>")
    assert "<script>alert" not in fragment(signed_in("viewer"), "limits")


def test_empty_page_says_what_is_missing_and_who_can_mend_it(book):
    assert "A risk manager can set some." in fragment(signed_in("viewer"), "limits")
    assert "Set the first one with New limit." in fragment(signed_in("risk_manager"), "limits")
    assert "There is no portfolio that you may see." in fragment(signed_in("viewer", ()), "limits")
    assert "No limit is of this choice." in fragment(signed_in("viewer"), "limits", "kind=var_95")


# --- Who sees what -----------------------------------------------------------------------------------------------


def test_viewer_is_offered_nothing_to_change(book):
    seen(make_limit(book, "var_99", 1_000))
    shown = signed_in("viewer").get("/limits").content.decode()
    assert "data-action" not in shown.replace('data-action="close"', "")
    assert "New limit" not in shown
    assert "History" in shown
    assert "needs the role" in fragment(signed_in("viewer"), "limit-form", status=403)


def test_risk_manager_sets_changes_deletes_stops_and_halts(book):
    limit = make_limit(book, "var_99", 1_000)
    shown = signed_in("risk_manager", ()).get("/limits").content.decode()
    for words in (f'id="change-{limit.pk}"', 'data-action="delete-limit"', "New limit", "Stop monitoring", "Halt all"):
        assert words in shown, words


def test_operator_who_reads_books_stops_monitoring_and_halts_nothing(book):
    shown = signed_in("operator", ("desk", "viewer")).get("/limits").content.decode()
    assert 'data-action="stop-monitoring"' in shown
    assert "set-trading" not in shown


def test_limits_of_another_desk_are_not_there(book):
    make_limit(book, "var_99", 1_000)
    theirs = make_limit(make_portfolio("THEIRS", groups=["others"]), "var_99", 2_000)
    viewer = signed_in("viewer")
    assert "THEIRS" not in viewer.get("/limits").content.decode()
    assert "that you may see" in fragment(viewer, "limit-history", f"limit={theirs.pk}", 404)


def test_limits_of_a_closed_portfolio_are_not_there(book):
    make_limit(book, "var_99", 1_000)
    Portfolio.objects.update(closed_at=timezone.now())
    assert "VaR 99 %" not in fragment(signed_in("viewer"), "limits")


# --- What is chosen ----------------------------------------------------------------------------------------------


def shown_ids(client: Client, query: str) -> list[int]:
    page = client.get(f"/limits?{query}", headers={"HX-Request": "true", "HX-Target": "limits"})
    assert page.status_code == 200, page.content
    return [row.limit.pk for row in page.context["limits"]]


def test_list_is_filtered_by_what_is_shown(book):
    other = make_portfolio("OTHER")
    calm = seen(make_limit(book, "var_99", 1_000), "ok")
    near = seen(make_limit(other, "var_95", 1_000), "warning")
    idle = seen(make_limit(book, "drawdown", 0.5, active=False), "ok")
    viewer = signed_in("viewer")
    assert shown_ids(viewer, "portfolio_id=OTHER") == [near.pk]
    assert shown_ids(viewer, "kind=var_99") == [calm.pk]
    assert shown_ids(viewer, "active=false") == [idle.pk]
    assert shown_ids(viewer, "status=ok") == [calm.pk]
    assert shown_ids(viewer, "status=unknown") == [idle.pk]
    RiskMonitor.objects.update(last_run_at=timezone.now() - timedelta(hours=1))
    assert set(shown_ids(viewer, "status=unknown")) == {calm.pk, near.pk, idle.pk}


def test_worst_stand_first_and_headings_order_otherwise(book):
    low = seen(make_limit(book, "var_99", 1_000), "ok", 100)
    high = seen(make_limit(book, "var_95", 1_000), "ok", 700)
    breach = seen(make_limit(book, "leverage", 1), "breach", 1.2)
    unmeasured = seen(make_limit(book, "order_rate", 9), "ok", None, "checked with each order")
    viewer = signed_in("viewer")
    assert shown_ids(viewer, "") == [breach.pk, high.pk, low.pk, unmeasured.pk]
    assert shown_ids(viewer, "ordering=used") == [low.pk, high.pk, breach.pk, unmeasured.pk]
    shown = fragment(viewer, "limits", "ordering=used")
    assert 'aria-sort="ascending"><a id="order-used" href="/limits?ordering=-used"' in shown


@pytest.mark.parametrize("query", ["kind=nonsense", "status=green", "ordering=nonsense", "active=perhaps"])
def test_choice_that_there_is_not_is_refused_in_words(book, query):
    assert 'class="failed"' in fragment(signed_in("viewer"), "limits", query, 400)


def test_view_that_there_is_not_is_refused():
    answer = signed_in("viewer").get("/limits?view=nonsense")
    assert answer.status_code == 404
    assert "expected one of limits, alerts, channels" in answer.content.decode()


def test_long_list_comes_in_pages(book):
    for number in range(51):
        make_limit(book, "var_99", 1_000 + number)
    viewer = signed_in("viewer")
    first = fragment(viewer, "limits", "kind=var_99")
    assert "1 to 50 of 51" in first
    assert "/limits?kind=var_99&amp;page=2" in first
    assert len(shown_ids(viewer, "kind=var_99&page=2")) == 1


def test_more_limits_need_no_more_queries(book, django_assert_max_num_queries):
    client = signed_in("risk_manager")
    for number in range(20):
        seen(make_limit(make_portfolio(f"BOOK_{number}"), "var_99", 1_000 + number))
    with django_assert_max_num_queries(18):
        client.get("/limits")


# --- Dialogs, and what waits -------------------------------------------------------------------------------------


def test_form_has_the_terms_of_the_limit_as_they_are(book):
    limit = make_limit(book, "concentration", 0.25, effective_to=timezone.now().replace(2030, 1, 2, 3, 4))
    shown = fragment(signed_in("risk_manager"), "limit-form", f"limit={limit.pk}")
    for words in ('value="0.25"', 'value="0.2"', 'value="2030-01-02T03:04"', "0.25 is 25 %", 'name="symbol"'):
        assert words in shown, words


def test_form_of_a_new_limit_is_of_the_portfolio_that_was_chosen(book):
    make_portfolio("OTHER")
    shown = fragment(signed_in("risk_manager"), "limit-form", "portfolio_id=OTHER")
    assert '<option value="OTHER" selected>' in shown
    assert 'value="var_99" data-hint="in the portfolio&#x27;s currency" data-traits=""' in shown


@pytest.mark.parametrize("limit", ["999999", "x", "1" * 30])
def test_form_of_a_limit_that_there_is_not_says_so(limit):
    assert "There is no limit" in fragment(signed_in("risk_manager"), "limit-form", f"limit={limit}", 404)


def test_history_says_who_changed_what_and_why_also_of_a_deleted_limit(book, settings):
    settings.LIMIT_FOUR_EYES = False
    anna: Any = make_user("risk_manager", username="anna")
    limit_id = create_limit("BOOK", "var_99", {"threshold_value": 1_000.0}, user=anna, reason="new desk").pk
    change_limit(limit_id, {"threshold_value": 2_000.0, "active": False}, user=anna, reason="quarter end")
    delete_limit(limit_id, reason="no more")
    shown = " ".join(fragment(signed_in("viewer"), "limit-history", f"limit={limit_id}").split())
    for words in ("created", "by anna", "new desk", "quarter end", "deleted", "by nobody known", "no more"):
        assert words in shown, words
    assert "1,000 <span" in shown
    assert "<strong>2,000</strong>" in shown
    assert 'Active</span> yes <span aria-hidden="true">→' in shown


def test_change_that_waits_is_for_somebody_else_to_decide(book, settings):
    settings.LIMIT_FOUR_EYES = True
    anna: Any = make_user("risk_manager", username="anna")
    limit = make_limit(book, "var_99", 1_000)
    _, change = change_limit(limit.pk, {"threshold_value": 5_000.0}, user=anna, reason="<b>more</b> room")
    hers = Client()
    hers.force_login(anna)
    assert "Somebody else decides on it." in fragment(hers, "changes")
    assert "data-action" not in fragment(hers, "changes")
    shown = fragment(signed_in("risk_manager"), "changes")
    for words in (f'id="approve-{change.pk}"', f'id="reject-{change.pk}"', "anna", "&lt;b&gt;more", "5,000"):
        assert words in shown, words
    reader = signed_in("viewer").get("/limits").content.decode()
    assert "Waits for a second person" in reader
    assert "change waits" in reader
    assert f"approve-{change.pk}" not in reader


def test_nothing_waits_and_nothing_is_said(book):
    assert fragment(signed_in("viewer"), "changes").strip() == ""


# --- Monitoring and trading --------------------------------------------------------------------------------------


def test_standing_says_whether_limits_are_looked_at_and_anybody_may_trade(book):
    seen(make_limit(book, "var_99", 1_000), "breach", 2_000)
    manager = signed_in("risk_manager")
    shown = fragment(manager, "standing")
    for words in (">running<", "1 in breach", "never halted", "Stop monitoring", 'data-state="halted"'):
        assert words in shown, words
    RiskMonitor.objects.update(enabled=False)
    set_trading_state_of_all("halted", "fat finger", make_user("risk_manager", username="anna"))
    shown = fragment(manager, "standing")
    for words in (">stopped<", "Start monitoring", "halted", "by anna", "fat finger", "Let trading go on"):
        assert words in shown, words
    assert 'data-state="halted"' not in shown


def test_standing_says_why_the_last_run_failed(book):
    RiskMonitor.objects.update(last_error="the disk is full", last_error_at=timezone.now() + timedelta(seconds=1))
    assert "The last run failed: the disk is full" in fragment(signed_in("viewer"), "standing")
