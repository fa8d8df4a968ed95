"""The real servers: each test starts its own, in about a second."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from nautilus.local import account, postgres
from nautilus.local.errors import LocalError
from nautilus.local.home import ROOT, Home
from nautilus.local.processes import servers_in
from nautilus.local.servers import Servers, running_servers

pytestmark = pytest.mark.operations  # of the servers that everything else runs on

HOLDER = """
import sys, time
from pathlib import Path
from nautilus.local.processes import servers_in
from nautilus.local.servers import running_servers
with running_servers(Path(sys.argv[1]), fsync=False) as servers:
    print(servers.redis_url, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def servers(home) -> Iterator[Servers]:
    with running_servers(home, fsync=False) as running:
        yield running


def working_for(home: Path) -> list[psutil.Process]:
    """Every process that names the home on its command line, or works in its PostgreSQL folder."""
    found = servers_in(home / "postgres") + servers_in(home / "valkey")
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and str(home) in " ".join(process.cmdline()):
                found.append(process)
    return found


def wait_until_nobody_works_for(home: Path) -> None:
    deadline = time.monotonic() + 20
    while working_for(home):
        assert time.monotonic() < deadline, working_for(home)
        time.sleep(0.05)


def holder(home: Path) -> "subprocess.Popen[str]":
    """Another Python that runs the servers until it is ended."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(home)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "platform")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("redis://")
    process.stdout.close()
    return process


def test_both_servers_answer_with_the_versions_that_the_design_names(servers):
    with psycopg.connect(servers.database_url) as connection:
        assert connection.info.server_version // 10_000 == 18
    with redis.from_url(servers.redis_url) as client:
        assert client.info("server")["valkey_version"].startswith("9.")


def test_text_sorts_alike_on_every_machine(servers):
    with psycopg.connect(servers.database_url) as connection:
        row = connection.execute(
            "SELECT pg_encoding_to_char(encoding), datlocprovider, datlocale FROM pg_database"
            " WHERE datname = current_database()"
        ).fetchone()

    assert row == ("UTF8", "b", "C.UTF-8")


def test_wrong_password_is_refused_by_both(servers):
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(servers.database_url.replace("nautilus:", "nautilus:x", 1))
    with redis.from_url(servers.redis_url.replace("://:", "://:x")) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_postgres_listens_on_no_network(servers):
    with psycopg.connect(servers.database_url) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)


def test_valkey_listens_on_loopback_alone(servers):
    with redis.from_url(servers.redis_url) as client:
        assert client.config_get("bind")["bind"] == "127.0.0.1"
        assert client.config_get("appendonly", "appendfsync")["appendonly"] == "yes"


def test_stopped_valkey_answers_nobody_and_has_its_data_when_it_is_back(servers):
    with redis.from_url(servers.redis_url) as client:
        client.set("kept", "yes")
        servers.stop_valkey()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        servers.start_valkey()
        assert client.get("kept") == b"yes"


def test_data_are_there_at_the_next_start(home):
    with running_servers(home) as servers, psycopg.connect(servers.database_url) as connection:
        connection.execute("CREATE TABLE kept (n integer)")
    with running_servers(home) as servers, psycopg.connect(servers.database_url) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_nothing_is_left_behind(home):
    with running_servers(home, fsync=False):
        assert len(working_for(home)) > 2

    assert working_for(home) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has ended")
def test_servers_end_when_their_starter_is_killed(home):
    process = holder(home)

    process.kill()
    process.wait()

    wait_until_nobody_works_for(home)


def test_servers_start_again_after_all_of_them_were_killed(home):
    process = holder(home)
    process.send_signal(signal.SIGSTOP)
    for victim in working_for(home):
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()
    process.wait()

    with running_servers(home, fsync=False) as servers, psycopg.connect(servers.database_url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_stale_lock_with_the_number_of_a_living_process_is_no_obstacle(home):
    """As after a restarted container, where the old server's number belongs to somebody else now."""
    with running_servers(home, fsync=False):
        pass
    lock = "\n".join(
        [str(os.getppid()), str(home / "postgres"), "0", "5432", str(home / "run" / "pg"), "", "", "ready"]
    )
    (home / "postgres" / "postmaster.pid").write_text(lock)
    (home / "run" / "pg" / ".s.PGSQL.5432.lock").write_text(lock)

    with running_servers(home, fsync=False) as servers, psycopg.connect(servers.database_url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_shell_in_the_data_folder_is_not_taken_for_a_server(home):
    postgres.prepare(made(home))
    shell = subprocess.Popen(["sleep", "60"], cwd=home / "postgres")
    try:
        assert servers_in(home / "postgres") == []
    finally:
        shell.kill()
        shell.wait()


def test_broken_off_cluster_is_made_anew(home):
    (home / "postgres.new").mkdir()
    (home / "postgres.new" / "half").write_text("of an earlier attempt")

    assert postgres.prepare(made(home))
    assert not (home / "postgres.new").exists()
    assert not (home / "postgres.password").exists()


def test_data_of_another_major_version_are_refused_untouched(home):
    postgres.prepare(made(home))
    (home / "postgres" / "PG_VERSION").write_text("17\n")

    with pytest.raises(LocalError, match="were written by PostgreSQL 17, the binaries are 18"):
        postgres.prepare(made(home))


def test_home_with_a_path_too_long_for_a_socket_works(home):
    deep = home / ("long" * 20) / ("longer" * 10)
    with running_servers(deep, fsync=False) as servers, psycopg.connect(servers.database_url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        short = Home(deep).sockets

    assert short.parent == Path("/tmp")
    (short / "pg").rmdir()
    short.rmdir()


def test_valkey_that_cannot_start_shows_the_end_of_its_log(home, servers):
    servers.stop_valkey()
    port = int(servers.redis_url.rsplit(":", 1)[1].split("/")[0])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        with pytest.raises(LocalError, match="valkey ended") as failure:
            servers.start_valkey()

    assert "Address already in use" in failure.value.remedy


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lends PostgreSQL a user")
def test_root_lends_postgres_a_user_who_owns_nothing_else(home, servers):
    owner = (home / "postgres").stat().st_uid

    assert owner != 0
    assert {process.uids().effective for process in servers_in(home / "postgres")} == {owner}
    assert {path.name for path in home.iterdir() if path.stat().st_uid == owner} == {"postgres"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lends PostgreSQL a user")
def test_closed_folder_above_the_home_is_opened_for_passing_through_alone(home, capsys):
    closed = home / "closed"
    (closed / "home").mkdir(parents=True)
    closed.chmod(0o700)

    with running_servers(closed / "home", fsync=False):
        assert closed.stat().st_mode & 0o777 == 0o701

    assert f"chmod o+x {closed} " in capsys.readouterr().out


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lends PostgreSQL a user")
def test_binaries_that_the_lent_user_cannot_read_are_copied_for_it(home, monkeypatch):
    wheel = account.POSTGRES_BIN_PATH
    lent = account.account_for(home / "postgres")
    monkeypatch.setattr(account, "_runs", lambda binaries, _: binaries != wheel and (binaries / "postgres").exists())

    binaries = account.binaries_for(lent, made(home))

    assert binaries == home / "postgres-binaries" / "bin"
    home.chmod(0o711)
    assert lent.run([str(binaries / "postgres"), "--version"]).stdout.startswith("postgres (PostgreSQL) 18")


def made(home: Path) -> Home:
    place = Home(home)
    place.make_folders()
    return place
