"""The operators' scripts on the tests' own PostgreSQL and Redis, and their parts alone."""

import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from websockets.sync.server import serve

from tests.running import wait_until
from tests.scripting import run_function, run_script

Run = Callable[..., "subprocess.CompletedProcess[str]"]
# Its dump cannot be loaded: pg_restore has no search path, and then the function does not find its table.
NOT_LOADABLE = """
CREATE TABLE django_migrations (id int, app text, name text);
CREATE FUNCTION known(name text) RETURNS bool LANGUAGE plpgsql AS
    'BEGIN RETURN NOT EXISTS (SELECT FROM django_migrations WHERE app = $1); END';
CREATE TABLE checked (name text CHECK (known(name)));
INSERT INTO checked VALUES ('one');
"""


@pytest.fixture
def database() -> Iterator[str]:
    """The URL of a database of the test's own, whose dump cannot be loaded."""
    server, _, _ = os.environ["DATABASE_URL"].partition("?")[0].rpartition("/")
    options = os.environ["DATABASE_URL"].partition("?")[2]
    name = f"scripts_{os.getpid()}"
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        url = f"{server}/{name}?{options}"
        with psycopg.connect(url) as own:
            own.execute(NOT_LOADABLE)
        yield url
        assert left_databases(connection) == []
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def left_databases(connection: "psycopg.Connection") -> list[Any]:
    return connection.execute(
        "SELECT datname FROM pg_database WHERE datname ~ '^nautilus_(verify|restore)_'"
    ).fetchall()


@pytest.fixture
def run_here(database: str, tmp_path: Path) -> Run:
    here = {"DATABASE_URL": database, "REDIS_URL": os.environ["REDIS_URL"], "NAUTILUS_MODE": "local"}
    return lambda name, *arguments: run_script(name, *arguments, NAUTILUS_HOME=str(tmp_path), **here)


@pytest.mark.slow
def test_dump_that_cannot_be_loaded_leaves_no_database_behind(run_here: Run, tmp_path: Path):
    made = run_here("backup.sh", "--to", str(tmp_path / "backups"))
    assert made.returncode == 0, made.stderr

    restored = run_here("restore.sh", made.stdout.splitlines()[-1], "--force")
    verified = run_here("backup.sh", "--to", str(tmp_path / "backups"), "--verify")

    assert (restored.returncode, verified.returncode) == (1, 1)
    assert "The restore failed" in restored.stderr
    assert "unbound variable" not in restored.stderr + verified.stderr


def test_idle_transaction_of_a_backup_is_left_alone(run_here: Run, database: str):
    with (
        psycopg.connect(database, application_name="nautilus_backup") as backup,
        psycopg.connect(database, application_name="somebody") as other,
    ):
        pids = [connection.execute("SELECT pg_backend_pid()").fetchone()[0] for connection in (backup, other)]

        said = run_here("performance-emergency.sh", "--idle-seconds", "0", "--dry-run").stdout

    assert [f"would end pid {pid}," in said for pid in pids] == [False, True]


@pytest.mark.slow
def test_postgresql_that_takes_connections_and_answers_none_is_given_up(tmp_path: Path):
    """As one that is held by SIGSTOP: the kernel takes the connection for it."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        url = f"postgresql://nautilus:x@127.0.0.1:{held.getsockname()[1]}/nautilus"
        done = run_script("backup.sh", DATABASE_URL=url, NAUTILUS_HOME=str(tmp_path), NAUTILUS_MODE="local")

    assert done.returncode == 1
    assert "PostgreSQL does not answer" in done.stderr


# --- Parts ------------------------------------------------------------------------------------------------------


def test_supervisord_that_says_nothing_is_a_failure():
    said = run_function("MODE=local STATES='' && check_processes")

    assert said.startswith("processes\tFAIL\tsupervisord does not say what runs\t")


def test_platform_that_a_script_starts_runs_no_sample_jobs(tmp_path: Path):
    program, called = tmp_path / ".venv/bin/python", tmp_path / "called"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\necho "$@" >{called}.new\nmv {called}.new {called}\n')
    program.chmod(0o755)

    run_function(f"ROOT={tmp_path} local_launch", NAUTILUS_HOME=str(tmp_path / "home"))

    wait_until(called.exists, 30, "the launcher to be called")
    assert called.read_text() == "-m nautilus.local run --no-jobs\n"


def test_socket_by_tls_is_opened_where_the_certificate_is_of_this_machine(tmp_path: Path):
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    request = f"req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=here -keyout {key} -out {certificate}"
    subprocess.run(["openssl", *request.split()], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    with web_that_says("well", context) as port:
        said = run_function(f"python $LIB/socket_probe.py wss://127.0.0.1:{port}/ws/system/health")

    assert said == "well\n"


@contextmanager
def web_that_says(text: str, context: ssl.SSLContext) -> Iterator[int]:
    with serve(lambda connection: connection.send(text), "127.0.0.1", 0, ssl=context) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.socket.getsockname()[1]
