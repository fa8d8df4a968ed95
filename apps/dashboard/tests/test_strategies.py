"""The pages about strategies: what each role sees, what stands on them, and how they fail."""

import re
from datetime import date

import pytest

from apps.dashboard.pages import version_detail
from apps.dashboard.tests.strategy_pages import DEPLOYMENT, STRATEGY, client_of, page
from apps.portfolios.tests.factories import make_portfolio, make_user
from apps.strategies.errors import MergeConflictError
from apps.strategies.merge_requests import resolve_version_conflict
from apps.strategies.models import Deployment, MergeRequest, StrategyVersion
from apps.strategies.tests.api_factories import EQUAL_WEIGHT, make_deployment, make_order, make_run, make_versions
from apps.strategies.versions import post_version

pytestmark = pytest.mark.django_db

EVIL = "</script><img src=x onerror=alert(1)>"


@pytest.fixture
def merge(versions: list[StrategyVersion]) -> MergeRequest:
    """Version 3, whose gross collides with version 2's."""
    with pytest.raises(MergeConflictError):
        post_version("STRATEGY_001", parent_version=1, code=EQUAL_WEIGHT, parameters={"gross": 0.8}, author="bob")
    return MergeRequest.objects.get()


# --- The list ------------------------------------------------------------------------------------------------------


def test_without_a_strategy_the_list_says_how_there_is_one():
    text = page(client_of("viewer"), "/strategies")
    assert "There is no strategy yet." in text
    assert "Nothing runs, and nothing is on its way." in text


def test_list_shows_the_head_what_waits_and_where_it_runs(deployment, merge):
    text = page(client_of("viewer"), "/strategies", "strategies")
    assert f'<a href="{STRATEGY}?version=2">version 2</a>' in text
    assert f'href="{STRATEGY}#merge-requests">1 open</a>' in text
    assert '<a href="/deployments/DEPLOY_001">BOOK</a>' in text
    assert "<html" not in text


def test_list_is_sorted_and_searched(versions):
    make_versions("ALPHA", count=3)
    client = client_of("viewer")
    by_versions = page(client, "/strategies?sort=-versions", "strategies")
    assert by_versions.index("ALPHA") < by_versions.index("STRATEGY_001")
    assert 'aria-sort="descending"' in by_versions
    assert "ALPHA" not in page(client, "/strategies?name=strategy_0", "strategies")
    assert "No strategy has this" in page(client, "/strategies?name=nothing%00", "strategies")
    assert "ALPHA" in page(client, "/strategies?sort=nonsense&page=99", "strategies")


def test_deployments_of_other_desks_are_hidden(deployment):
    make_deployment(deployment.version, make_portfolio("HIDDEN", groups=["others"]), "DEPLOY_002")
    for path in ("/strategies", STRATEGY):
        text = page(client_of("viewer"), path)
        assert "DEPLOY_001" in text
        assert "DEPLOY_002" not in text
        assert "HIDDEN" not in text
    assert "DEPLOY_002" in page(client_of("risk_manager"), "/strategies")
    assert "no deployment" in page(client_of("viewer"), "/deployments/DEPLOY_002", status=404)


def test_operator_sees_that_it_runs_and_nothing_of_the_book(deployment):
    Deployment.objects.update(reason="the equity of 1,234 was too low")
    text = page(client_of("operator"), "/strategies")
    assert "DEPLOY_001" in text
    assert 'data-right="forced"' in text
    assert "1,234" not in text
    assert 'href="/deployments/DEPLOY_001"' not in text
    assert "strategies-title" not in text
    assert page(client_of("operator"), DEPLOYMENT, status=403)
    assert page(client_of("operator"), STRATEGY, status=403)


def test_who_asked_and_the_steps_are_for_those_who_read_the_book(deployment):
    Deployment.objects.update(created_by=make_user("strategist", username="anna"))
    for role, is_told in (("viewer", True), ("operator", False)):
        text = page(client_of(role), "/strategies", "deployments")
        assert "DEPLOY_001" in text
        assert ("anna" in text) is is_told
        assert ("Steps of DEPLOY_001" in text) is is_told


def test_of_many_versions_the_newest_are_offered_and_the_one_that_is_shown(monkeypatch):
    make_versions("ALPHA", count=6)
    monkeypatch.setattr(version_detail, "OFFERED", 2)
    text = page(client_of("strategist"), "/strategies/ALPHA?from=3&to=1")
    options = {name: re.findall(r'<option value="(\d+)"', part) for name, part in _selects(text)}
    assert options["deploy-version"] == ["6", "5", "1"]
    assert options["compare-from"] == options["compare-to"] == ["6", "5", "3", "1"]


def _selects(text: str) -> list[tuple[str, str]]:
    return re.findall(r'<select id="([^"]+)"(.*?)</select>', text, re.DOTALL)


def test_deployments_are_chosen_by_status(deployment, traded_book):
    make_deployment(deployment.version, traded_book, "DEPLOY_002", status="failed", reason="risk: leverage would be 3.")
    client = client_of("viewer")
    assert "DEPLOY_002" not in page(client, "/strategies", "deployments")
    failed = page(client, "/strategies?status=failed", "deployments")
    assert "leverage would be 3." in failed
    assert "DEPLOY_001" not in failed
    assert "DEPLOY_001" in page(client, "/strategies?status=all", "deployments")
    assert "DEPLOY_001" in page(client, "/strategies?status=%27", "deployments")


# --- Who is shown which button ---------------------------------------------------------------------------------------

ASKED = {
    "viewer": [],
    "trader": [],
    "risk_manager": [],
    "strategist": ["new-version", "deploy"],
    "admin": ["new-version", "deploy"],
}


@pytest.mark.parametrize("role", list(ASKED))
def test_versions_and_deployments_are_asked_for_by_strategists_alone(deployment, role):
    text = page(client_of(role), STRATEGY)
    assert [name for name in ("new-version", "deploy") if f'data-opens="{name}"' in text] == ASKED[role]
    assert ('data-opens="new-strategy"' in page(client_of(role), "/strategies")) == bool(ASKED[role])
    assert ('<option value="live">' in text) == (role == "admin")


@pytest.mark.parametrize(("role", "verifies", "clears"), [
    ("viewer", False, False), ("strategist", True, False), ("admin", True, True)
])  # fmt: skip
def test_history_is_verified_by_strategists_and_what_is_stuck_cleared_by_operators(deployment, role, verifies, clears):
    assert ("data-verify" in page(client_of(role), STRATEGY)) == verifies
    assert ('data-opens="clear-stuck"' in page(client_of(role), "/strategies")) == clears


def test_operator_who_reads_no_book_clears_what_is_stuck(deployment):
    text = page(client_of("operator"), "/strategies")
    assert 'data-opens="clear-stuck"' in text
    assert 'min="1" step="1" required value="30"' in text


# --- One strategy ----------------------------------------------------------------------------------------------------


def test_versions_stand_in_a_graph_newest_first(deployment, merge):
    text = page(client_of("viewer"), STRATEGY, "versions")
    assert text.index("Version 3") < text.index("Version 2") < text.index("Version 1")
    assert text.count("<circle") == 3
    assert '<circle class="lane-0 head" cx="9" cy="50%" r="7">' in text
    assert '<circle class="lane-1" cx="27" cy="50%" r="5">' in text
    assert '<line class="lane-1" x1="27" y1="0%" x2="9" y2="50%">' in text  # version 3 comes from version 1
    assert f'href="{STRATEGY}/merge-requests/{merge.pk}"' in text
    assert 'href="/deployments/DEPLOY_001"' in text
    assert merge.branch.hash[:10] in text


def test_by_itself_the_page_shows_what_the_head_changed(versions):
    text = page(client_of("viewer"), STRATEGY)
    assert "Version 1 to version 2" in text
    assert '<tr class="changed"><th scope="row" class="name">gross</th>' in text
    assert "The same on both sides." in text


def test_two_versions_are_compared_line_by_line_with_the_changed_words_marked(versions):
    code = EQUAL_WEIGHT.replace("share =", "part =")
    post_version("STRATEGY_001", parent_version=2, code=code, parameters={"gross": 0.5}, author="bob")
    text = page(client_of("viewer"), f"{STRATEGY}?from=1&to=3", "detail")
    assert "<mark>share</mark>" in text
    assert "<mark>part</mark>" in text
    turned = page(client_of("viewer"), f"{STRATEGY}?from=3&to=1", "detail")
    assert "Version 3 to version 1" in turned


def test_one_version_is_shown_with_its_code_and_parameters(versions):
    text = page(client_of("viewer"), f"{STRATEGY}?version=1", "detail")
    assert "def target_weights(prices, params):" in text
    assert "<code>1.0</code>" in text
    assert versions[0].hash in text
    assert "nothing: it is the first" in text


@pytest.mark.parametrize("query", ["version=9", "version=x", "from=-1", "to=" + "9" * 30, "version=%C2%B2", "version="])
def test_version_that_is_not_there_is_not_found(versions, query):
    assert "has no version" in page(client_of("viewer"), f"{STRATEGY}?{query}", "detail", status=404)
    assert "has no version" in page(client_of("viewer"), f"{STRATEGY}?{query}", status=404)


def test_strategy_that_is_not_there_is_not_found():
    for name in ("NOTHING", "no%00thing", "%F0%9F%92%A9"):
        assert "There is no strategy" in page(client_of("viewer"), f"/strategies/{name}", status=404)


def test_strategy_without_versions_says_what_is_missing():
    make_versions(count=0)
    text = page(client_of("strategist"), STRATEGY)
    assert "It has no version yet." in text
    assert 'data-parent=""' in text
    assert 'data-opens="deploy"' not in text


def test_form_of_a_new_version_begins_with_the_head(versions):
    text = page(client_of("strategist"), STRATEGY)
    assert 'data-parent="2"' in text
    assert "&quot;gross&quot;: 0.5" in text


def test_html_in_code_messages_and_parameters_is_text(versions, traded_book):
    code = f"{EQUAL_WEIGHT}# {EVIL}\n"
    post_version("STRATEGY_001", parent_version=2, code=code, parameters={EVIL: EVIL}, message=EVIL, author="eve")
    with pytest.raises(MergeConflictError):
        post_version(
            "STRATEGY_001", parent_version=2, code=f"{code}#", parameters={EVIL: 1}, message=EVIL, author="eve"
        )
    client = client_of("admin")
    paths = [STRATEGY, f"{STRATEGY}?version=3", f"{STRATEGY}?from=3&to=1", "/strategies"]
    for path in [*paths, f"{STRATEGY}/merge-requests/{MergeRequest.objects.get().pk}"]:
        assert "<img src=x" not in page(client, path), path


def test_no_style_and_no_script_stand_in_the_pages(deployment, merge):
    for path in ("/strategies", STRATEGY, DEPLOYMENT, f"{STRATEGY}/merge-requests/{merge.pk}"):
        text = page(client_of("admin"), path)
        for banned in (" style=", "hx-on", "onclick", "javascript:"):
            assert banned not in text, (path, banned)


def test_pages_of_many_rows_take_no_query_a_row(deployment, traded_book, django_assert_max_num_queries):
    for number in range(45):
        code = f"{EQUAL_WEIGHT}# {number}\n"
        post_version("STRATEGY_001", parent_version=number + 2, code=code, parameters={}, author="bob")
    for number in range(2, 18):
        make_deployment(deployment.version, traded_book, f"DEPLOY_{number:03}", status="failed", previous=deployment)
    run = make_run(deployment, date(2022, 1, 4))
    for symbol in ("AAA", "BBB"):
        make_order(run, symbol)
    client = client_of("admin")
    for path in ("/strategies?status=all", STRATEGY, DEPLOYMENT):
        with django_assert_max_num_queries(32):
            page(client, path)
    assert "Page 1 of 2" in page(client, STRATEGY, "versions")
    assert "Version 1<" in page(client, f"{STRATEGY}?versions=2", "versions")


# --- Merge requests --------------------------------------------------------------------------------------------------


def test_merge_request_shows_its_sides_and_a_draft(merge):
    text = page(client_of("strategist"), f"{STRATEGY}/merge-requests/{merge.pk}")
    assert "Parameter gross" in text
    assert [value for value in ("1.0", "0.5", "0.8") if f"<td>{value}</td>" in text] == ["1.0", "0.5", "0.8"]
    assert "&lt;&lt;&lt;&lt;&lt;&lt;&lt; head: 0.5" in text
    assert 'data-opens="latest"' in text


def test_merge_request_is_read_by_viewers_and_resolved_by_strategists(merge):
    path = f"{STRATEGY}/merge-requests/{merge.pk}"
    viewer = page(client_of("viewer"), path)
    assert "Parameter gross" in viewer
    assert "Resolve by hand" not in viewer
    assert 'data-opens="latest"' not in viewer
    assert "no merge request" in page(
        client_of("viewer"), f"{STRATEGY}/merge-requests/999999999999999999999", status=404
    )


def test_resolved_merge_request_says_what_came_of_it(merge):
    resolve_version_conflict("STRATEGY_001", "latest", user=make_user("strategist", username="sophie"))
    text = page(client_of("strategist"), f"{STRATEGY}/merge-requests/{merge.pk}")
    assert "Resolved (latest)" in text
    assert "version 4" in text
    assert "Resolve by hand" not in text
    listed = page(client_of("viewer"), STRATEGY, "merge-requests")
    assert "resolved (latest) as version 4 by sophie" in listed
