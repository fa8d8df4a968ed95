"""Starts a real PostgreSQL and a real Valkey for the tests, before Django's settings are read.

Loaded by `-p tests.plugin` in pyproject.toml. Where DATABASE_URL and REDIS_URL are set, those servers are used.
"""

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "platform")]

TESTS_BETWEEN_COLLECTIONS = 50
OWN_SERVERS = "NAUTILUS_TESTS_OWN_SERVERS"

_cleanup = ExitStack()
_ended = 0

SETTINGS = {
    "NAUTILUS_SECRET_KEY": "only-for-tests-only-for-tests-only-for-tests",
    "NAUTILUS_ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
    "NAUTILUS_HTTPS_ONLY": "0",
    "NAUTILUS_LOCAL_OPERATOR": "0",
    "NAUTILUS_TASK_LEASE_SECONDS": "3",
    # As the workers have it: threads of BLAS that wait for work take the cores from the other processes.
    "OPENBLAS_NUM_THREADS": "1",
    "NAUTILUS_TASK_RESEND_AFTER_SECONDS": "1",
}


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: Any, parser: Any, args: list[str]) -> Generator[None, Any, Any]:
    home = Path(tempfile.mkdtemp(prefix="nautilus-tests-"))
    _cleanup.callback(shutil.rmtree, home, ignore_errors=True)
    os.environ.update(SETTINGS, NAUTILUS_HOME=str(home))
    # A worker of pytest-xdist inherits the addresses of the process that started it, and has servers of its own too.
    if os.environ.get(OWN_SERVERS) or "DATABASE_URL" not in os.environ or "REDIS_URL" not in os.environ:
        _start_servers(home)
    return (yield)


def _start_servers(home: Path) -> None:
    from nautilus.local.servers import running_servers

    servers = _cleanup.enter_context(running_servers(home / "servers", fsync=False))
    os.environ[OWN_SERVERS] = "1"
    os.environ["DATABASE_URL"] = servers.database_url
    os.environ["REDIS_URL"] = servers.redis_url


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    # Collected between tests instead: in two full runs a property test stood still for good, inside the interpreter.
    # That it was a collection is a guess; no run has stood still since.
    gc.disable()
    _look_for_static_files_once()


def _look_for_static_files_once() -> None:
    """Each of Django's clients has middleware of its own, and WhiteNoise's begins with a look at every static file."""
    from whitenoise.middleware import WhiteNoiseMiddleware

    look = WhiteNoiseMiddleware.add_files_from_finders
    found: dict[str, Any] = {}

    def look_once(self: Any) -> None:
        if not found:
            look(self)
            found.update(self.files)
        self.files.update(found)

    WhiteNoiseMiddleware.add_files_from_finders = look_once


def pytest_collection_finish() -> None:
    """What was loaded to find the tests stays until they end: no collection looks at it again."""
    gc.collect()
    gc.freeze()


def pytest_runtest_logfinish() -> None:
    global _ended
    _ended += 1
    if _ended % TESTS_BETWEEN_COLLECTIONS == 0:
        gc.collect()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`--dist loadscope` gives the tests of one running platform to one process: starting it takes a minute."""
    if config.getvalue("dist") != "loadscope":
        return None
    from tests.sharing import SharedPlatforms

    return SharedPlatforms(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    from tests.faults.table import print_table

    print_table(terminalreporter)


def pytest_unconfigure() -> None:
    _cleanup.close()
