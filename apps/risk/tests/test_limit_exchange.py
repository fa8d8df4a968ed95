"""Limits from and to files: all rows or none, by the same rules as everywhere."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from tablib import Dataset

from apps.portfolios.tests.factories import make_portfolio, make_prices, make_user
from apps.risk.limit_exchange import COLUMNS, FORMATS, LimitResource
from apps.risk.limits import create_limit
from apps.risk.models import LimitChange, RiskLimit

pytestmark = pytest.mark.django_db

LIMITS = "/admin/risk/risklimit/"


@pytest.fixture(autouse=True)
def book(settings):
    settings.LIMIT_FOUR_EYES = True
    make_prices()
    return make_portfolio("BOOK")


@pytest.fixture
def alice():
    return make_user("risk_manager", username="alice", is_staff=True)


@pytest.fixture
def client(alice):
    client = Client()
    client.force_login(alice)
    return client


def limit_of(threshold=1_000.0, kind="gross_exposure", **terms):
    return create_limit("BOOK", kind, {"threshold_value": threshold, **terms})


def load(text, **kwargs):
    dataset = Dataset().load(text, format="csv")
    return LimitResource().import_data(dataset, rollback_on_validation_errors=True, **kwargs)


def outcomes(result):
    assert not result.has_errors(), [str(error.error) for _, errors in result.row_errors() for error in errors]
    assert not result.invalid_rows, result.invalid_rows
    return [row.instance.outcome for row in result.rows]


def faults(text):
    before = list(RiskLimit.objects.order_by("pk").values())
    result = load(text)
    assert not result.has_errors(), [str(error.error) for _, errors in result.row_errors() for error in errors]
    assert list(RiskLimit.objects.order_by("pk").values()) == before
    return {row.number: row.error_dict for row in result.invalid_rows}


@pytest.mark.parametrize("format_class", FORMATS)
def test_exported_file_comes_back_as_it_was(format_class):
    limit_of(effective_from=None)
    limit_of(0.05, "price_collar", symbol="AAA", action="warn", active=False)
    kind_of_file = format_class()
    text = kind_of_file.export_data(LimitResource().export())
    result = LimitResource().import_data(kind_of_file.create_dataset(text))
    assert outcomes(result) == ["as it was", "as it was"]
    assert RiskLimit.history.count() == 2


def test_export_has_the_terms_by_their_names():
    limit = limit_of(effective_to="2024-07-01T00:00:00Z")
    header, row = LimitResource().export().csv.splitlines()
    assert header == ",".join(COLUMNS)
    assert row == f"{limit.pk},BOOK,gross_exposure,1000.0,800.0,block,critical,true,,,2024-07-01T00:00:00Z"


def test_rows_without_an_id_make_limits_with_what_is_usual(alice):
    text = "portfolio_id,kind,threshold_value,symbol,reason\nBOOK,var_99,50000,,policy\nBOOK,order_rate,60,AAA,\n"
    assert outcomes(load(text, user=alice, file_name="desk.csv")) == ["new", "new"]
    first, second = RiskLimit.objects.order_by("pk")
    assert (first.warning_threshold, first.action, first.created_by) == (40_000, "block", alice)
    assert second.instrument_id == "AAA"
    assert [row.history_change_reason for row in RiskLimit.history.order_by("pk")] == ["policy", "from desk.csv"]


def test_row_with_an_id_changes_what_it_names_and_leaves_the_rest(alice):
    limit = limit_of(kind="position_notional", symbol="AAA", effective_to="2030-07-01T00:00:00Z")
    text = f"id,threshold_value,warning_threshold,action,symbol\n{limit.pk},500,,,\n"
    assert outcomes(load(text, user=alice)) == ["changed"]
    limit.refresh_from_db()
    assert (limit.threshold_value, limit.warning_threshold, limit.action) == (500, 400, "block")
    assert limit.instrument_id is None  # an empty symbol means that there is none
    assert limit.effective_to is not None  # a column that is not there says nothing


def test_row_that_loosens_a_blocking_limit_waits_and_says_so(alice):
    limit, mild = limit_of(), limit_of(action="warn")
    text = f"id,threshold_value\n{limit.pk},2000\n{mild.pk},2000\n"
    waits, changed = outcomes(load(text, user=alice, file_name="desk.csv"))
    change = LimitChange.objects.get()
    assert (waits, changed) == (f"waits for approval: change {change.pk}", "changed")
    assert (change.requested_by, change.reason) == (alice, "from desk.csv")
    assert [each.threshold_value for each in RiskLimit.objects.order_by("pk")] == [1_000, 2_000]


def test_one_bad_row_keeps_all_out():
    text = "portfolio_id,kind,threshold_value\nBOOK,var_99,1\nBOOK,var_95,0\nBOOK,var_97,1\n"
    found = faults(text)
    assert found.keys() == {2, 3}
    assert found[2]["threshold_value"] == ["0.0 is no threshold. Expected a number above zero and at most 1e15."]
    assert found[3]["kind"][0].startswith("'var_97' is no kind.")


@pytest.mark.parametrize(
    ("columns", "cells", "column"),
    [
        ("portfolio_id,kind,threshold_value", "BOOK,var_99,much", "threshold_value"),
        ("portfolio_id,kind,threshold_value", "BOOK,var_99,nan", "threshold_value"),
        ("portfolio_id,kind,threshold_value", "BOOK,var_99,", "threshold_value"),
        ("portfolio_id,kind", "BOOK,var_99", "threshold_value"),
        ("portfolio_id,kind,threshold_value", "NOWHERE,var_99,1", "__all__"),
        ("portfolio_id,kind,threshold_value", "a b,var_99,1", "__all__"),
        ("portfolio_id,kind,threshold_value,active", "BOOK,var_99,1,ture", "active"),
        ("portfolio_id,kind,threshold_value,action", "BOOK,var_99,1,stop", "action"),
        ("portfolio_id,kind,threshold_value,symbol", "BOOK,var_99,1,AAA", "symbol"),
        ("portfolio_id,kind,threshold_value,symbol", "BOOK,price_collar,1,ZZZ", "symbol"),
        ("portfolio_id,kind,threshold_value,effective_to", "BOOK,var_99,1,soon", "effective_to"),
        ("portfolio_id,kind,threshold_value,effective_to", "BOOK,var_99,1,2024-07-01", "effective_to"),
        ("portfolio_id,kind,treshold_value", "BOOK,var_99,1", "treshold_value"),
        ("id,threshold_value", "77,1", "id"),
        ("id,threshold_value", "first,1", "id"),
    ],
)
def test_bad_cell_is_named_with_its_column(columns, cells, column):
    assert column in faults(f"{columns}\n{cells}\n")[1]


@pytest.mark.parametrize(("column", "value"), [("kind", "var_99"), ("portfolio_id", "OTHER")])
def test_row_of_a_limit_cannot_make_it_another_limit(column, value):
    limit = limit_of()
    assert column in faults(f"id,{column}\n{limit.pk},{value}\n")[1]


def test_second_row_of_a_file_sees_the_first():
    assert "__all__" in faults("portfolio_id,kind,threshold_value\nBOOK,var_99,1\nBOOK,var_99,1\n")[2]


def test_objects_of_a_json_file_may_have_their_fields_in_any_order():
    rows = [
        {"portfolio_id": "BOOK", "kind": "var_99", "threshold_value": 100, "warning_threshold": 50},
        {"warning_threshold": 60, "threshold_value": 100, "kind": "var_95", "portfolio_id": "BOOK"},
    ]
    json_format = FORMATS[1]()
    assert outcomes(LimitResource().import_data(json_format.create_dataset(json.dumps(rows)))) == ["new", "new"]
    assert [limit.warning_threshold for limit in RiskLimit.objects.order_by("pk")] == [50, 60]
    for wrong in ([rows[0], {"kind": "var_95"}], {"kind": "var_95"}, [1]):
        with pytest.raises(ValueError, match=r"expected a list of objects|has other fields"):
            json_format.create_dataset(json.dumps(wrong))


# --- In the admin ------------------------------------------------------------------------------------------------


def upload(client, text, name="limits.csv", format_number=0):
    file = SimpleUploadedFile(name, text.encode())
    return client.post(f"{LIMITS}import/", {"import_file": file, "format": str(format_number)})


def confirm(client, answer):
    return client.post(f"{LIMITS}process_import/", answer.context["confirm_form"].initial, follow=True)


def test_file_is_shown_first_and_imported_once_confirmed(client):
    limit = limit_of()
    text = f"id,portfolio_id,kind,threshold_value\n{limit.pk},,,2000\n,BOOK,var_99,5\n"
    answer = upload(client, text)
    assert "waits for approval: change" in answer.content.decode()
    assert (RiskLimit.objects.count(), LimitChange.objects.count()) == (1, 0)
    told = confirm(client, answer).content.decode()
    assert "Imported: 1 new, 1 waits for approval." in told
    assert (RiskLimit.objects.count(), LimitChange.objects.count()) == (2, 1)
    assert RiskLimit.objects.get(kind="var_99").created_by.username == "alice"


def test_faults_of_rows_are_shown_and_nothing_can_be_confirmed(client):
    answer = upload(client, "portfolio_id,kind,threshold_value\nBOOK,var_99,-1\n")
    assert "-1.0 is no threshold." in answer.content.decode()
    assert "confirm_form" not in answer.context


def test_file_that_no_longer_fits_when_it_is_confirmed_is_refused_as_a_whole(client):
    answer = upload(client, "portfolio_id,kind,threshold_value\nBOOK,var_95,7\nBOOK,var_99,5\n")
    create_limit("BOOK", "var_99", {"threshold_value": 5.0})
    assert "Nothing is imported" in confirm(client, answer).content.decode()
    assert RiskLimit.objects.count() == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[{]", "cannot be read in the format that was chosen"),
        ('[{"id": 1}, {"kind": "var_99"}]', "object 2 has other fields"),
        ("[]", "No valid data to import"),
        (" " * 1_000_001, "expected at most 1000000"),
    ],
)
def test_file_that_cannot_be_read_is_refused(client, text, said):
    assert said in upload(client, text, "limits.json", 1).content.decode()


def test_list_is_exported_as_it_is_filtered(client):
    limit_of()
    limit_of(5.0, "var_99")
    answer = client.post(f"{LIMITS}export/?kind__exact=var_99", {"format": "0", "resource": "0"})
    assert answer["Content-Type"] == "text/csv"
    assert [line.split(",")[2] for line in answer.content.decode().splitlines()] == ["kind", "var_99"]
