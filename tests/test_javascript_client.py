"""The JavaScript client: under Node against a scripted server, and in a real browser against the running platform."""

import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from redis import Redis

from apps.realtime.control import ask_hubs
from apps.realtime.topics import publish_many
from tests.browser import PATIENCE_SECONDS, browser_of_a_test, signed_in, visitor  # noqa: F401
from tests.running import Platform, wait_until

JAVASCRIPT = Path(__file__).parent / "javascript"

# What the page was told stands in `told`, in order: numbers of messages, and whatever else is no message.
FOLLOW = """
async ({topic, options, clientOptions}) => {
  const { NautilusClient } = await import("/static/realtime/nautilus-client.js");
  globalThis.told = [];
  globalThis.statuses = [];
  globalThis.client = new NautilusClient({ ...clientOptions, ...globalThis.more });
  client.onStatus((status, detail) => statuses.push({ status, ...detail }));
  client.subscribe(topic, options, {
    onMessage: (message) => told.push(message.data.number),
    onGap: (gap) => told.push(gap),
    onError: (problem) => told.push(problem),
  });
}
"""
TICKETS = """
{
  globalThis.tickets = [];
  const ticket = async () => {
    const token = document.cookie.match(/csrftoken=([^;]+)/)[1];
    const answer = await fetch("/api/v1/auth/ws-ticket", { method: "POST", headers: { "X-CSRFToken": token } });
    tickets.push((await answer.json()).ticket);
    return tickets.at(-1);
  };
  globalThis.more = { ticket };
}
"""
# After a loss it waits for longer than any test, so that nothing but an event of the page brings it back.
WAITS_FOR_EVER = {"timing": {"firstRetry": 1e5, "lastRetry": 1e5}}


def test_client_follows_a_scripted_server_through_its_faults():
    node = shutil.which("node")
    assert node, "Node is missing, and the JavaScript client's tests need it. On Debian: apt-get install nodejs npm"
    ended = subprocess.run(
        [node, "--test", "topics.test.js", "connecting.test.js"],
        cwd=JAVASCRIPT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture
def redis(platform: Platform) -> Iterator[Redis]:
    with Redis.from_url(platform.redis_url) as client:
        yield client


@pytest.fixture
def topic() -> str:
    return f"javascript-{secrets.token_hex(4)}"


def follow(page: Page, topic: str, options: dict[str, Any] | None = None, **client_options: Any) -> None:
    page.goto("/api/docs")
    page.evaluate(FOLLOW, {"topic": topic, "options": options or {"since": 0}, "clientOptions": client_options})


def publish_numbers(redis: Redis, topic: str, numbers: range) -> None:
    publish_many([(topic, {"number": number}) for number in numbers], client=redis)


def told(page: Page, count: int) -> list[Any]:
    """All that the page was told, once it was told at least so much."""
    wait_until(lambda: page.evaluate("told.length") >= count, PATIENCE_SECONDS, f"{count} messages in the page")
    return page.evaluate("told")


def wait_for_status(page: Page, status: str, times: int = 1) -> None:
    def is_there() -> bool:
        return page.evaluate("statuses.map(({ status }) => status)").count(status) >= times

    wait_until(is_there, PATIENCE_SECONDS, f"status '{status}' for time {times}")


@pytest.mark.platform
def test_page_gets_what_it_missed_while_the_server_was_killed(
    browser: Browser, platform: Platform, redis: Redis, topic: str
):
    page = signed_in(browser, platform)
    follow(page, topic)
    publish_numbers(redis, topic, range(50))
    told(page, 50)
    platform.kill("web")
    publish_numbers(redis, topic, range(50, 100))
    wait_for_status(page, "live", times=2)
    publish_numbers(redis, topic, range(100, 150))
    assert told(page, 150) == list(range(150))


@pytest.mark.platform
def test_page_gets_every_message_once_through_restarts_of_the_hubs(
    browser: Browser, platform: Platform, redis: Redis, topic: str
):
    page = signed_in(browser, platform)
    follow(page, topic, timing={"lastRetry": 0.2})
    for turn in range(5):
        wait_for_status(page, "live", times=turn + 1)
        publish_numbers(redis, topic, range(100 * turn, 100 * turn + 50))
        ask_hubs("restart", client=redis)
        publish_numbers(redis, topic, range(100 * turn + 50, 100 * turn + 100))
    assert told(page, 500) == list(range(500))


@pytest.mark.platform
def test_page_gets_what_its_filter_lets_through_also_after_a_restart(
    browser: Browser, platform: Platform, redis: Redis, topic: str
):
    page = signed_in(browser, platform)
    options = {"since": 0, "batch": True, "filters": {"number": {"in": [3, 7, 12]}}}
    follow(page, topic, options, timing={"lastRetry": 0.2})
    publish_numbers(redis, topic, range(10))
    assert told(page, 2) == [3, 7]
    ask_hubs("restart", client=redis)
    publish_numbers(redis, topic, range(10, 20))
    assert told(page, 3) == [3, 7, 12]


@pytest.mark.platform
def test_page_comes_back_with_a_new_ticket_each_time(browser: Browser, platform: Platform, redis: Redis, topic: str):
    page = signed_in(browser, platform)
    page.add_init_script(TICKETS)
    follow(page, topic)
    publish_numbers(redis, topic, range(3))
    told(page, 3)
    page.evaluate("client.reconnect()")
    wait_for_status(page, "live", times=2)
    publish_numbers(redis, topic, range(3, 6))
    assert told(page, 6) == list(range(6))
    assert page.evaluate("new Set(tickets).size") == 2


@pytest.mark.platform
def test_visitor_who_has_not_signed_in_is_told_so(browser: Browser, platform: Platform, topic: str):
    page = visitor(browser, platform)
    follow(page, topic)
    wait_for_status(page, "refused")
    assert page.evaluate("told.map(({ code, topic }) => [code, topic])") == [[4401, topic]]


@pytest.mark.platform
def test_page_comes_back_at_once_when_the_network_does(browser: Browser, platform: Platform, redis: Redis, topic: str):
    page = signed_in(browser, platform)
    follow(page, topic, **WAITS_FOR_EVER)
    wait_for_status(page, "live")
    ask_hubs("restart", client=redis)
    wait_for_status(page, "waiting")
    publish_numbers(redis, topic, range(3))
    page.context.set_offline(True)
    page.context.set_offline(False)
    assert told(page, 3) == [0, 1, 2]
