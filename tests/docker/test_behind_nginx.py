"""The contract through docker/nginx, with real processes behind it."""

import json
import threading

import httpx
import pytest
from django.conf import settings
from websockets.sync.client import connect

from tests.docker.front import Site
from tests.running import wait_until

# In one process: what stands behind nginx is started once.
pytestmark = [pytest.mark.platform, pytest.mark.timeout(600)]

IMPORT = "/api/v1/market-data/import"
CSV = {"Content-Type": "text/csv"}
TOKEN = "/api/v1/auth/token"


def posted_task(site: Site, closes: str = "2022-12-27,DEMO,10.5\n") -> str:
    """The id of a task that nobody works on: there are no workers."""
    with site.client() as client:
        answer = client.post(IMPORT, content=f"date,symbol,close\n{closes}", headers=CSV)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["task_id"])


def test_http_is_answered_by_both_replicas_of_backend(site: Site) -> None:
    with site.client() as client:
        codes = {client.get("/api/v1/auth/me").status_code for _ in range(20)}
    assert codes == {200}
    served = (site.front_folder / "access.log").read_text().splitlines()
    upstreams = {json.loads(line)["upstream"] for line in served if "/auth/me" in line}
    assert {address.split(":")[0] for address in upstreams} == {backend.address for backend in site.backends}


def test_what_one_socket_hears_is_what_another_process_published(site: Site) -> None:
    address = f"ws://localhost:{site.front.port}/ws"
    with connect(address, additional_headers={"Authorization": f"Bearer {site.token}"}) as socket:
        socket.send(json.dumps({"type": "subscribe", "topic": "notes"}))
        assert json.loads(socket.recv(20))["type"] == "subscribed"
        with site.client() as client:
            said = {"topic": "notes", "message": {"note": "through nginx"}}
            assert client.post("/api/v1/sprint3/websocket/broadcast", json=said).status_code == 200
        heard = json.loads(socket.recv(20))
    assert heard["data"] == {"note": "through nginx"}


def test_a_long_poll_is_held_until_its_task_ends(site: Site) -> None:
    task_id = posted_task(site)
    answers: list[httpx.Response] = []

    def poll() -> None:
        with site.client() as client:
            answers.append(client.get(f"/api/v1/tasks/{task_id}?wait=30"))

    poller = threading.Thread(target=poll)
    poller.start()
    with site.client() as client:  # no worker runs: without the wait the answer would be "processing"
        assert client.get(f"/api/v1/tasks/{task_id}").json()["status"] == "processing"
        assert client.delete(f"/api/v1/tasks/{task_id}").status_code == 202
    poller.join(60)
    assert answers[0].json()["status"] == "cancelled"


def test_a_body_of_many_megabytes_is_imported(site: Site) -> None:
    days = [f"20{year}-{month:02}-{day:02}" for year in range(10, 20) for month in range(1, 13) for day in range(1, 29)]
    closes = "".join(f"{day},BIG{number:03},10.5\n" for number in range(90) for day in days)
    assert len(closes) > 6 * 2**20
    assert posted_task(site, closes)


def test_a_body_above_the_limit_is_refused_in_the_contracts_shape(site: Site) -> None:
    with site.client() as client:
        answer = client.post(IMPORT, content=b"0" * (66 * 2**20), headers=CSV)
    assert answer.status_code == 413
    assert answer.json()["errors"][0]["code"] == "file_too_large"


def test_nginx_takes_what_the_import_takes() -> None:
    assert settings.IMPORT_MAX_BYTES + 64 * 2**10 <= 65 * 2**20


def test_nobody_is_a_local_operator_through_the_proxy(site: Site) -> None:
    direct = httpx.get(f"{site.backends[0].url}/api/v1/auth/me", headers={"Host": "localhost"}, trust_env=False)
    assert direct.status_code == 200, "the setting is on: at the process itself one is let in"
    with site.front.client() as client:
        assert client.get("/api/v1/auth/me").status_code == 401
        assert client.get("/api/v1/auth/me", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 401
        assert client.get("/api/v1/sprint3/system/health").status_code == 401


def test_a_socket_is_no_local_operator_through_the_proxy(site: Site) -> None:
    with connect(f"ws://localhost:{site.front.port}/ws") as socket, pytest.raises(Exception, match="4401"):
        socket.recv(20)


def test_each_client_has_a_throttle_of_its_own_whatever_it_claims(site: Site) -> None:
    def tried(address: str, claimed: str) -> int:
        with site.front.client(from_address=address) as client:
            return client.post(TOKEN, json={}, headers={"X-Forwarded-For": claimed}).status_code

    codes = [tried("127.0.0.5", f"203.0.113.{number}") for number in range(21)]
    assert codes[-1] == 429
    assert tried("127.0.0.6", "127.0.0.5") == 400


def test_a_host_that_is_not_ours_is_refused(site: Site) -> None:
    with site.front.client(Host="evil.example") as client:
        assert client.get("/api/v1/auth/me").status_code == 400


def test_the_admin_signs_in_at_the_port_that_the_browser_sees(site: Site) -> None:
    origin = f"http://localhost:{site.front.port}"
    with site.front.client() as client:
        page = client.get("/admin/login/")
        form = {"username": "admin", "password": site.password, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
        assert page.status_code == 200
        answer = client.post(
            "/admin/login/?next=/admin/", data=form, headers={"Origin": origin, "Referer": f"{origin}/"}
        )
        assert (answer.status_code, answer.headers["location"]) == (302, "/admin/")


def test_dashboard_signs_in_at_the_port_that_the_browser_sees_and_follows_at_the_same_one(site: Site) -> None:
    origin = f"http://localhost:{site.front.port}"
    with site.front.client() as client:
        assert client.get("/").headers["location"] == "/sign-in?next=%2F"
        client.get("/sign-in")
        form = {"username": "admin", "password": site.password, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
        answer = client.post("/sign-in", data=form, headers={"Origin": origin, "Referer": f"{origin}/sign-in"})
        assert (answer.status_code, answer.headers["location"]) == (302, "/")
        page = client.get("/")
        assert (page.status_code, page.headers["content-encoding"]) == (200, "gzip")
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    headers = {"Cookie": cookies}
    with connect(f"ws://localhost:{site.front.port}/ws", origin=origin, additional_headers=headers) as socket:
        socket.send(json.dumps({"type": "ping"}))
        assert json.loads(socket.recv(20))["type"] == "pong"


@pytest.mark.parametrize(
    "path", ["dashboard/css/parts.css", "dashboard/js/live.js", "dashboard/icons.svg", "unfold/js/chart/chart.js"]
)
def test_what_the_dashboard_is_made_of_comes_compressed_and_once(site: Site, path: str) -> None:
    with site.front.client() as client:
        answer = client.get(f"/static/{path}")
        assert (answer.status_code, answer.headers["content-encoding"]) == (200, "gzip")
        again = client.get(f"/static/{path}", headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_health_is_answered_without_the_websocket_handler(site: Site) -> None:
    site.handler.stop()
    try:
        with site.front.client() as client:
            assert client.get("/health").json() == {"status": "healthy"}
        task_id = posted_task(site)
        with site.client() as client:
            assert client.get(f"/api/v1/tasks/{task_id}?wait=20").json()["status"] == "processing"
    finally:
        site.handler.start()
        site.handler.wait_until_ready()


def test_a_replica_that_goes_is_not_noticed_and_one_that_comes_is_found(site: Site) -> None:
    # The last one: it leaves one replica of two.
    first, second = site.backends
    first.stop()
    with site.client() as client:
        assert {client.get("/api/v1/auth/me").status_code for _ in range(10)} == {200}
        second.stop()
        answer = client.get("/api/v1/auth/me")
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (503, "service_unavailable")
        second.address = "127.0.1.3"  # as a container that is made anew
        second.start()
        second.wait_until_ready()
        site.names.point(Site.addresses([second], [site.handler]))
        wait_until(lambda: client.get("/api/v1/auth/me").status_code == 200, 20, "nginx to find the new address")
