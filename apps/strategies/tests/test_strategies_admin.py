"""The admin's pages of strategies, versions and merge requests: who may open them, and what their buttons do."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.portfolios.tests.factories import make_portfolio
from apps.strategies.errors import MergeConflictError
from apps.strategies.models import Deployment, MergeRequest, Strategy, StrategyVersion
from apps.strategies.showing.drafts import HEAD_MARK
from apps.strategies.tests.admin_pages import PAGES, page, running, said_after, staff
from apps.strategies.tests.api_factories import EQUAL_WEIGHT, make_deployment, make_versions
from apps.strategies.versions import post_version

pytestmark = pytest.mark.django_db

COMPARE = f"{PAGES}/strategyversion/compare/STRATEGY_001/"
EVIL = "</script><img src=x onerror=alert(1)>"


@pytest.fixture
def versions() -> list[StrategyVersion]:
    return make_versions(count=2)


@pytest.fixture
def deployment(versions: list[StrategyVersion]) -> Deployment:
    return running(versions[1])


def collide(code: str = EQUAL_WEIGHT, **parameters: Any) -> MergeRequest:
    """Posts on version 1 what collides with version 2, whose gross is 0.5 instead of 1.0."""
    changed = parameters or {"gross": 0.8}
    with pytest.raises(MergeConflictError):
        post_version("STRATEGY_001", parent_version=1, code=code, parameters=changed, author="bob")
    return MergeRequest.objects.get()


@pytest.fixture
def merge(versions: list[StrategyVersion]) -> MergeRequest:
    return collide()


# --- Who may open what -------------------------------------------------------------------------------------------

READERS = {
    "strategy": {"admin", "risk_manager", "strategist"},
    "strategyversion": {"admin", "risk_manager", "strategist"},
    "mergerequest": {"admin", "risk_manager", "strategist"},
    "deployment": {"admin", "risk_manager", "operator"},
    "deploymentorder": {"admin", "risk_manager"},
}


@pytest.mark.parametrize("role", ["viewer", "trader", "risk_manager", "strategist", "operator", "admin"])
def test_pages_open_for_their_roles_alone(deployment, merge, role):
    client = staff(role)
    for name, readers in READERS.items():
        listed, row = f"{PAGES}/{name}/", apps.get_model("strategies", name).objects.first()
        for path in (listed, f"{listed}{row.pk}/change/"):
            assert client.get(path).status_code == (200 if role in readers else 403), path
        for closed in (f"{listed}add/", f"{listed}{row.pk}/delete/"):
            assert client.get(closed).status_code == 403, closed
    assert client.get(COMPARE).status_code == (200 if role in READERS["strategyversion"] else 404)
    by_hand = f"{PAGES}/mergerequest/{merge.pk}/by-hand/"
    assert client.get(by_hand).status_code == (200 if role in ("strategist", "admin") else 403)


def test_strategist_sees_a_versions_deployments_on_portfolios_of_their_desk_alone(deployment):
    make_deployment(deployment.version, make_portfolio("HIDDEN", groups=["others"]), "DEPLOY_002")
    text = page(staff("strategist"), f"{PAGES}/strategyversion/{deployment.version_id}/change/")
    assert "DEPLOY_001" in text
    assert "DEPLOY_002" not in text


# --- Strategies and versions -------------------------------------------------------------------------------------


def test_list_of_strategies_counts_versions_and_open_merge_requests(merge):
    row = page(staff("risk_manager"), f"{PAGES}/strategy/")
    assert f'strategyversion/{Strategy.objects.get().head_id}/change/">version 2</a>' in row
    assert 'strategyversion/?strategy__id__exact=STRATEGY_001">3</a>' in row
    assert 'status__exact=open">1</a>' in row


def test_page_of_a_version_shows_its_code_by_lines_and_its_parameters(versions):
    text = page(staff("risk_manager"), f"{PAGES}/strategyversion/{versions[1].pk}/change/")
    assert '<td class="number" data-number="2"></td><td>    share = params[&quot;gross&quot;]' in text
    assert '<td>gross</td><td class="value">0.5</td>' in text
    assert f'strategyversion/{versions[0].pk}/change/">version 1</a>' in text
    assert versions[1].hash in text


def test_button_of_a_version_leads_to_the_comparison_with_its_parent(versions):
    client = staff("strategist")
    path = f"{PAGES}/strategyversion/{versions[1].pk}/compare-with-parent/"
    assert path in page(client, f"{PAGES}/strategyversion/{versions[1].pk}/change/")
    answer = client.get(path)
    assert answer.headers["Location"] == f"{COMPARE}?from=1&to=2"
    assert "version 1 to version 2" in page(client, answer.headers["Location"])


def post_next(code: str, **fields: Any) -> StrategyVersion:
    head = Strategy.objects.get().head
    return post_version("STRATEGY_001", parent_version=head.version, code=code, parameters={"gross": 0.5}, **fields)


def test_any_two_versions_are_compared_with_the_changed_words_marked(versions):
    post_next(EQUAL_WEIGHT.replace("share =", "part ="))
    text = page(staff("strategist"), f"{COMPARE}?from=1&to=3")
    assert "<mark>share</mark> = params" in text
    assert "<mark>part</mark> = params" in text
    assert '<td class="value left">1.0</td><td class="value right">0.5</td>' in text
    turned = page(staff("strategist"), f"{COMPARE}?from=3&to=1")
    assert '<td class="value left">0.5</td><td class="value right">1.0</td>' in turned


def test_equal_lines_far_from_a_change_are_folded_until_all_are_asked_for(versions):
    long = EQUAL_WEIGHT + "".join(f"# line {number}\n" for number in range(30))
    post_next(long)
    post_next(long.replace("# line 15", "# other"))
    client = staff("strategist")
    assert "# line 2\n" not in (folded_page := page(client, f"{COMPARE}?from=3&to=4"))
    assert "equal lines" in folded_page
    whole = page(client, f"{COMPARE}?from=3&to=4&whole")
    assert "# line 2<" in whole
    assert "equal lines" not in whole


@pytest.mark.parametrize("query", ["from=9&to=1", "to=x", "from=-1", "to=" + "9" * 30, "from=%C2%B2"])
def test_comparison_with_a_version_that_is_not_there_is_not_found(versions, query):
    assert staff("strategist").get(f"{COMPARE}?{query}").status_code == 404


def test_html_in_code_and_parameters_is_text_on_every_page(versions):
    post_next(f"{EQUAL_WEIGHT}# {EVIL}\n", message=EVIL, author="eve")
    post_next(f"{EQUAL_WEIGHT}# other {EVIL}\n", message=EVIL, author="eve")
    merge = collide(f"{EQUAL_WEIGHT}# mine {EVIL}\n", **{f"gross{EVIL}": EVIL, "gross": EVIL})
    client = staff("admin")
    paths = [f"{COMPARE}?from=3&to=4", f"{COMPARE}?from=1&to=3", f"{COMPARE}?from=3&to=3&whole"]
    paths += [f"{PAGES}/strategyversion/{merge.branch_id}/change/", f"{PAGES}/strategyversion/"]
    paths += [f"{PAGES}/mergerequest/{merge.pk}/{leaf}/" for leaf in ("change", "by-hand")]
    for path in [*paths, f"{PAGES}/strategy/STRATEGY_001/change/"]:
        text = page(client, path)
        assert "<img src=x" not in text, path
        assert "&lt;img" in text.replace("<mark>", "").replace("</mark>", ""), path


def test_pages_of_fifty_versions_take_no_query_a_version(deployment, django_assert_max_num_queries):
    for number in range(48):
        post_next(f"{EQUAL_WEIGHT}# {number}\n")
    assert StrategyVersion.objects.count() == 50
    client = staff("risk_manager")
    head = Strategy.objects.get().head_id
    paths = [f"{PAGES}/strategyversion/", f"{PAGES}/strategyversion/{head}/change/", f"{COMPARE}?from=1&to=50"]
    for path in [*paths, f"{PAGES}/strategy/", f"{PAGES}/strategy/STRATEGY_001/change/"]:
        with django_assert_max_num_queries(18):
            page(client, path)


# --- Merge requests ----------------------------------------------------------------------------------------------


def test_merge_request_shows_what_collides_side_by_side(merge):
    text = page(staff("risk_manager"), f"{PAGES}/mergerequest/{merge.pk}/change/")
    assert "Parameter gross" in text
    assert [value for value in ("1.0", "0.5", "0.8") if f"<td>{value}</td>" in text] == ["1.0", "0.5", "0.8"]


def test_list_of_merge_requests_counts_what_collides_without_reading_it(versions):
    post_next(EQUAL_WEIGHT.replace("share =", "part ="))
    collide(EQUAL_WEIGHT.replace("share =", "mine ="), gross=0.8, other={"a": 1})
    with CaptureQueriesContext(connection) as captured:
        text = page(staff("risk_manager"), f"{PAGES}/mergerequest/")
    assert "1 in the code, 1 in the parameters" in text
    assert not [query for query in captured if ', "strategy_merge_requests"."hunks",' in query["sql"]]


def test_latest_resolves_once_it_is_confirmed(merge):
    client = staff("strategist", username="sophie")
    path = f"{PAGES}/mergerequest/{merge.pk}/latest/"
    assert "what the head changed since is left out" in page(client, path)
    assert MergeRequest.objects.get().status == "open"
    assert "version 4 is the head now" in said_after(client, path, message="bob is right")
    head = Strategy.objects.get().head
    assert (head.version, head.parameters, head.message) == (4, {"gross": 0.8}, "bob is right")
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.object_id) == ("sophie", str(merge.pk))
    assert "bob is right" in entry.change_message


def test_merge_request_that_is_resolved_already_says_so(merge):
    client = staff("admin")
    path = f"{PAGES}/mergerequest/{merge.pk}"
    said_after(client, f"{path}/latest/", message="first")
    assert "latest/" not in page(client, f"{path}/change/")
    assert "resolved" in said_after(client, f"{path}/latest/", message="second")
    assert client.get(f"{path}/by-hand/").headers["Location"] == f"{path}/change/"
    assert StrategyVersion.objects.count() == 4


def by_hand(client: Client, merge: MergeRequest, **form: str) -> Any:
    path = f"{PAGES}/mergerequest/{merge.pk}/by-hand/"
    return client.post(path, {"code": EQUAL_WEIGHT, "parameters": "{}", "message": "both", **form}, follow=True)


def test_form_by_hand_starts_with_what_merges_cleanly_and_marks_the_rest(merge):
    form = staff("strategist").get(f"{PAGES}/mergerequest/{merge.pk}/by-hand/").context["form"]
    assert form.initial["code"] == EQUAL_WEIGHT
    assert f'"gross": "{HEAD_MARK}: 0.5 ||||||| base: 1.0 >>>>>>> branch: 0.8"' in form.initial["parameters"]


def test_what_is_written_by_hand_becomes_the_head(merge):
    answer = by_hand(staff("strategist"), merge, parameters='{"gross": 0.65}')
    assert "version 4 is the head now" in answer.content.decode()
    head = Strategy.objects.get().head
    assert (head.version, head.parameters, head.merged_from_id) == (4, {"gross": 0.65}, merge.branch_id)
    assert "both" in LogEntry.objects.get().change_message


def test_what_collides_with_a_head_that_has_moved_stays_in_the_form_with_the_new_hunks(merge):
    post_version("STRATEGY_001", parent_version=2, code=EQUAL_WEIGHT, parameters={"gross": 0.3}, author="eve")
    answer = by_hand(staff("strategist"), merge, parameters='{"gross": 0.65}')
    text = answer.content.decode()
    assert "Version 4 is the head now" in text
    assert "&quot;gross&quot;: 0.65" in text
    assert "<td>0.3</td>" in text
    assert MergeRequest.objects.get().status == "open"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"code": f"{HEAD_MARK}\n{EQUAL_WEIGHT}"}, "Line 1 is still a mark"),
        ({"code": f"{EQUAL_WEIGHT}\r\n>>>>>>> branch\r\n"}, "Line 5 is still a mark"),
        ({"parameters": f'{{"a": {{"b": "{HEAD_MARK}: 1"}}}}'}, "&#x27;a.b&#x27; is still a mark"),
        ({"parameters": "{"}, "This is not JSON"),
        ({"parameters": "[1]"}, "Expected an object"),
        ({"parameters": '{"a": NaN}'}, "finite"),
        ({"parameters": "[" * 100_000}, "This is nested too deep"),
        ({"parameters": '{"a":' * 900 + "1" + "}" * 900}, "nested"),
        ({"code": "a\0b"}, "Null characters are not allowed"),
        ({"message": ""}, "This field is required"),
    ],
)
def test_what_cannot_be_a_version_stays_in_the_form(merge, wrong, said):
    answer = by_hand(staff("strategist"), merge, **wrong)
    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert MergeRequest.objects.get().status == "open"
    assert StrategyVersion.objects.count() == 3
