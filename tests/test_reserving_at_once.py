"""Two hundred callers, several server processes, room for fifty: fifty are approved, whatever dies in between."""

import http.client
import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.running import Platform, another_web_process, turns

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(600)]

CALLERS, ROOM = 200, 50
RISK = "/api/v1/sprint3/risk"


@pytest.fixture(scope="module")
def second_desk(platform: Platform) -> Iterator[list[int]]:
    """The ports of three processes that answer for one platform."""
    with ExitStack() as processes:
        more = [processes.enter_context(another_web_process(platform))[0] for _ in range(2)]
        yield [platform.port, *more]


def open_book(platform: Platform, name: str) -> float:
    """A portfolio with one limit that has room for `ROOM` orders of one AAPL; the price of one."""
    with platform.client() as client:
        book = {"id": name, "name": name, "base_currency": "USD", "initial_cash": 1e7, "inception_date": "2022-01-03"}
        assert client.post("/api/v1/portfolios", json=book).status_code == 201
        price = float(client.get("/api/v1/instruments?symbol=AAPL").json()["results"][0]["price"])
        limit = {"portfolio_id": name, "kind": "gross_exposure", "threshold_value": ROOM * price}
        answer = client.post(f"{RISK}/limits", json=limit)
        assert answer.status_code == 201, answer.text
    return price


def reserve(port: int, name: str, order_id: str) -> dict[str, Any] | None:
    """The answer, or None where there was none: the process was killed meanwhile."""
    trade = {"symbol": "AAPL", "quantity": 1, "order_id": order_id}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(
            "POST",
            f"{RISK}/pre-trade-check",
            json.dumps({"portfolio_id": name, "trade": trade, "reserve": True}),
            {"Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException):
        return None
    assert answer.status == 200, content
    return json.loads(content)


def reserve_at_once(ports: list[int], name: str) -> list[dict[str, Any] | None]:
    answers: list[dict[str, Any] | None] = [None] * CALLERS
    together = threading.Barrier(CALLERS)

    def call(number: int) -> None:
        together.wait()
        answers[number] = reserve(ports[number % len(ports)], name, f"order-{number}")

    threads = [threading.Thread(target=call, args=(number,)) for number in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def held(platform: Platform, name: str) -> set[str]:
    rows = platform.query(
        "SELECT id FROM portfolios_reservation WHERE portfolio_id = %s AND status = 'held' AND expires_at > now()", name
    )
    return {str(row[0]) for row in rows}


def approved(answers: list[dict[str, Any] | None]) -> set[str]:
    return {answer["reservation_id"] for answer in answers if answer and answer["approved"]}


@pytest.mark.parametrize("turn", turns(10))
def test_two_hundred_callers_at_once_get_the_room_for_fifty(platform, second_desk, turn):
    name = f"ROOM_{turn}"
    open_book(platform, name)
    answers = reserve_at_once(second_desk, name)
    assert None not in answers
    assert len(approved(answers)) == ROOM
    assert approved(answers) == held(platform, name)
    refused = [answer for answer in answers if answer and not answer["approved"]]
    assert all("gross_exposure would be" in answer["reasons"][0] for answer in refused)


@pytest.mark.parametrize("turn", turns(10))
def test_processes_killed_in_between_never_approve_more_than_fifty(platform, turn):
    name = f"KILLED_{turn}"
    open_book(platform, name)
    luck = random.Random(turn)
    with another_web_process(platform) as (first, one), another_web_process(platform) as (second, other):

        def kill() -> None:
            for process in luck.sample([one, other], 2):
                time.sleep(luck.uniform(0.02, 0.4))
                process.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        answers = reserve_at_once([platform.port, first, second], name)
        killer.join()
    believed, kept = approved(answers), held(platform, name)
    assert len(believed) <= ROOM
    assert believed <= kept
    assert len(kept) <= ROOM
    # Who had no answer asks again: what the dead have reserved is not given out a second time.
    again = [reserve(platform.port, name, f"again-{number}") for number, answer in enumerate(answers) if answer is None]
    assert len(believed | approved(again)) <= ROOM
    assert len(held(platform, name)) == ROOM


def test_wiped_redis_frees_no_room(platform):
    open_book(platform, "WIPED")
    believed = {reserve(platform.port, "WIPED", str(number))["reservation_id"] for number in range(ROOM)}
    platform.wipe_redis()
    answer = reserve(platform.port, "WIPED", "one-more")
    assert answer is not None
    assert not answer["approved"]
    assert held(platform, "WIPED") == believed
