"""`GET /analytics/performance/{portfolio_id}/report`, from the first request to the file."""

import hashlib
import json
from typing import Any

import pytest
from django.test import Client

from apps.analytics.models import AnalyticsMetric, Report
from apps.analytics.performance import run_performance
from apps.analytics.reports.keep import kept_report, run_report
from apps.portfolios.models import Portfolio
from apps.portfolios.tests.factories import (
    client_of,
    make_portfolio,
    make_prices,
    make_trade,
    make_user,
    trading_days,
)
from apps.tasks.execution import Job, Outcome, execute, take
from apps.tasks.models import Task
from apps.tasks.tests.factories import make_task
from nautilus.api.errors import ConflictError

pytestmark = pytest.mark.django_db

DAYS = trading_days(5)
URL = "/api/v1/sprint3/analytics/performance/BOOK/report"


@pytest.fixture(autouse=True)
def book(settings: Any) -> None:
    settings.TASK_LEASE_SECONDS = 300  # the thread that renews it does not see an open transaction's rows
    make_prices()
    make_trade(make_portfolio("BOOK"))


def measure() -> None:
    asked = {"start_date": str(DAYS[0]), "end_date": str(DAYS[-1]), "benchmark": None, "risk_free_rate": 0.0}
    task = make_task("calculate_portfolio_performance", asked, portfolio_id="BOOK")
    execute(take(str(task.pk), "w1"), run_performance)


def work(task_id: str) -> Task:
    """What a worker does with the task."""
    execute(take(task_id, "w1"), run_report)
    return Task.objects.get(pk=task_id)


def made() -> None:
    measure()
    assert work(client_of("viewer").get(URL).json()["task_id"]).status == "succeeded"


CONTENT = {"html": b"<!doctype html>", "pdf": b"%PDF-1.7", "csv": b"section,item,name,value", "json": b"{}"}


def kept() -> None:
    """Rows as a task leaves them, without the seconds of drawing."""
    measure()
    metric = AnalyticsMetric.objects.get()
    for name, content in CONTENT.items():
        sha256 = hashlib.sha256(content).hexdigest()
        file = {"format": name, "content": content, "sha256": sha256, "size_bytes": len(content)}
        Report.objects.create(portfolio=metric.portfolio, metric=metric, **file)


def test_first_request_is_accepted_and_the_next_has_the_file():
    measure()
    client = client_of("viewer")
    first = client.get(URL, {"format": "pdf"})
    assert (first.status_code, first["Retry-After"]) == (202, "2")
    assert first.json()["status_url"] == f"/api/v1/tasks/{first.json()['task_id']}"
    assert work(first.json()["task_id"]).status == "succeeded"
    second = client.get(URL, {"format": "pdf"})
    assert (second.status_code, second["Content-Type"]) == (200, "application/pdf")
    assert second["Content-Disposition"] == f'attachment; filename="BOOK-{DAYS[0]}-{DAYS[-1]}-tear-sheet.pdf"'
    assert second.content.startswith(b"%PDF-")


def test_task_of_one_format_makes_all_four():
    made()
    types = {name: client_of("viewer").get(URL, {"format": name})["Content-Type"] for name in Report.Format.values}
    assert types == {
        "html": "text/html; charset=utf-8",
        "pdf": "application/pdf",
        "csv": "text/csv; charset=utf-8",
        "json": "application/json",
    }


def test_format_left_out_is_html_that_may_load_and_run_nothing():
    kept()
    answer = client_of("viewer").get(URL)
    assert answer["Content-Type"].startswith("text/html")
    assert answer["Content-Disposition"].startswith("inline;")
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "sandbox" in policy
    assert (answer["X-Frame-Options"], answer["X-Content-Type-Options"]) == ("DENY", "nosniff")


def test_url_in_the_task_leads_to_the_file_that_it_names():
    measure()
    client = client_of("viewer")
    result = work(client.get(URL).json()["task_id"]).result
    for row in result["files"]:
        assert hashlib.sha256(client.get(row["url"]).content).hexdigest() == row["sha256"]


def test_file_that_the_caller_has_is_not_sent_again():
    kept()
    client = client_of("viewer")
    etag = client.get(URL, {"format": "csv"})["ETag"]
    again = client.get(URL, {"format": "csv"}, headers={"If-None-Match": etag})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", etag)
    other = client.get(URL, {"format": "csv"}, headers={"If-None-Match": '"another"'})
    assert other.status_code == 200


@pytest.mark.parametrize("accept", ["application/pdf", "text/html,*/*;q=0.8", "application/json", "image/png"])
def test_format_alone_names_the_file_whatever_is_accepted(accept):
    kept()
    answer = client_of("viewer").get(URL, {"format": "pdf"}, headers={"Accept": accept})
    assert answer["Content-Type"] == "application/pdf"


def test_format_that_does_not_exist_is_refused_with_those_that_do():
    measure()
    answer = client_of("viewer").get(URL, {"format": "docx"})
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"], error["attr"]) == (400, "unknown_format", "format")
    assert "'docx'" in error["detail"]
    assert "html, pdf, csv, json" in error["detail"]


def test_parameter_that_does_not_exist_is_refused():
    measure()
    assert client_of("viewer").get(URL, {"fromat": "pdf"}).json()["errors"][0]["attr"] == "fromat"
    assert not Task.objects.filter(kind="analytics.report").exists()


def test_portfolio_without_a_performance_has_no_report_and_the_way_to_one():
    answer = client_of("viewer").get(URL)
    assert answer.status_code == 404
    assert "POST /api/v1/sprint3/analytics/performance" in answer.json()["errors"][0]["detail"]


def test_newer_performance_is_reported_anew():
    kept()
    measure()
    assert client_of("viewer").get(URL).status_code == 202


def test_requests_while_it_is_made_share_one_computation():
    measure()
    first, second = client_of("viewer").get(URL).json(), client_of("trader").get(URL, {"format": "csv"}).json()
    assert str(Task.objects.get(pk=second["task_id"]).coalesced_with_id) == first["task_id"]


def test_post_makes_a_report_anew_with_the_book_as_it_is_now():
    made()
    client = client_of("viewer")
    before = client.get(URL, {"format": "json"})["ETag"]
    make_trade(Portfolio.objects.get(pk="BOOK"), "AAA", 1, 10)
    answer = client.post(URL)
    assert answer.status_code == 202
    assert work(answer.json()["task_id"]).status == "succeeded"
    after = client.get(URL, {"format": "json"})
    assert after["ETag"] != before
    assert json.loads(after.content)["portfolio"]["portfolio_id"] == "BOOK"


def test_post_after_a_trade_does_not_share_the_task_that_has_read_the_book_before_it():
    measure()
    client = client_of("viewer")
    first = client.get(URL).json()["task_id"]
    make_trade(Portfolio.objects.get(pk="BOOK"), "AAA", 1, 10)
    second = Task.objects.get(pk=client.post(URL).json()["task_id"])
    third = Task.objects.get(pk=client.post(URL).json()["task_id"])
    assert second.coalesced_with_id is None
    assert (str(second.pk) != first, third.coalesced_with_id) == (True, second.pk)


def fail(job: Job) -> Outcome:
    raise ConflictError("The disk is full.", "Make room.")


def test_report_that_could_not_be_made_is_not_tried_for_ever_but_on_request():
    measure()
    client = client_of("viewer")
    task_id = client.get(URL).json()["task_id"]
    execute(take(task_id, "w1"), fail)
    answer = client.get(URL)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (409, "report_failed")
    assert "The disk is full. Make room. POST to this path tries again." in error["detail"]
    assert client.post(URL).status_code == 202
    assert client.get(URL).status_code == 202


def test_post_takes_no_field():
    measure()
    assert client_of("viewer").post(URL, {"format": "pdf"}).json()["errors"][0]["attr"] == "format"


def test_report_of_another_desk_looks_as_if_it_were_not_there():
    kept()
    stranger = client_of("viewer", groups=["another desk"])
    hidden, missing = stranger.get(URL), stranger.get(URL.replace("BOOK", "NONE"))
    assert (hidden.status_code, missing.status_code) == (404, 404)
    assert hidden.json()["errors"][0]["detail"].replace("BOOK", "NONE") == missing.json()["errors"][0]["detail"]


@pytest.mark.parametrize(("role", "status"), [("operator", 403), (None, 403)])
def test_who_reads_no_book_has_no_report(role, status):
    measure()
    assert client_of(role).get(URL).status_code == status


def test_file_that_is_deleted_while_it_is_asked_for_is_not_found(monkeypatch):
    kept()

    def found_and_then_deleted(*args: Any) -> Report | None:
        report = kept_report(*args)
        Report.objects.all().delete()
        return report

    monkeypatch.setattr("apps.analytics.report_api.kept_report", found_and_then_deleted)
    assert client_of("viewer").get(URL).status_code == 404


def test_without_credentials_there_is_nothing():
    assert Client().get(URL).status_code == 401


def test_task_is_retried_by_who_reads_the_book_alone():
    measure()
    owner = client_of("viewer")
    task_id = owner.get(URL).json()["task_id"]
    work(task_id)
    for stranger in (client_of("viewer", groups=["another desk"]), client_of("operator")):
        assert stranger.post(f"/api/v1/tasks/{task_id}/retry").status_code == 404
    assert owner.post(f"/api/v1/tasks/{task_id}/retry").status_code == 202


def admin_client(role: str) -> Client:
    client = Client()
    client.force_login(make_user(role, is_staff=True))
    return client


def test_admin_lists_reports_with_a_link_to_each_file():
    kept()
    client = admin_client("risk_manager")
    page = client.get("/admin/analytics/report/").content.decode()
    report = Report.objects.get(format="pdf")
    assert f'href="/admin/analytics/report/{report.pk}/file"' in page
    answer = client.get(f"/admin/analytics/report/{report.pk}/file")
    assert answer.content == bytes(report.content)


def test_admin_shows_a_report_without_its_bytes():
    kept()
    report = Report.objects.get(format="json")
    answer = admin_client("admin").get(f"/admin/analytics/report/{report.pk}/change/")
    assert answer.status_code == 200
    assert report.sha256 in answer.content.decode()
    assert 'name="content"' not in answer.content.decode()


def test_admin_gives_no_file_to_an_operator():
    kept()
    report = Report.objects.get(format="pdf")
    client = admin_client("operator")
    assert client.get("/admin/analytics/report/").status_code == 403
    assert client.get(f"/admin/analytics/report/{report.pk}/file").status_code == 404
