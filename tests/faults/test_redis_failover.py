"""The primary of Redis is killed under load: with Sentinel and with a list, everything goes on by itself."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from apps.risk.tests.far_sides import Sink, running_sink
from nautilus.local.home import ROOT
from nautilus.tests.redis_servers import replicated, watched
from tests.faults.desk import SETTINGS, Desk
from tests.faults.redis_load import BOOK, Submitted, broadcast_until_taken, decided, following
from tests.running import Platform, running_platform, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(600)]

RISK = "/api/v1/sprint3/risk"
# What the platform asks a server of the list for, to know whether it is the primary; what Valkey asks itself at its
# start; and what this test asks.
ASKED = {"auth", "client|setinfo", "client|setname", "config|get", "get", "hello", "info", "ping", "role", "select"}


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="nautilus-failover-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@contextmanager
def desk_on(folder: Path, redis_url: str, sink: Sink) -> Iterator[Desk]:
    settings = {**SETTINGS, "NAUTILUS_ALERT_OPEN_HOSTS": sink.host, "REDIS_URL": redis_url}
    with running_platform(folder / "home", **settings) as platform:
        desk = Desk(platform, 0)
        desk.ask("POST", f"{RISK}/alerts/{BOOK}/channels", 201, json={"kind": "webhook", "target": sink.url})
        yield desk


def breach(desk: Desk) -> int:
    """A limit that any book is above, under monitoring."""
    body = {"portfolio_id": BOOK, "kind": "gross_exposure", "threshold_value": 1.0}
    return int(desk.ask("POST", f"{RISK}/limits", 201, json=body)["id"])


def manage(platform: Platform, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env=psutil.Process(platform.pid("web")).environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def workers_of(platform: Platform) -> dict[str, int]:
    names = ("risk-worker", "analytics-worker", "strategy-deployer", "maintenance-worker", "alert-sender", "scheduler")
    return {name: platform.pid(name) for name in names}


def all_goes_on(desk: Desk, sink: Sink, work: Submitted) -> None:
    """Alerts, the pre-trade check, the cache and new tasks, on the new primary."""
    heard = len(sink.heard)
    limit_id = breach(desk)
    wait_until(lambda: len(sink.heard) > heard, 60, "an alert to arrive")
    desk.ask("DELETE", f"{RISK}/limits/{limit_id}", 204)
    with desk.platform.client() as client:
        decided(client)
    assert desk.ask("GET", "/api/v1/cache/status")["mode"] == "normal"
    work.submit(5)


def test_list_goes_on_with_the_server_that_the_command_promotes(folder, fault_line):
    line = fault_line("Redis: primary lost (list of REDIS_URLs, promoted by the command)")
    with ExitStack() as stack:
        servers = stack.enter_context(replicated(folder / "servers"))
        sink = stack.enter_context(running_sink())
        desk = stack.enter_context(desk_on(folder, servers.url, sink))
        platform, (first, second) = desk.platform, servers
        workers, work = workers_of(platform), Submitted(platform, 0)
        client = stack.enter_context(platform.client())
        with following(platform, "news") as follower:
            broadcast_until_taken(client, "news", 1)
            work.submit(15)
            first.kill()
            line.injected()
            said = desk.wait_for_symptom("redis", "redis-primary-lost", 30)
            line.seen(said["symptom"])
            assert "redis_failover" in said["remedy"]
            work.submit(5)
            decided(client)
            line.cured()
            assert "is a master" in manage(platform, "redis_failover", "--promote", second.host)
            desk.wait_until_healthy("workers", 90)
            broadcast_until_taken(client, "news", 2)
            wait_until(lambda: 2 in follower.heard, 60, "the message after it")
            line.mended(lost=work.lost())
            all_goes_on(desk, sink, work)

            # The old primary comes back as a primary: nobody writes to it, and the command makes it a replica.
            first.start()
            told = wait_until(lambda: _told_of(desk, f"{first.host} is back"), 60, "health to tell of the old primary")
            assert told["remedy"].endswith(f"redis_failover --promote {second.host}")
            broadcast_until_taken(client, "news", 3)
            wait_until(lambda: 3 in follower.heard, 60, "a message with two primaries")
            assert work.lost() == 0
            assert first.role() == "master"
            assert first.commands() <= ASKED, "somebody writes to the old primary"
            assert manage(platform, "redis_failover", "--promote", second.host)
            servers.wait_until_alike(second)

            # And back to it, with both alive, under load: nothing is lost, not even for a moment.
            work.submit(15)
            assert "writers wait" in manage(platform, "redis_failover", "--promote", first.host, "--force")
            work.submit(5)
            broadcast_until_taken(client, "news", 4)
            wait_until(lambda: 4 in follower.heard, 60, "the message after the way back")
            assert work.lost() == 0
        assert line.lost == 0
        assert follower.wrong == []
        assert set(follower.heard) == {1, 2, 3, 4}
        assert workers_of(platform) == workers, "a worker had to be started again"


def test_sentinels_promote_by_themselves_and_everything_follows(folder, fault_line):
    line = fault_line("Redis: primary lost (Sentinel)")
    with ExitStack() as stack:
        servers = stack.enter_context(replicated(folder / "servers"))
        sentinels = stack.enter_context(watched(folder / "sentinels", servers))
        sink = stack.enter_context(running_sink())
        desk = stack.enter_context(desk_on(folder, sentinels.url, sink))
        platform, (first, second) = desk.platform, servers
        work = Submitted(platform, 0)
        client = stack.enter_context(platform.client())
        with following(platform, "news") as follower:
            broadcast_until_taken(client, "news", 1)
            work.submit(15)
            first.kill()
            line.injected()
            said = wait_until(lambda: _told_of(desk), 30, "health to say so")
            line.seen(said["symptom"])
            work.submit(5)
            decided(client)
            wait_until(lambda: second.role() == "master", 60, "the Sentinels to promote")
            desk.wait_until_healthy("workers", 90)
            broadcast_until_taken(client, "news", 2)
            wait_until(lambda: 2 in follower.heard, 60, "the message after it")
            line.mended(lost=work.lost())
            all_goes_on(desk, sink, work)
            assert work.lost() == 0
            first.start()
            wait_until(lambda: first.role() == "slave", 60, "the Sentinels to make the old primary a replica")
        assert line.lost == 0
        assert follower.wrong == []
        assert set(follower.heard) == {1, 2}
        # One may have ended and been started again by itself: all that was submitted has ended, and none is missing.
        assert all(workers_of(platform).values())


def _told_of(desk: Desk, words: str = "") -> dict[str, Any] | None:
    """The first finding about Redis whose symptom has the words in it."""
    return next((each for each in desk.component("redis").get("findings", []) if words in each["symptom"]), None)
