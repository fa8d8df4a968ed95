"""Which URLs a message may go to, whatever a name resolves to and whatever the far side answers."""

import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path
from threading import Thread

import pytest

from apps.risk.errors_alerts import NotDeliveredError, TargetError
from apps.risk.notifications import outgoing
from apps.risk.notifications.answers import Answer, refuse_unless_taken, retry_after
from apps.risk.notifications.outgoing import MOST_OF_ANSWER_BYTES, check_url, post
from apps.risk.tests.far_sides import Said, running_sink

REFUSED = {
    "plain http": "http://93.184.216.34/",
    "no web": "ftp://93.184.216.34/",
    "a file": "file:///etc/passwd",
    "no host": "https:///hook",
    "no URL at all": "risk@example.com",
    "a port that is none": "https://93.184.216.34:99999/",
    "a user name": "https://user@93.184.216.34/",
    "a password": "https://user:password@93.184.216.34/",
    "a host behind a user name": "https://93.184.216.34@127.0.0.1/",
    "loopback": "https://127.0.0.1/",
    "loopback, another": "https://127.8.9.10/",
    "loopback by name": "https://localhost/",
    "loopback as a number": "https://2130706433/",
    "loopback in octal": "https://0177.0.0.1/",
    "loopback in hexadecimal": "https://0x7f.1/",
    "loopback, shortened": "https://127.1/",
    "this host": "https://0.0.0.0/",
    "private 10/8": "https://10.1.2.3/",
    "private 172.16/12": "https://172.16.0.1/",
    "private 192.168/16": "https://192.168.1.1/",
    "shared by a carrier": "https://100.64.0.1/",
    "link-local, a cloud's metadata": "https://169.254.169.254/latest/meta-data/",
    "multicast": "https://224.0.0.1/",
    "reserved": "https://240.0.0.1/",
    "everybody": "https://255.255.255.255/",
    "loopback v6": "https://[::1]/",
    "no address v6": "https://[::]/",
    "private v6": "https://[fd00::1]/",
    "link-local v6": "https://[fe80::1]/",
    "multicast v6": "https://[ff02::1]/",
    "documentation v6": "https://[2001:db8::1]/",
    "IPv4 loopback mapped into v6": "https://[::ffff:127.0.0.1]/",
    "IPv4 private mapped into v6": "https://[::ffff:10.0.0.1]/",
    "IPv4 compatible": "https://[::127.0.0.1]/",
    "6to4 of a private address": "https://[2002:0a00:0001::1]/",
    "NAT64 of a private address": "https://[64:ff9b::10.0.0.1]/",
    "a name that resolves to nothing": "https://no-such-host.invalid/",
    "a label too long": f"https://{'a' * 70}.com/",
}

ALLOWED = ["https://93.184.216.34/", "https://[2606:2800:220:1::1]:8443/x?y=1", "https://[64:ff9b::93.184.216.34]/"]


@pytest.mark.parametrize("url", REFUSED.values(), ids=REFUSED.keys())
def test_url_is_refused(url):
    with pytest.raises(TargetError) as refusal:
        check_url(url)
    assert refusal.value.attr == "target"


@pytest.mark.parametrize("url", REFUSED.values(), ids=REFUSED.keys())
def test_url_that_slipped_by_is_not_connected_to(url):
    with pytest.raises((TargetError, NotDeliveredError)):
        post(url, b"{}", {})


@pytest.mark.parametrize("url", ALLOWED)
def test_public_address_is_allowed(url):
    check_url(url)


def test_private_server_is_refused_when_connecting_and_hears_nothing(sink, settings):
    settings.ALERT_OPEN_HOSTS = []
    for url in (f"https://{sink.host}/", f"https://localhost:{sink.host.split(':')[1]}/"):
        with pytest.raises(TargetError, match="not in the public Internet"):
            post(url, b"{}", {})
    assert sink.heard == []


def test_name_that_moves_inside_after_the_check_is_refused_when_connecting(monkeypatch, sink, settings):
    settings.ALERT_OPEN_HOSTS = []
    port = int(sink.host.split(":")[1])
    resolved = iter(["93.184.216.34", "127.0.0.1"])

    def rebinding(host, port, **kwargs):  # the name's server is the attacker's: it answers as it likes
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(resolved), port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    check_url(f"https://rebinding.example:{port}/")
    with pytest.raises(TargetError, match=r"127\.0\.0\.1"):
        post(f"https://rebinding.example:{port}/", b"{}", {})


def test_one_private_address_among_public_ones_refuses_the_name(monkeypatch):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 443)) for each in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
    with pytest.raises(TargetError, match=r"10\.0\.0\.1"):
        check_url("https://both.example/")


def test_open_host_is_reached_by_plain_http(sink):
    answer = post(sink.url, b'{"a": 1}', {"X-Mine": "yes"})
    assert (answer.status, answer.text) == (200, "ok")
    assert sink.heard[0].body == b'{"a": 1}'
    assert sink.heard[0].headers["X-Mine"] == "yes"


def test_host_is_open_on_the_named_port_only(sink, settings):
    settings.ALERT_OPEN_HOSTS = ["127.0.0.1:1"]
    with pytest.raises(TargetError):
        post(sink.url, b"{}", {})
    settings.ALERT_OPEN_HOSTS = ["127.0.0.1"]
    assert post(sink.url, b"{}", {}).status == 200


def test_redirect_is_not_followed_wherever_it_leads(sink):
    sink.answers = [Said(302, headers={"Location": "https://169.254.169.254/"}), Said()]
    answer = post(sink.url, b"{}", {})
    assert len(sink.heard) == 1
    with pytest.raises(NotDeliveredError, match="a redirect to https://169") as refusal:
        refuse_unless_taken(answer)
    assert not refusal.value.permanent


def test_proxy_of_the_environment_is_not_used(sink, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert post(sink.url, b"{}", {}).status == 200


def test_answer_that_is_late_is_not_waited_for(sink, settings):
    settings.ALERT_TIMEOUT_SECONDS = 0.5
    sink.answers = [Said(seconds=3)]
    start = time.monotonic()
    with pytest.raises(NotDeliveredError, match="no answer"):
        post(sink.url, b"{}", {})
    assert time.monotonic() - start < 1.5


def test_every_read_takes_from_the_same_time(settings):
    """Bytes that come one by one, each in time, must not keep a sender for ever."""
    settings.ALERT_TIMEOUT_SECONDS = 0.6
    with socket.create_server(("127.0.0.1", 0)) as server:
        host = f"127.0.0.1:{server.getsockname()[1]}"
        settings.ALERT_OPEN_HOSTS = [host]
        Thread(target=_drip, args=(server,), daemon=True).start()
        start = time.monotonic()
        with pytest.raises(NotDeliveredError):
            post(f"http://{host}/", b"{}", {})
        assert time.monotonic() - start < 1.5


def _drip(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100:
            try:
                connection.send(bytes([byte]))
            except OSError:
                return
            time.sleep(0.1)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_certificate_must_be_of_the_hosts_name_and_not_of_its_address(tmp_path, monkeypatch, settings):
    certificate = _make_certificate("localhost", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    outgoing._tls.cache_clear()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, tmp_path / "key.pem")
    with running_sink(server) as sink:
        port = sink.host.split(":")[1]
        settings.ALERT_OPEN_HOSTS = ["localhost", "127.0.0.1"]
        assert post(f"https://localhost:{port}/", b"{}", {}).status == 200
        with pytest.raises(NotDeliveredError, match="CERTIFICATE_VERIFY_FAILED"):
            post(f"https://127.0.0.1:{port}/", b"{}", {})
    outgoing._tls.cache_clear()


def _make_certificate(name: str, folder: Path) -> Path:
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    names = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files]
    subprocess.run(make, check=True, capture_output=True)
    return folder / "certificate.pem"


def test_long_answer_is_read_to_its_limit_only(sink):
    sink.answers = [Said(body=b"x" * 10 * MOST_OF_ANSWER_BYTES)]
    assert len(post(sink.url, b"{}", {}).text) == MOST_OF_ANSWER_BYTES


def test_server_that_is_down_is_no_fault_of_the_url(settings):
    with socket.create_server(("127.0.0.1", 0)) as server:
        host = f"127.0.0.1:{server.getsockname()[1]}"
    settings.ALERT_OPEN_HOSTS = [host]
    with pytest.raises(NotDeliveredError, match="refused") as failure:
        post(f"http://{host}/", b"{}", {})
    assert not failure.value.permanent


@pytest.mark.parametrize(
    ("status", "permanent"),
    [(400, True), (404, True), (410, True), (408, False), (425, False), (429, False), (503, False)],
)
def test_status_says_whether_another_try_makes_sense(status, permanent):
    with pytest.raises(NotDeliveredError) as refusal:
        refuse_unless_taken(Answer(status, {}, "no"))
    assert refusal.value.permanent is permanent


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7),
        ("100000", 300),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 300),
        ("Fri, 01 Jan 2010 00:00:00 GMT", 0),
        ("soon", 0),
    ],
)
def test_retry_after_is_honoured_up_to_five_minutes(said, seconds):
    assert retry_after({"retry-after": said}) == seconds
