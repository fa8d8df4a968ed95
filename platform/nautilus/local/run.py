"""`make run`: from an empty home folder to a platform that serves, and back to nothing left behind."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import NoReturn

import httpx
import psutil
from rich.console import Console

from nautilus.counting.processes import FOLDER_VARIABLE, forget_counted
from nautilus.failover import primary_url
from nautilus.local import postgres
from nautilus.local.environment import ADMIN_USER, local_environment, port_is_free, refuse_equal_ports
from nautilus.local.errors import HomeInUseError, LocalError, PortTakenError, ServerFailedError
from nautilus.local.home import ROOT, Home
from nautilus.local.procfile import STORES, Process, read_procfile, write_supervisor_conf
from nautilus.local.servers import postgres_ready, settle_valkey_port, tethered, valkey_ready
from nautilus.local.showcase import show_samples
from nautilus.local.supervision import Supervision, end_leftovers

MIN_WIDTH = 116  # of the showcase's tables: in a CI log every figure must stand in full
READY_TIMEOUT_SECONDS = 240.0  # the slowest machine that we still wait for; some seconds are usual
WATCH_INTERVAL_SECONDS = 2.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EXIT_INTERRUPTED = 130


class Stopped(BaseException):  # like KeyboardInterrupt: an `except Exception` must not swallow it
    """One of STOP_SIGNALS came."""


def run(home_path: Path, *, once: bool, jobs: bool = True) -> int:
    """The whole story, with the sample jobs or without.

    The exit code: 0, 1 where something failed, 130 where it was interrupted on its way.
    """
    console = _console()
    home = Home(home_path)
    try:
        home.make_folders()
        with exclusive(home), stop_signals():
            return _Launch(home, console).run(once=once, jobs=jobs)
    except Stopped:
        return EXIT_INTERRUPTED
    except LocalError as error:
        _explain(console, error)
        return 1


class _Launch:
    """One start of the platform. The lock on the home is held all the while."""

    def __init__(self, home: Home, console: Console) -> None:
        self._home = home
        self._console = console
        self._begun = time.perf_counter()

    def run(self, *, once: bool, jobs: bool) -> int:
        self._prepare()
        try:
            self._start_stores()
            self._fill_database()
            self._start_platform()
            failed = show_samples(self._address, self._console) if jobs else 0
            return failed if once else self._serve()
        finally:
            self._stop()

    def _prepare(self) -> None:
        """Everything that can refuse before a process runs."""
        self._home.isolated_file.unlink(missing_ok=True)  # a new start starts everything
        if found := end_leftovers(self._home):
            self._say(f"note: {found} processes of a run that was killed have ended")
        if not os.environ.get("REDIS_URL"):
            settle_valkey_port(self._home)
        self._local = local_environment(self._home.path)
        forget_counted(Path(self._local[FOLDER_VARIABLE]))  # of earlier runs
        refuse_equal_ports(self._local)
        for variable in ("NAUTILUS_PORT", "NAUTILUS_FLOWER_PORT"):
            refuse_taken_port(variable, int(self._local[variable]))
        self._processes = _chosen(read_procfile(self._environment()))
        write_supervisor_conf(self._home, self._processes)
        self._supervision = Supervision(self._home, self._environment())

    def _start_stores(self) -> None:
        self._say(f"Nautilus, home {self._home.path}")
        if self._runs("postgres"):
            with self._phase("PostgreSQL cluster") as say:
                say("made" if postgres.prepare(self._home) else "kept")
        with self._phase("PostgreSQL and Valkey"):
            self._supervision.start()
            if any(process.is_store for process in self._processes):
                self._supervision.start_group("stores")
            self._wait(
                "postgres", lambda: postgres_ready(self._local["DATABASE_URL"], READY_TIMEOUT_SECONDS, self._check)
            )
            self._wait("redis", lambda: valkey_ready(self._local["REDIS_URL"], READY_TIMEOUT_SECONDS, self._check))

    def _fill_database(self) -> None:
        with self._phase("Migrations, sample book and strategies, users"):
            self._manage("prepare_local")

    def _start_platform(self) -> None:
        with self._phase("Web, workers, scheduler, Flower"):
            self._supervision.start_group("nautilus")
            self._wait("web", self._await_web)
            self._wait("workers", self._await_workers)

    def _await_web(self) -> None:
        # trust_env: a proxy set for the outside world must not be asked for loopback.
        with httpx.Client(trust_env=False, timeout=5) as client:
            while not _is_healthy(client, f"{self._address}/health"):
                self._pause()

    def _await_workers(self) -> None:
        from celery import Celery

        expected = {process.worker_name for process in self._processes} - {None}
        with Celery(broker=primary_url(self._local["REDIS_URL"]), set_as_current=False) as celery:
            while missing := expected - _workers_that_answer(celery):
                self._waited_for = f"no answer from {', '.join(sorted(filter(None, missing)))}"
                self._pause()

    def _serve(self) -> int:
        with contextlib.suppress(Stopped):
            self._print_addresses()
            self._watch()
        return 0

    def _watch(self) -> NoReturn:
        """Says when a process went and was brought back, until a signal comes.

        What it writes may lie on a disk that is full, which must not end the platform; nor must a supervisord that
        answers late.
        """
        while True:
            for name in self._replaced():
                with quietly():
                    self._say(
                        f"{time.strftime('%H:%M:%S')} {name} ended and is started again; see {self._home.log(name)}"
                    )
            time.sleep(WATCH_INTERVAL_SECONDS)

    def _replaced(self) -> list[str]:
        try:
            return self._supervision.replaced()
        except ServerFailedError:
            self._supervision.refuse_ended()
            return []

    def _stop(self) -> None:
        """Stops all, whatever happens to our output meanwhile: the terminal may be gone."""
        for signum in STOP_SIGNALS:
            signal.signal(signum, lambda *_: None)
        with quietly():
            self._say("Stopping ...")
        self._supervision.stop()
        with quietly():
            self._say("Stopped; the data are kept.")

    # --- What the chapters above are made of ----------------------------------------------------------

    @property
    def _address(self) -> str:
        return f"http://127.0.0.1:{self._local['NAUTILUS_PORT']}"

    def _environment(self) -> dict[str, str]:
        """What the processes see: the caller's variables, ours, and this interpreter's folder first on the path."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        everything = {**os.environ, **self._local, "PATH": path, "PYTHONUNBUFFERED": "1"}
        return {name: value for name, value in everything.items() if name != "NAUTILUS_ADMIN_PASSWORD"}

    def _runs(self, name: str) -> bool:
        return name in (process.name for process in self._processes)

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    @contextlib.contextmanager
    def _phase(self, title: str) -> Iterator[Callable[[str], None]]:
        """Shows that something goes on, then how long it took and what the phase had to say."""
        begun = time.perf_counter()
        said: list[str] = []
        with self._console.status(title):
            yield said.append
        self._say(f"  ok {time.perf_counter() - begun:6.1f} s  {' '.join([title, *said])}")

    def _check(self) -> None:
        self._supervision.refuse_fallen()

    def _pause(self) -> None:
        self._check()
        if time.monotonic() > self._deadline:
            raise TimeoutError(self._waited_for)
        time.sleep(0.1)

    def _wait(self, name: str, wait: Callable[[], None]) -> None:
        self._deadline, self._waited_for = time.monotonic() + READY_TIMEOUT_SECONDS, "no answer"
        try:
            wait()
        except TimeoutError as error:
            what = f"is not ready after {READY_TIMEOUT_SECONDS:g} s ({error})"
            raise ServerFailedError(name, what, self._home.log(self._log_of(name))) from error

    def _log_of(self, name: str) -> str:
        return name if name != "workers" else next(p.name for p in self._processes if p.worker_name)

    def _manage(self, command: str) -> None:
        log = self._home.log(f"manage-{command}")
        environment = {**self._environment(), "NAUTILUS_ADMIN_PASSWORD": self._local["NAUTILUS_ADMIN_PASSWORD"]}
        code = run_to_end([sys.executable, str(ROOT / "manage.py"), command], environment, log)
        if code != 0:
            raise ServerFailedError(f"manage.py {command}", f"ended with exit code {code}", log)

    def _print_addresses(self) -> None:
        local = f"http://localhost:{self._local['NAUTILUS_PORT']}"
        flower_user, _, flower_password = self._local["FLOWER_BASIC_AUTH"].partition(":")
        for title, address in (
            ("Dashboard", f"{local}/"),
            ("API docs", f"{local}/api/docs"),
            ("Admin", f"{local}/admin/   {ADMIN_USER} / {self._local['NAUTILUS_ADMIN_PASSWORD']}"),
            ("Flower", f"http://localhost:{self._local['NAUTILUS_FLOWER_PORT']}/   {flower_user} / {flower_password}"),
            ("Logs", str(self._home.logs)),
        ):
            self._say(f"  {title:10} {address}")
        self._say(f"Ready after {time.perf_counter() - self._begun:.1f} s. Ctrl-C stops everything.")


def _console() -> Console:
    console = Console()
    return console if console.width >= MIN_WIDTH else Console(width=MIN_WIDTH)


def quietly() -> contextlib.suppress:
    """For the last words, which nobody may read any more; rich answers a closed pipe with SystemExit."""
    return contextlib.suppress(OSError, SystemExit)


def _explain(console: Console, error: LocalError) -> None:
    with quietly():
        console.print(error.detail, style="bold red", highlight=False, markup=False, soft_wrap=True)
        console.print(error.remedy, highlight=False, markup=False, soft_wrap=True)


def _chosen(processes: list[Process]) -> list[Process]:
    """Without the embedded servers that the caller has replaced."""
    return [process for process in processes if not os.environ.get(STORES.get(process.name, ""))]


@contextlib.contextmanager
def exclusive(home: Home) -> Iterator[None]:
    """Holds the home's lock; the kernel lets go of it however we end."""
    with home.lock_file.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise HomeInUseError(
                f"A launcher already runs on {home.path}: pid {lock.read().strip() or 'unknown'}.",
                "Stop it with Ctrl-C, or set NAUTILUS_HOME and the ports for a second one.",
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@contextlib.contextmanager
def stop_signals() -> Iterator[None]:
    """Turns the signals that mean "stop" into one exception."""

    def stop(_signum: int, _frame: FrameType | None) -> None:
        raise Stopped

    for signum in STOP_SIGNALS:
        signal.signal(signum, stop)
    yield


def refuse_taken_port(variable: str, port: int) -> None:
    if not port_is_free(port):
        raise PortTakenError(
            f"Port {port} ({variable}) is taken{_listener(port)}.",
            f"Stop that program, or choose another: {variable}={port + 1000 if port < 60_000 else 8001} make run",
        )


def _listener(port: int) -> str:
    """Who listens, where we may know."""
    with contextlib.suppress(psutil.Error, OSError):
        for found in psutil.net_connections("tcp"):
            if found.status == psutil.CONN_LISTEN and found.laddr.port == port and found.pid:
                return f" by {psutil.Process(found.pid).name()}, pid {found.pid}"
    return ""


def run_to_end(command: list[str], environment: Mapping[str, str], log: Path) -> int:
    """Runs a command with its output in a log; it does not outlive us, whatever ends us."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            tethered(command, parent_pid=os.getpid()),
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait()
        finally:
            process.kill()
            process.wait()


def _is_healthy(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _workers_that_answer(celery: "object") -> set[str | None]:
    from kombu.exceptions import OperationalError

    try:
        replies = celery.control.ping(timeout=0.3)  # type: ignore[attr-defined]
    except OperationalError:
        return set()
    return {name.split("@")[0] for reply in replies for name in reply}
