"""`/api/v1/instruments` and `/api/v1/market-data`: contract section 4."""

from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.portfolios.models import Instrument, Upload
from apps.portfolios.tests.factories import client_of, make_prices, make_user
from apps.tasks.models import Task

pytestmark = pytest.mark.django_db

WIDE = b"date,AAA\n2022-01-03,10\n"


def test_instruments_come_with_their_latest_close() -> None:
    make_prices()
    Instrument.objects.create(symbol="NEW", active=False)
    rows = client_of("viewer").get("/api/v1/instruments").json()["results"]
    assert [(row["symbol"], row["price"], row["price_date"]) for row in rows] == [
        ("AAA", 14.0, "2022-01-07"),
        ("BBB", 50.0, "2022-01-07"),
        ("NEW", None, None),
    ]
    assert client_of("viewer").get("/api/v1/instruments?active=false").json()["count"] == 1
    assert client_of("viewer").get("/api/v1/instruments?active=no").status_code == 400


def test_instruments_say_their_sector_and_volume_and_are_found_by_sector() -> None:
    make_prices()
    Instrument.objects.filter(pk="BBB").update(sector="Energy", average_daily_volume=Decimal("1250000.5"))
    first, second = client_of("viewer").get("/api/v1/instruments").json()["results"]
    assert (first["sector"], first["average_daily_volume"]) == ("", None)
    assert (second["sector"], second["average_daily_volume"]) == ("Energy", 1_250_000.5)
    assert client_of("viewer").get("/api/v1/instruments?sector=Energy").json()["results"] == [second]


def test_instruments_say_what_orders_of_them_must_keep_to() -> None:
    make_prices()
    Instrument.objects.filter(pk="AAA").update(price_tick=Decimal("0.01"), quantity_step=1, max_quantity=5_000)
    first, second = client_of("viewer").get("/api/v1/instruments").json()["results"]
    rules = ("price_tick", "quantity_step", "min_quantity", "max_quantity")
    assert [first[name] for name in rules] == [0.01, 1.0, None, 5_000.0]
    assert [second[name] for name in rules] == [None] * 4


@pytest.mark.parametrize(
    ("role", "rules", "status"),
    [
        ("admin", {"price_tick": "0.01", "min_quantity": "1"}, 302),
        ("admin", {"price_tick": "0"}, 200),  # shown again, with its fault
        ("admin", {"price_tick": "0.01", "min_quantity": "2", "max_quantity": "1"}, 200),
        ("risk_manager", {"price_tick": "0.01"}, 403),
    ],
)
def test_order_rules_of_an_instrument_are_set_in_the_admin_by_an_admin(role: str, rules: dict, status: int) -> None:
    make_prices()
    client = Client()
    client.force_login(make_user(role, is_staff=True))
    answer = client.post("/admin/portfolios/instrument/AAA/change/", {"name": "", "active": "on", **rules})
    assert answer.status_code == status
    assert (Instrument.objects.get(pk="AAA").price_tick == Decimal("0.01")) is (status == 302)


@pytest.mark.parametrize("volume", ["0", "-1", "NaN"])
def test_volume_that_is_none_is_refused_by_the_database(volume: str) -> None:
    with pytest.raises(IntegrityError, match="instrument_volume_is_positive"), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO portfolios_instrument (symbol, name, currency, active, created_at, average_daily_volume)"
            " VALUES ('A', '', 'USD', true, now(), %s)",
            [volume],
        )


def test_list_of_instruments_takes_a_query_for_all_prices() -> None:
    make_prices({f"S{number}": [1.0] for number in range(60)})
    client = client_of("viewer")
    with CaptureQueriesContext(connection) as queries:
        assert client.get("/api/v1/instruments").json()["count"] == 60
    assert len(queries) <= 6


def test_prices_are_those_that_stand_now_within_the_days_asked_for() -> None:
    make_prices({"AAA": [10.0, 11.0, 12.0]})
    version = make_prices({"AAA": [10.0, 11.5, 12.0]}).price_version
    url, client = "/api/v1/instruments/AAA/prices", client_of("viewer")
    assert [row["close"] for row in client.get(url).json()["results"]] == [10.0, 11.5, 12.0]
    assert client.get(f"{url}?start=2022-01-04&end=2022-01-04").json()["results"] == [
        {"symbol": "AAA", "date": "2022-01-04", "close": 11.5, "price_version": version}
    ]
    assert [row["close"] for row in client.get(f"{url}?ordering=-date").json()["results"]] == [12.0, 11.5, 10.0]


@pytest.mark.parametrize("query", ["?from=2022-01-01", "?start=soon", "?ordering=close"])
def test_bad_question_about_prices_is_refused(query: str) -> None:
    make_prices()
    assert client_of("viewer").get(f"/api/v1/instruments/AAA/prices{query}").status_code == 400


@pytest.mark.parametrize("symbol", ["ZZZ", "%00", "a%20b"])
def test_unknown_instrument_is_not_found(symbol: str) -> None:
    assert client_of("viewer").get(f"/api/v1/instruments/{symbol}/prices").status_code == 404


@pytest.mark.parametrize("way", ["body", "multipart"])
@pytest.mark.parametrize("role", ["operator", "risk_manager"])
def test_import_is_accepted_as_a_task(role: str, way: str) -> None:
    client, url = client_of(role), "/api/v1/market-data/import"
    if way == "body":
        answer = client.post(url, WIDE, content_type="text/csv")
    else:
        answer = client.post(url, {"file": SimpleUploadedFile("prices.csv", WIDE)}, format="multipart")
    assert answer.status_code == 202
    task = Task.objects.get(pk=answer.json()["task_id"])
    assert task.kind == "market_data.import"
    assert bytes(Upload.objects.get(pk=task.inputs["upload_id"]).content) == WIDE


@pytest.mark.parametrize("role", ["viewer", "trader", "strategist"])
def test_import_needs_a_risk_manager_or_an_operator(role: str) -> None:
    assert client_of(role).post("/api/v1/market-data/import", WIDE, content_type="text/csv").status_code == 403


def test_what_the_first_bytes_show_is_refused_without_a_task() -> None:
    answer = client_of("operator").post("/api/v1/market-data/import", b"date;AAA\n1;2\n", content_type="text/csv")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "wrong_separator")
    assert not Task.objects.exists()
    assert not Upload.objects.exists()


def test_prices_of_200_mb_are_refused_before_they_are_read() -> None:
    url = "/api/v1/market-data/import"
    answer = client_of("operator").post(url, WIDE, content_type="text/csv", CONTENT_LENGTH=str(200 * 2**20))
    assert answer.status_code == 413


def test_status_without_prices_is_stopped_and_says_nothing_it_does_not_know() -> None:
    assert client_of("viewer").get("/api/v1/market-data/status").json() == {
        "status": "stopped",
        "reason": "No quote has come yet.",
        "source": None,
        "symbols": 0,
        "stale_symbols": 0,
        "last_update": None,
        "lag_seconds": None,
        "updates_per_second": 0.0,
        "price_version": 0,
    }


def test_status_names_the_last_import() -> None:
    make_prices(source="friday.csv")
    answer = client_of("operator").get("/api/v1/market-data/status").json()
    assert (answer["status"], answer["source"], answer["symbols"]) == ("stopped", "friday.csv", 2)
    assert answer["lag_seconds"] >= 0
