"""The disk below the desk is full: what cannot be written is refused as a whole, and said to be; then there is room."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.desk import Desk
from tests.faults.test_database import SECONDS, lost_of, submit
from tests.faults.test_strategy_symptoms import new_book
from tests.running import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(600)]

BOOK = "DISK_BOOK"
TRADES = f"/api/v1/portfolios/{BOOK}/trades"
ROWS = 2_000  # more than fit into the pages that PostgreSQL has already
MIB = 2**20


@contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """Not a byte is left on it."""
    ballast = folder / "ballast"
    try:
        with ballast.open("wb") as file:
            for size in (16 * MIB, MIB, 4096):
                with suppress(OSError):
                    while True:
                        os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), size)
        yield
    finally:
        ballast.unlink(missing_ok=True)


def trades(number: int) -> str:
    rows = (f"AAPL,0.01,126.04,2022-12-28T21:00:00Z,D-{number}-{row}" for row in range(ROWS))
    return "\n".join(["symbol,quantity,price,traded_at,external_id", *rows])


def imported(desk: Desk, number: int) -> tuple[int, str]:
    """Status and code of an import; 0 where no answer came."""
    try:
        with desk.platform.client() as client:
            answer = client.post(f"{TRADES}/import", content=trades(number), headers={"Content-Type": "text/csv"})
    except httpx.HTTPError as error:
        return 0, type(error).__name__
    return answer.status_code, "" if answer.status_code < 400 else answer.json()["errors"][0]["code"]


def test_full_disk_is_told_refuses_what_cannot_be_written_and_loses_nothing(desk: Desk, fault_line: Any):
    line = fault_line("database: the disk is full")
    new_book(desk, BOOK)
    assert imported(desk, 0) == (201, "")
    task_ids = submit(desk, 3, 280)
    answers = {0: (201, "")}
    with full_disk(desk.platform.home.path):
        line.injected()
        said = desk.wait_for_symptom("disk", "disk-full", SECONDS)
        assert str(desk.platform.home.path) in said["cause"]
        assert "0 of" in said["cause"]
        line.seen(said["symptom"])
        numbers = iter(range(1, 100))

        def refused() -> bool:
            number = next(numbers)
            answers[number] = imported(desk, number)
            return answers[number][0] == 503

        wait_until(refused, SECONDS, "an import to be refused")
        assert set(answers.values()) <= {(201, ""), (503, "disk_full")}, answers
        line.cured()
    wait_until(lambda: imported(desk, 100) == (201, ""), SECONDS, "trades to be booked again")
    for component in ("database", "redis"):
        desk.wait_until_healthy(component, SECONDS)
    accepted = [number for number, (status, _) in answers.items() if status == 201]
    missing = len({f"D-{number}" for number in [*accepted, 100]} ^ whole_imports(desk))
    line.mended(lost=missing + lost_of(desk, task_ids))


def whole_imports(desk: Desk) -> set[str]:
    """Those of which every row is there; none may be there in part."""
    rows = desk.platform.query("SELECT external_id FROM portfolios_trade WHERE portfolio_id = %s", BOOK)
    counts = Counter(name.rpartition("-")[0] for (name,) in rows)
    assert set(counts.values()) <= {ROWS}, counts
    return set(counts)
