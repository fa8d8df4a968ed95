"""Backup, destroy, restore: the book and every stored figure are the same, and what cannot be right is refused."""

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from nautilus.local.environment import embedded_database_url
from nautilus.local.home import Home
from nautilus.local.servers import running_servers
from tests.faults.desk import Desk
from tests.faults.table import FaultLine
from tests.running import ANALYZE, wait_until
from tests.scripting import checked, run_line, run_on, run_script

pytestmark = [pytest.mark.slow, pytest.mark.operations, pytest.mark.timeout(600)]

SPRINT3 = "/api/v1/sprint3"
BOOK = "/api/v1/portfolios/PORTFOLIO_001"
ANSWERS = (
    "/api/v1/portfolios",
    f"{BOOK}/positions",
    f"{BOOK}/trades?page_size=500",
    f"{SPRINT3}/analytics/risk/metrics/PORTFOLIO_001",
    f"{SPRINT3}/analytics/performance/PORTFOLIO_001",
    f"{SPRINT3}/risk/limits",
    f"{SPRINT3}/risk/alerts/PORTFOLIO_001",
    f"{SPRINT3}/strategy/versions/STRATEGY_001",
    f"{SPRINT3}/strategy/deployments",
)
TIME_SINCE = re.compile(r" for \d+ s(?=[\";])")  # a limit says for how long nobody has looked at it
WORKERS_SECONDS = 300
Tables = dict[str, tuple[int, str]]


def tables_of(database_url: str) -> Tables:
    """Rows of each table and a hash over all of them in order: found by a way that the scripts do not know."""
    with psycopg.connect(database_url) as connection:
        connection.execute("SET timezone = 'UTC'")
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
        return {name: _rows_of(connection, name) for (name,) in names}


def _rows_of(connection: psycopg.Connection, table: str) -> tuple[int, str]:
    with connection.cursor().copy(f'COPY "{table}" TO STDOUT') as copy:
        lines = sorted(b"".join(copy).splitlines())
    return len(lines), hashlib.sha256(b"\n".join(lines)).hexdigest()


def database_of(desk: Desk) -> str:
    return embedded_database_url(desk.platform.home)


def control(desk: Desk, command: str, *names: str) -> None:
    patience = f"--timeout {WORKERS_SECONDS}"
    run_line(desk.platform, f"source scripts/lib/nautilus.sh; nautilus_local {command} {patience} {' '.join(names)}")


def make_backup(desk: Desk, folder: Path, *options: str) -> Path:
    done = run_on(desk.platform, "backup.sh", "--to", str(folder), *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return Path(done.stdout.splitlines()[-1])


@pytest.fixture
def folder() -> Iterator[Path]:
    """Outside of the home, which is destroyed, and not pytest's, which is closed to PostgreSQL's user."""
    made = Path(tempfile.mkdtemp(prefix="nautilus-backups-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def busy_desk(desk: Desk) -> Desk:
    """The desk with what a day leaves behind: a limit that is breached, its event, and figures of both kinds."""
    limit = {"portfolio_id": "PORTFOLIO_001", "kind": "gross_exposure", "threshold_value": 1000.0}
    with desk.platform.client() as client:
        assert client.post(f"{SPRINT3}/risk/limits", json=limit).status_code in (201, 409)
        period = {"portfolio_id": "PORTFOLIO_001", "start_date": "2015-01-02", "end_date": "2022-12-28"}
        tasks = [
            client.post(ANALYZE, json={"portfolio_id": "PORTFOLIO_001"}).json(),
            client.post(f"{SPRINT3}/analytics/performance", json=period).json(),
        ]
        for task in tasks:
            wait_until(lambda task=task: _ended(client, task), WORKERS_SECONDS, "the task to end")
    wait_until(lambda: desk.platform.query("SELECT 1 FROM risk_events LIMIT 1"), WORKERS_SECONDS, "the breach's event")
    return desk


def _ended(client: Any, task: dict[str, Any]) -> bool:
    status: str = client.get(task["status_url"]).json()["status"]
    assert status != "failed"
    return status == "succeeded"


# --- Done when: the book and every stored figure are the same ----------------------------------------------


def test_all_that_was_destroyed_is_back_row_by_row_and_answer_by_answer(
    busy_desk: Desk, folder: Path, fault_line: Callable[[str], FaultLine]
):
    desk, line = busy_desk, fault_line("PostgreSQL's and Redis' data deleted")
    quiet(desk)
    answers = answers_of(desk)
    control(desk, "stop", "web")
    before = tables_of(database_of(desk))
    backup = make_backup(desk, folder)

    destroy(desk)
    line.injected()
    assert tables_of(database_of(desk)) == {}
    line.seen("no table is left")
    line.cured()
    done = run_on(desk.platform, "restore.sh", str(backup))
    assert done.returncode == 0, done.stdout + done.stderr

    after = tables_of(database_of(desk))
    line.mended(lost=len(before.items() ^ after.items()))
    assert after == before
    control(desk, "start", "web")
    assert answers_of(desk) == answers
    control(desk, "start", "all")
    assert replay_of_latest_snapshot(desk) == {"reproduced": True, "max_abs_difference": 0.0}


def quiet(desk: Desk) -> None:
    """Nobody writes any more, and nothing is known that PostgreSQL does not hold: web and the stores run alone."""
    names = [name for name in running_of(desk) if name not in ("postgres", "redis", "web")]
    control(desk, "stop", *names)
    with redis.Redis.from_url(desk.platform.redis_url) as client:
        client.flushdb()


def running_of(desk: Desk) -> list[str]:
    text = run_line(desk.platform, "source scripts/lib/nautilus.sh; service_states")
    return [line.split("\t")[0] for line in text.splitlines() if "\trunning\t" in line]


def destroy(desk: Desk) -> None:
    """As if the disk were lost: the data folders are deleted, and both servers start on nothing."""
    control(desk, "stop", "postgres", "redis")
    shutil.rmtree(desk.platform.home.postgres_data)
    shutil.rmtree(desk.platform.home.valkey_data)
    control(desk, "start", "postgres", "redis")


def answers_of(desk: Desk) -> dict[str, Any]:
    with desk.platform.client() as client:
        answers = {path: client.get(path) for path in ANSWERS}
    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(ANSWERS, 200)
    return {path: json.loads(TIME_SINCE.sub("", answer.text)) for path, answer in answers.items()}


def replay_of_latest_snapshot(desk: Desk) -> dict[str, Any]:
    ((snapshot,),) = desk.platform.query(
        "SELECT snapshot_id FROM risk_metrics WHERE snapshot_id IS NOT NULL ORDER BY timestamp DESC LIMIT 1"
    )
    with desk.platform.client() as client:
        task = client.post(f"/api/v1/snapshots/{snapshot}/replay").json()
        wait_until(lambda: _ended(client, task), WORKERS_SECONDS, "the replay to end")
        result = client.get(task["status_url"]).json()["result"]
    return {name: result[name] for name in ("reproduced", "max_abs_difference")}


def test_backup_of_a_working_platform_is_of_one_moment_and_its_dump_loads(busy_desk: Desk, folder: Path):
    backup = make_backup(busy_desk, folder, "--verify")

    manifest = json.loads((backup / "manifest.json").read_text())
    assert manifest["tables"]["portfolios_dailyprice"]["rows"] == count_of(busy_desk, "portfolios_dailyprice") > 0
    assert {file.name for file in backup.iterdir()} == {
        "SHA256SUMS",
        "contents.txt",
        "database.dump",
        "manifest.json",
        "secrets.json",
        "settings.env",
    }
    assert {oct(file.stat().st_mode & 0o777) for file in backup.iterdir()} == {"0o600"}
    left = busy_desk.platform.query("SELECT datname FROM pg_database WHERE datname LIKE 'nautilus_%%'")
    assert left == []


def count_of(desk: Desk, table: str) -> int:
    return int(desk.platform.query(f"SELECT count(*) FROM {table}")[0][0])


def test_empty_home_where_nothing_runs_takes_data_and_secrets(busy_desk: Desk, folder: Path):
    backup, home = make_backup(busy_desk, folder), Path(tempfile.mkdtemp(prefix="nautilus-restored-"))
    try:
        done = run_script("restore.sh", str(backup), NAUTILUS_HOME=str(home), NAUTILUS_MODE="local")

        assert done.returncode == 0, done.stdout + done.stderr
        assert "start it: make run" in done.stdout
        assert (home / "secrets.json").read_text() == (busy_desk.platform.home.secrets_file).read_text()
        manifest = json.loads((backup / "manifest.json").read_text())
        with running_servers(home, fsync=False):
            rows = {name: rows for name, (rows, _) in tables_of(embedded_database_url(Home(home))).items()}
        assert rows == {name: table["rows"] for name, table in manifest["tables"].items()}
    finally:
        shutil.rmtree(home)


# --- What is refused, and changes nothing -------------------------------------------------------------------


@pytest.fixture
def backup(busy_desk: Desk, folder: Path) -> Path:
    return make_backup(busy_desk, folder)


def refused(desk: Desk, backup: Path, *options: str) -> str:
    """What the restore says; the processes go on, and the tables of the book are as they were."""
    book, pids = book_of(desk), {name: desk.platform.pid(name) for name in ("web", "postgres")}
    done = run_on(desk.platform, "restore.sh", str(backup), *options)
    assert done.returncode == 1, done.stdout
    assert (book_of(desk), {name: desk.platform.pid(name) for name in pids}) == (book, pids)
    return done.stderr


def book_of(desk: Desk) -> list[tuple[Any, ...]]:
    return desk.platform.query("SELECT * FROM portfolios_trade ORDER BY id")


def reseal(backup: Path) -> None:
    files = sorted(file for file in backup.iterdir() if file.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (backup / "SHA256SUMS").write_text("".join(lines))


def change_manifest(backup: Path, change: Callable[[dict[str, Any]], None]) -> None:
    manifest = json.loads((backup / "manifest.json").read_text())
    change(manifest)
    (backup / "manifest.json").write_text(json.dumps(manifest))
    reseal(backup)


def test_database_with_data_is_not_replaced_without_force(busy_desk: Desk, backup: Path):
    assert "The database nautilus has data." in refused(busy_desk, backup)


def test_damaged_backup_is_refused_with_the_files_name(busy_desk: Desk, backup: Path):
    dump = bytearray((backup / "database.dump").read_bytes())
    dump[len(dump) // 2] ^= 1
    (backup / "database.dump").write_bytes(dump)

    said = refused(busy_desk, backup, "--force")

    assert f"{backup} is damaged" in said
    assert "database.dump: FAILED" in said


def test_backup_of_newer_code_is_refused_with_its_migrations(busy_desk: Desk, backup: Path):
    change_manifest(backup, lambda manifest: manifest["migrations"].append("risk.0999_of_tomorrow"))

    said = refused(busy_desk, backup, "--force")

    assert re.search(r"made by newer code \(\S+\); unknown here: risk\.0999_of_tomorrow\.", said)


def test_backup_of_a_later_postgresql_is_refused(busy_desk: Desk, backup: Path):
    change_manifest(backup, lambda manifest: manifest.update(server_major=99))

    assert "The backup is of PostgreSQL 99" in refused(busy_desk, backup, "--force")


def test_what_is_loaded_and_is_not_what_was_dumped_leaves_the_old_data_and_the_services_run(
    busy_desk: Desk, backup: Path
):
    book = book_of(busy_desk)
    change_manifest(backup, lambda manifest: manifest["tables"]["portfolios_trade"].update(rows=len(book) + 1))

    done = run_on(busy_desk.platform, "restore.sh", str(backup), "--force")

    assert done.returncode == 1
    told = rf"portfolios_trade: {len(book) + 1} rows \(\S+\) in the backup, {len(book)} rows \(\S+\) in the database"
    assert re.search(told, done.stderr)
    assert book_of(busy_desk) == book
    code, said = checked(busy_desk.platform, "--wait", str(WORKERS_SECONDS))
    assert code == 0, [check for check in said["checks"] if check["result"] == "FAIL"]


def test_only_the_newest_backups_are_kept(busy_desk: Desk, folder: Path):
    for day in ("20260101", "20260102", "20260103"):
        (folder / f"nautilus-{day}T000000Z").mkdir()

    backup = make_backup(busy_desk, folder, "--keep", "2")

    assert sorted(path.name for path in folder.iterdir()) == ["nautilus-20260103T000000Z", backup.name]
