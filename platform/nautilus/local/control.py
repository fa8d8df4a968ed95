"""Single processes of a running platform: stopped, started or started anew, and what they run with.

The platform itself is started by `make run` alone; all here asks the supervisord that it left in charge.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from xmlrpc.client import Fault

import httpx
import psutil
from psycopg.conninfo import conninfo_to_dict
from supervisor.xmlrpc import Faults

from nautilus.failover import NoPrimaryError, primary_url
from nautilus.local.environment import local_environment
from nautilus.local.errors import LocalError, ServerFailedError
from nautilus.local.home import Home
from nautilus.local.procfile import STORES, WORKER_NAME
from nautilus.local.servers import postgres_ready, valkey_ready
from nautilus.local.supervision import MARK, NOT_REACHED, STOP_TIMEOUT_SECONDS, answers, rpc, states

ALL = "all"
READY_TIMEOUT_SECONDS = 120.0
POLL_SECONDS = 0.1
STOPPED = ("STOPPED", "EXITED", "FATAL", "UNKNOWN")
ENDED = ("BACKOFF", "FATAL", "EXITED")
# Of what supervisord was started with, the platform's own settings; the rest is the shell's it was started from.
OURS = ("NAUTILUS_", "FLOWER_", "OPENBLAS_", "OMP_", "MKL_", "PROMETHEUS_", "OTEL_")
OUR_NAMES = (*STORES.values(), "DJANGO_SETTINGS_MODULE", "PYTHONPATH", "REMAP_SIGTERM")
# What libpq's programs (pg_dump, psql) read; a URL among their arguments would show its password in every `ps`.
LIBPQ = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "options": "PGOPTIONS",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
}


class NothingRunsError(LocalError):
    """There is no supervisord on this home to ask."""


class UnknownProcessError(LocalError):
    """The Procfile names no such process."""


def stop(home: Home, names: Sequence[str]) -> list[str]:
    """Stops them, those that others need last; answers with those that ran. They stay stopped until started."""
    found = _chosen(home, names)
    stopped = []
    for stores in (False, True):
        group = [name for name in found if _is_store(name) is stores]
        stopped += [name for name in group if _ask(home, "stopProcess", found, name, Faults.NOT_RUNNING)]
        for name in group:
            _wait_until_it_stopped(home, name)
    return stopped


def start(home: Home, names: Sequence[str], timeout_seconds: float = READY_TIMEOUT_SECONDS) -> list[str]:
    """Starts them, those that others need first, and waits until each serves; answers with those that did not run."""
    found = _chosen(home, names)
    started = []
    for stores in (True, False):
        group = [name for name in found if _is_store(name) is stores]
        started += [name for name in group if _ask(home, "startProcess", found, name, Faults.ALREADY_STARTED)]
        for name in group:
            _wait_until_it_serves(home, name, timeout_seconds)
    return started


def restart(home: Home, names: Sequence[str], timeout_seconds: float = READY_TIMEOUT_SECONDS) -> list[str]:
    stop(home, names)
    return start(home, names, timeout_seconds)


def platform_environment(home: Home) -> dict[str, str]:
    """What the processes that run were started with; where nothing runs, what they would be started with here."""
    ours = local_environment(home.path)
    with contextlib.suppress(psutil.Error, *NOT_REACHED):
        running = psutil.Process(rpc(home).getPID()).environ()
        ours |= {name: value for name, value in running.items() if _is_ours(name)}
    return ours


def _is_ours(name: str) -> bool:
    # Without the mark: who has it counts as one of supervisord's, and is ended with them.
    return name != MARK and (name.startswith(OURS) or name in OUR_NAMES)


def libpq_environment(database_url: str) -> dict[str, str]:
    """The parts of a postgresql:// URL as the variables that pg_dump, pg_restore and psql read."""
    given = conninfo_to_dict(database_url)
    return {variable: str(given[part]) for part, variable in LIBPQ.items() if given.get(part)}


def _chosen(home: Home, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The state of each process that was named, in the order of their start."""
    if not home.supervisor_socket.exists() or not answers(home):
        raise NothingRunsError(f"Nothing runs in {home.path}.", "`make run` starts it.")
    known = states(home)
    if unknown := [name for name in names if name not in (ALL, *known)]:
        one_of = "Expected one of " + ", ".join([*known, ALL]) + "."
        raise UnknownProcessError(f"There is no process {', '.join(map(repr, unknown))}.", one_of)
    return {name: state for name, state in known.items() if ALL in names or name in names}


def _is_store(name: str) -> bool:
    return name in STORES


def _ask(home: Home, method: str, found: dict[str, dict[str, Any]], name: str, already: int) -> bool:
    """Whether supervisord had anything to do; raises with the log's end where it could not."""
    try:
        # Not waited for there: one after the other they take the time of all.
        return bool(getattr(rpc(home), method)(f"{found[name]['group']}:{name}", False))
    except Fault as fault:
        if fault.faultCode == already:
            return False
        raise ServerFailedError(name, f"refuses {method} ({fault.faultString})", home.log(name)) from fault
    except NOT_REACHED as error:
        raise ServerFailedError("supervisord", f"does not answer ({error})", home.log("supervisord")) from error


def _wait_until_it_stopped(home: Home, name: str) -> None:
    """Supervisor kills what has not ended after its stopwaitsecs, 20 s."""
    try:
        _wait(lambda: "" if states(home)[name]["statename"] in STOPPED else "it runs", STOP_TIMEOUT_SECONDS)
    except TimeoutError as error:
        raise ServerFailedError(name, f"has not ended after {STOP_TIMEOUT_SECONDS:g} s", home.log(name)) from error


# --- Whether a process serves: each in its own way -----------------------------------------------------


def _wait_until_it_serves(home: Home, name: str, timeout_seconds: float) -> None:
    environment = platform_environment(home)
    refuse_ended = partial(_refuse_ended, home, name, set())
    try:
        if name == "postgres":
            postgres_ready(environment["DATABASE_URL"], timeout_seconds, refuse_ended)
        elif name == "redis":
            valkey_ready(environment["REDIS_URL"], timeout_seconds, refuse_ended)
        _wait(_look(home, name, environment), timeout_seconds, refuse_ended)
    except TimeoutError as error:
        what = f"does not serve {timeout_seconds:g} s after its start ({error})"
        raise ServerFailedError(name, what, home.log(name)) from error


def _look(home: Home, name: str, environment: dict[str, str]) -> Callable[[], str]:
    """A function that says what is still missing, nothing where the process serves."""
    worker = _worker_names(home).get(name)
    look = (
        partial(_web_lacks, environment["NAUTILUS_PORT"])
        if name == "web"
        else partial(_worker_lacks, environment["REDIS_URL"], worker)
        if worker
        else lambda: ""
    )
    return lambda: _state_lacks(home, name) or look()


def _worker_names(home: Home) -> dict[str, str]:
    """The name before the @ of each process that is a Celery worker."""
    configured = {process["name"]: process["command"] for process in rpc(home).getAllConfigInfo()}
    found = {name: WORKER_NAME.search(command) for name, command in configured.items()}
    return {name: match[1] for name, match in found.items() if match}


def _state_lacks(home: Home, name: str) -> str:
    state = states(home)[name]["statename"]
    return "" if state == "RUNNING" else f"it is {state.lower()}"


def _web_lacks(port: str) -> str:
    try:
        # trust_env: a proxy set for the outside world must not be asked for loopback.
        status = httpx.get(f"http://127.0.0.1:{port}/health", timeout=5, trust_env=False).status_code
    except httpx.HTTPError as error:
        return f"/health: {error}"
    return "" if status in (httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE) else f"/health answers {status}"


def _worker_lacks(redis_url: str, worker: str) -> str:
    from celery import Celery
    from kombu.exceptions import OperationalError

    try:
        with Celery(broker=primary_url(redis_url), set_as_current=False) as celery:
            replies = celery.control.ping(timeout=0.5)
    except (OperationalError, NoPrimaryError) as error:
        return f"Redis: {error}"
    return "" if worker in {name.split("@")[0] for reply in replies for name in reply} else "it answers no ping"


def _refuse_ended(home: Home, name: str, seen: set[int]) -> None:
    """Raises where the process ended since it was first seen, brought back meanwhile or not."""
    state = states(home)[name]
    seen.update({state["pid"]} - {0})
    if state["statename"] in ENDED or len(seen) > 1:
        raise ServerFailedError(name, "ended right after its start", home.log(name))


def _wait(lacks: Callable[[], str], timeout_seconds: float, still_there: Callable[[], None] = lambda: None) -> None:
    deadline = time.monotonic() + timeout_seconds
    while missing := lacks():
        still_there()
        if time.monotonic() > deadline:
            raise TimeoutError(missing)
        time.sleep(POLL_SECONDS)
