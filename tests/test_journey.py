"""The main job as a client sees it, against the platform that `make run` starts."""

import asyncio
import time
from typing import Any

import httpx
import psutil
import pytest

from nautilus.local.environment import local_secrets
from nautilus_client import Client
from tests.running import ANALYZE, Platform

pytestmark = [pytest.mark.slow, pytest.mark.platform]

# shared/data/README.md: historical, 500 returns, 99 %, one day, as of 2022-12-28.
WORKED = {
    "PORTFOLIO_001": (3_631_775.22, 6_833.52, 97_010.09, 118_440.60),
    "PORTFOLIO_002": (4_643_734.00, 1_512_038.00, 137_609.05, 163_743.04),
    "PORTFOLIO_003": (1_270_050.00, 182_797.10, 65_040.99, 75_430.12),
}
# docs/contract.md, section 7.
NAMES_OF_THE_CONTRACT = (
    *("total_return", "annual_return", "annual_volatility", "sharpe", "sortino", "calmar", "max_drawdown"),
    *("best_day", "worst_day", "var_95", "cvar_95", "alpha", "beta"),
)


def ended(client: httpx.Client, accepted: httpx.Response) -> dict[str, Any]:
    assert accepted.status_code == 202, accepted.text
    return client.get(accepted.json()["status_url"], params={"wait": 20}).json()


@pytest.mark.parametrize("portfolio_id", WORKED)
def test_worked_figures_come_out_to_the_cent(platform: Platform, portfolio_id: str):
    value, cash, var, shortfall = WORKED[portfolio_id]
    with platform.client() as client:
        portfolio = client.get(f"/api/v1/portfolios/{portfolio_id}").json()
        task = ended(client, client.post(ANALYZE, json={"portfolio_id": portfolio_id}))
    assert (portfolio["value"], portfolio["cash"]) == (pytest.approx(value, abs=0.005), pytest.approx(cash, abs=0.005))
    result = task["result"]
    assert (task["status"], result["as_of"], result["observations"]) == ("succeeded", "2022-12-28", 500)
    assert result["var"] == pytest.approx(var, abs=0.005)
    assert result["expected_shortfall"] == pytest.approx(shortfall, abs=0.005)
    assert result["portfolio_value"] == pytest.approx(value, abs=0.005)


def test_result_is_stored_once_under_its_task(platform: Platform):
    with platform.client() as client:
        task = ended(client, client.post(ANALYZE, json={"portfolio_id": "PORTFOLIO_001", "confidence": 0.975}))
    rows = platform.query("SELECT var, snapshot_id FROM risk_metrics WHERE task_id = %s", task["task_id"])
    assert rows == [(task["result"]["var"], task["result"]["snapshot_id"])]


def test_same_inputs_have_the_same_snapshot_and_the_same_bits(platform: Platform):
    with platform.client() as client:
        asked = [ended(client, client.post(ANALYZE, json={"portfolio_id": "PORTFOLIO_002"})) for _ in range(2)]
    assert asked[0]["task_id"] != asked[1]["task_id"]
    assert asked[0]["result"] == asked[1]["result"]


def test_result_is_pushed_to_who_listens(platform: Platform):
    with platform.client() as client, Client(platform.socket_address) as sockets:
        accepted = client.post(ANALYZE, json={"portfolio_id": "PORTFOLIO_003", "confidence": 0.9}).json()
        with sockets.subscribe(accepted["topic"], since=0) as changes:
            seen = [changes.receive(20)]
            while seen[-1].data["status"] == "processing":
                seen.append(changes.receive(20))
    assert [change.seq for change in seen] == list(range(1, len(seen) + 1))
    assert (seen[-1].data["status"], seen[-1].data["result"]["portfolio_id"]) == ("succeeded", "PORTFOLIO_003")


def test_task_that_is_waited_for_by_socket_is_what_the_api_shows(platform: Platform):
    with platform.client() as client, Client(platform.socket_address) as sockets:
        accepted = client.post(ANALYZE, json={"portfolio_id": "PORTFOLIO_003", "confidence": 0.91}).json()
        pushed = sockets.wait_for_task(accepted["task_id"], timeout=20)
        assert pushed == client.get(accepted["status_url"]).json()


def test_long_poll_answers_when_the_task_ends_and_not_before_its_time(platform: Platform):
    platform.stop("risk-worker")
    try:
        with platform.client() as client:
            accepted = client.post(ANALYZE, json={"portfolio_id": "PORTFOLIO_001", "confidence": 0.96})
            begun = time.monotonic()
            waiting = client.get(accepted.json()["status_url"], params={"wait": 1}).json()
            assert time.monotonic() - begun >= 1
            assert (waiting["status"], waiting["started_at"]) == ("processing", None)
    finally:
        platform.start("risk-worker")
    with platform.client() as client:
        assert ended(client, accepted)["status"] == "succeeded"


def test_fifty_waiting_clients_do_not_keep_others_from_their_answers(platform: Platform):
    platform.stop("risk-worker")

    async def crowd() -> float:
        async with httpx.AsyncClient(
            base_url=platform.address, trust_env=False, timeout=30, limits=httpx.Limits(max_connections=100)
        ) as client:
            accepted = await client.post(ANALYZE, json={"portfolio_id": "PORTFOLIO_001", "confidence": 0.94})
            url = accepted.json()["status_url"]
            waiting = [asyncio.create_task(client.get(url, params={"wait": 15})) for _ in range(50)]
            await asyncio.sleep(1)
            begun = time.monotonic()
            await client.get("/health")
            taken = time.monotonic() - begun
            await asyncio.to_thread(platform.start, "risk-worker")
            answers = await asyncio.gather(*waiting)
        assert {answer.json()["status"] for answer in answers} == {"succeeded"}
        return taken

    # 50 waiting clients are more than the server has threads; were they held in threads, this would take 15 s.
    assert asyncio.run(crowd()) < 5


def test_performance_of_the_sample_book_has_what_the_contract_names(platform: Platform):
    body = {"portfolio_id": "PORTFOLIO_001", "start_date": "2015-01-02", "end_date": "2022-12-28"}
    with platform.client() as client:
        task = ended(client, client.post("/api/v1/sprint3/analytics/performance", json=body))
        stored = client.get("/api/v1/sprint3/analytics/performance/PORTFOLIO_001").json()
    result = task["result"]
    assert (result["observations"], result["benchmark"], result["warnings"]) == (2011, "SP500", [])
    assert None not in [result["metrics"][name] for name in NAMES_OF_THE_CONTRACT]
    # Of eight years there is no return over ten, and it says so.
    assert {name for name, value in result["metrics"].items() if value is None} <= set(result["reasons"])
    assert (stored["snapshot_id"], stored["task_id"]) == (result["snapshot_id"], task["task_id"])


def test_running_task_can_be_cancelled_before_a_worker_has_it(platform: Platform):
    platform.stop("risk-worker")
    with platform.client() as client:
        accepted = client.post(ANALYZE, json={"portfolio_id": "PORTFOLIO_001", "confidence": 0.93})
        url = accepted.json()["status_url"]
        assert client.delete(url).status_code == 202
        assert client.delete(url).status_code == 409
    platform.start("risk-worker")
    time.sleep(2)
    with platform.client() as client:
        task = client.get(url).json()
    assert (task["status"], task["attempts"], task["result"]) == ("cancelled", 0, None)


@pytest.mark.parametrize("path", ["/", "/api/workers", "/api/tasks", "/workers"])
def test_flower_is_closed_to_who_has_no_password(platform: Platform, path: str):
    answer = httpx.get(f"http://127.0.0.1:{platform.flower_port}{path}", trust_env=False)
    assert answer.status_code == 401


def test_flower_opens_with_its_generated_password(platform: Platform):
    password = local_secrets(platform.home)["flower_password"]
    answer = httpx.get(f"http://127.0.0.1:{platform.flower_port}/", auth=("admin", password), trust_env=False)
    assert answer.status_code == 200


def test_admin_opens_with_its_generated_password(platform: Platform):
    password = local_secrets(platform.home)["admin_password"]
    with platform.client() as client:
        client.get("/admin/login/")
        form = {"username": "admin", "password": password, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
        signed_in = client.post("/admin/login/?next=/admin/", data=form, headers={"Referer": platform.address})
        assert signed_in.headers.get("location") == "/admin/"
        assert client.get("/admin/tasks/task/").status_code == 200


def test_only_loopback_addresses_are_listened_on(platform: Platform):
    from nautilus.local.supervision import supervised

    pids = {process.pid for process in supervised(platform.home)}
    listening = [c for c in psutil.net_connections("inet") if c.status == psutil.CONN_LISTEN and c.pid in pids]
    assert listening
    assert {connection.laddr.ip for connection in listening} == {"127.0.0.1"}
