"""What a browser is sent, compressed: static files once and for all, pages each time, the API never."""

import gzip

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from nautilus import compression

SCRIPT = "/static/dashboard/js/live.js"
ACCEPTS = {"Accept-Encoding": "gzip, deflate, br"}


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch):
    monkeypatch.setattr(compression, "_compressed", {})


def on_disk(path: str) -> bytes:
    with open(finders.find(path.removeprefix("/static/")), "rb") as file:
        return file.read()


def test_script_comes_compressed_and_whole():
    answer = Client().get(SCRIPT, headers=ACCEPTS)
    content = answer.getvalue()
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert int(answer.headers["Content-Length"]) == len(content) < len(on_disk(SCRIPT)) / 2
    assert gzip.decompress(content) == on_disk(SCRIPT)


def test_script_is_compressed_once(monkeypatch):
    first = Client().get(SCRIPT, headers=ACCEPTS).getvalue()
    monkeypatch.setattr(compression.gzip, "compress", None)
    assert Client().get(SCRIPT, headers=ACCEPTS).getvalue() == first


def test_script_that_the_browser_has_is_not_sent_again():
    etag = Client().get(SCRIPT, headers=ACCEPTS).headers["ETag"]
    again = Client().get(SCRIPT, headers={**ACCEPTS, "If-None-Match": etag})
    assert (again.status_code, again.getvalue()) == (304, b"")


def test_who_takes_no_gzip_gets_the_file_as_it_is():
    answer = Client().get(SCRIPT)
    assert answer.getvalue() == on_disk(SCRIPT)
    assert not answer.has_header("Content-Encoding")
    assert answer.headers["Vary"] == "Accept-Encoding"


def test_part_of_a_file_is_a_part_of_the_file():
    answer = Client().get(SCRIPT, headers={**ACCEPTS, "Range": "bytes=0-9"})
    assert (answer.status_code, answer.getvalue()) == (206, on_disk(SCRIPT)[:10])


def test_head_has_no_body():
    assert Client().head(SCRIPT, headers=ACCEPTS).getvalue() == b""


@pytest.mark.parametrize("path", ["/static/dashboard/icons.svg", "/static/dashboard/css/parts.css"])
def test_pictures_of_lines_and_styles_are_compressed_too(path):
    assert gzip.decompress(Client().get(path, headers=ACCEPTS).getvalue()) == on_disk(path)


def test_font_is_sent_as_it_is():
    answer = Client().get("/static/unfold/fonts/inter/Inter-Regular.woff2", headers=ACCEPTS)
    assert answer.status_code == 200
    assert not answer.has_header("Content-Encoding")


def test_no_more_is_kept_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(compression, "KEPT_FILES", 1)
    for path in (SCRIPT, "/static/dashboard/css/parts.css"):
        Client().get(path, headers=ACCEPTS).getvalue()
    assert [path for path, _ in compression._compressed] == ["/static/dashboard/css/parts.css"]


@pytest.mark.django_db
def test_page_is_compressed_and_the_api_is_not():
    assert Client().get("/sign-in", headers=ACCEPTS).headers["Content-Encoding"] == "gzip"
    assert not Client().get("/api/schema", headers=ACCEPTS).has_header("Content-Encoding")
