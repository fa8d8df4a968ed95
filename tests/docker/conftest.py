import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from nautilus.local.home import ROOT
from tests.docker.front import Site
from tests.docker.names import served_names
from tests.docker.proxied import Upstream, environment_with, running_nginx
from tests.running import free_ports

ADMIN_PASSWORD = "a-password-of-the-tests"
PREPARATION = """
import django
from django.core.management import call_command
django.setup()
call_command("migrate", verbosity=0)
call_command("ensure_local_users")
"""


@pytest.fixture(scope="session")
def site_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the processes behind nginx are given: a database of their own with an admin, and settings as in compose."""
    environment = environment_with(
        DATABASE_URL=_new_database("behind_nginx"),
        NAUTILUS_HOME=str(tmp_path_factory.mktemp("home")),
        NAUTILUS_ADMIN_PASSWORD=ADMIN_PASSWORD,
        NAUTILUS_BEHIND_TLS_PROXY="1",
        # On, so that a test can tell whether the proxy hides who asks.
        NAUTILUS_LOCAL_OPERATOR="1",
    )
    subprocess.run(
        [sys.executable, "-c", PREPARATION], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL
    )
    return environment


def _new_database(name: str) -> str:
    address = os.environ["DATABASE_URL"]
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
        connection.execute(f"CREATE DATABASE {name}")
    return urlunsplit(urlsplit(address)._replace(path=f"/{name}"))


@pytest.fixture(scope="session")
def site(site_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two replicas of backend and one websocket-handler behind nginx."""
    folder = tmp_path_factory.mktemp("nginx")
    _open_to_others(folder)
    (port,) = free_ports(1)
    backends = [Upstream("nautilus.serve_wsgi", f"127.0.1.{number}", port, site_environment) for number in (1, 2)]
    handler = Upstream("nautilus.serve", "127.0.2.1", port, site_environment)
    with ExitStack() as stack:
        for upstream in (*backends, handler):
            upstream.start()
            stack.callback(upstream.stop)
        for upstream in (*backends, handler):
            upstream.wait_until_ready()
        names = stack.enter_context(served_names(folder, Site.addresses(backends, [handler])))
        front = stack.enter_context(running_nginx(folder / "files", names, port))
        yield Site(front, names, backends, handler, ADMIN_PASSWORD, folder / "files")


def _open_to_others(folder: Path) -> None:
    for each in (folder, folder.parent):
        each.chmod(0o755)
