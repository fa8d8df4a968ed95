"""Who is the primary, and clients that follow it: over real Valkeys that are killed, frozen and promoted."""

import asyncio
import os
import threading
import time
from collections.abc import Callable

import pytest
import redis
from django.conf import settings
from django.core.cache import caches
from django.test import override_settings
from redis.backoff import NoBackoff
from redis.connection import Connection
from redis.retry import Retry

from apps.realtime.steps import head_key
from apps.realtime.topics import publish_many
from nautilus.failover import (
    VERIFY_SECONDS,
    Answer,
    Found,
    NoPrimaryError,
    RedisFailover,
    ReplacedError,
    Stamp,
    chosen,
    failover_of,
)
from nautilus.following import async_redis_from_url, redis_from_url
from nautilus.promotion import PromotionRefusedError, plan_promotion
from nautilus.redis_url import Place
from nautilus.replication import redis_hosts
from nautilus.tests.redis_servers import promote, replicated, watched
from tests.running import free_ports, wait_until

A, B, C = Place("a", 1), Place("b", 2), Place("c", 3)


def client_of(url: str, retries: int = 1) -> redis.Redis:
    retry = Retry(NoBackoff(), retries)
    return redis_from_url(url, decode_responses=True, socket_timeout=2, socket_connect_timeout=2, retry=retry)


def set_again(client: redis.Redis, name: str, value: str) -> Callable[[], bool]:
    def write() -> bool:
        try:
            return bool(client.set(name, value))
        except redis.RedisError:
            return False

    return write


# --- The rule ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([Answer(A, "master"), Answer(B, "slave")], Found(A, 0)),
        ([Answer(A, "master"), Answer(B, None)], Found(A, 0)),
        # The first does not answer: the other one may be a store of its own, or only cut off from it.
        ([Answer(A, None), Answer(B, "master")], None),
        ([Answer(A, None), Answer(B, "slave")], None),
        # Somebody else has demoted the first.
        ([Answer(A, "slave"), Answer(B, "master")], Found(B, 0)),
        ([Answer(A, "slave"), Answer(B, "master"), Answer(C, "master")], None),
        # The second was promoted; the first is back, and says that it is a master.
        ([Answer(A, "master"), Answer(B, "master", Stamp(5, "b:2"))], Found(B, 5)),
        ([Answer(A, "master", Stamp(4, "a:1")), Answer(B, "master", Stamp(5, "b:2"))], Found(B, 5)),
        # The promoted one is away, which its replica knows.
        ([Answer(A, "master"), Answer(B, None), Answer(C, "slave", Stamp(5, "b:2"))], None),
        ([Answer(A, "master", Stamp(6, "a:1")), Answer(B, "master", Stamp(5, "b:2"))], Found(A, 6)),
    ],
)
def test_last_promotion_decides_and_without_one_the_lists_order(answers: list[Answer], expected: Found | None):
    assert chosen(answers) == expected


# --- One server -------------------------------------------------------------------------------------------------


def test_client_of_one_server_is_redis_pys_own_and_sends_nothing_more(servers):
    url = servers.url.partition(";")[0]
    commands = servers[0].client.info("commandstats")
    client = client_of(url)
    client.set("x", "1")
    after = servers[0].client.info("commandstats")
    assert failover_of(url) is None
    assert type(client.connection_pool.connection_class(**client.connection_pool.connection_kwargs)) is Connection
    assert "cmdstat_role" not in {name for name in after if after[name] != commands.get(name)}


# --- A list -----------------------------------------------------------------------------------------------------


def test_primary_that_is_killed_is_replaced_by_the_promoted_one_for_the_same_client(servers):
    first, second = servers
    client = client_of(servers.url)
    client.set("kept", "1")
    wait_until(lambda: second.client.get("kept") == "1", 10, "the replica to have it")
    first.kill()
    with pytest.raises(NoPrimaryError, match=r"manage.sh redis_failover --promote") as told:
        client.set("x", "1")
    assert f"{first.host} does not answer" in str(told.value)
    assert f"{second.host} says slave" in str(told.value)

    promote(servers, second)

    assert wait_until(set_again(client, "x", "2"), 5, "the client to find the promoted one")
    assert (client.get("kept"), second.client.get("x")) == ("1", "2")


def test_old_primary_that_comes_back_is_written_to_by_nobody(servers):
    first, second = servers
    client = client_of(servers.url)
    client.set("x", "old")
    servers.wait_until_alike(first)
    first.kill()
    promote(servers, second)
    wait_until(set_again(client, "x", "new"), 5, "the client to find the promoted one")
    first.start()

    primary_host, *backup_hosts = servers.url.split(";")
    assert RedisFailover(primary_host, backup_hosts).primary() == Place("127.0.0.1", second.port)
    assert client.get("x") == "new"
    assert {each.host: (each.is_primary, each.is_stale_primary) for each in redis_hosts(servers.url)} == {
        first.host: (False, True),
        second.host: (True, False),
    }
    # Where the promoted one is lost as well, nothing old is taken for new by who knows of the promotion.
    second.kill()
    with pytest.raises(NoPrimaryError, match="was promoted after it"):
        client.get("x")


def test_old_primary_that_is_back_becomes_a_replica_when_the_promotion_is_repeated(servers):
    first, second = servers
    first.kill()
    promote(servers, second)
    first.start()
    assert promote(servers, second) == [f"{first.host}: is a replica of {second.host}"]
    servers.wait_until_alike(second)
    assert [each.role for each in redis_hosts(servers.url)] == ["slave", "master"]
    first.kill()
    first.start()  # its configuration file says so, too
    assert first.role() == "slave"


def test_frozen_primary_that_goes_on_after_a_promotion_loses_the_connections_that_were_idle(servers):
    first, second = servers
    busy, idle = client_of(servers.url), client_of(servers.url)
    idle.set("x", "old")
    with idle.pubsub() as listener:
        listener.subscribe("news")
        first.freeze()
        promote(servers, second)
        wait_until(set_again(busy, "x", "new"), 10, "the busy client to find the promoted one")
        first.go_on()
        assert first.client.get("x") == "old"  # it answers as before, and the idle connections lead to it
        assert idle.get("x") == "new"
        with pytest.raises(ReplacedError):
            listener.connection.check_health()


def test_process_that_noticed_nothing_finds_out_within_the_verified_time(servers):
    first, second = servers
    client = client_of(servers.url)
    client.set("x", "old")
    first.freeze()
    promote(servers, second)
    first.go_on()
    second.client.set("x", "new")
    wait_until(lambda: client.get("x") == "new", 2 * VERIFY_SECONDS, "the client to look again")


def test_switch_over_loses_nothing_and_shows_no_error_to_who_tries_once_more(servers):
    first, second = servers
    client, ended, written = client_of(servers.url), threading.Event(), []

    def write() -> None:
        while not ended.is_set():
            written.append(client.incr("count"))

    writer = threading.Thread(target=write)
    writer.start()
    wait_until(lambda: len(written) > 500, 20, "the writer to be at work")
    said = promote(servers, second, force=True)
    wait_until(lambda: second.client.info("stats")["total_commands_processed"] > 1_000, 20, "it to go on there")
    before = len(written)
    wait_until(lambda: len(written) > before + 500, 20, "the writer to go on")
    ended.set()
    writer.join()
    assert said[0] == f"{first.host}: writers wait until {second.host} has all that they wrote"
    assert written == list(range(1, len(written) + 1))
    assert first.role() == "slave"


def test_who_waits_for_a_list_to_fill_is_woken_when_its_server_is_demoted(servers):
    _, second = servers
    client, said = client_of(servers.url, retries=0), list[object]()

    def wait_for_work() -> None:
        try:
            said.append(client.brpop(["work"], timeout=30))
        except redis.ConnectionError as error:
            said.append(error)

    waiting = threading.Thread(target=wait_for_work)
    waiting.start()
    wait_until(lambda: servers[0].client.info("clients")["blocked_clients"] == 1, 10, "it to wait")
    promote(servers, second, force=True)
    waiting.join(10)
    assert isinstance(said[0], redis.ConnectionError)
    second.client.lpush("work", "1")
    assert client.brpop(["work"], timeout=5) == ("work", "1")


def test_write_to_a_server_that_was_demoted_by_somebody_else_goes_to_the_new_one(servers):
    first, second = servers
    client = client_of(servers.url)
    client.set("x", "1")
    second.client.replicaof("NO", "ONE")
    first.client.replicaof("127.0.0.1", second.port)
    with client.pipeline() as both:
        both.set("x", "2")
        both.set("y", "2")
        assert both.execute() == [True, True]
    assert second.client.mget("x", "y") == ["2", "2"]


async def until_lost(listener: redis.asyncio.client.PubSub) -> None:
    while True:
        await listener.get_message(timeout=1)


def test_asyncio_client_and_its_subscription_follow(servers):
    first, second = servers

    async def follow() -> str:
        retry = redis.asyncio.retry.Retry(NoBackoff(), 0)
        client = async_redis_from_url(servers.url, decode_responses=True, socket_timeout=2, retry=retry)
        async with client, client.pubsub() as listener:
            await listener.subscribe("news")
            await client.set("x", "1")
            await asyncio.to_thread(first.kill)
            with pytest.raises(redis.ConnectionError):
                await until_lost(listener)
            with pytest.raises(redis.ConnectionError):
                await client.set("x", "2")
            await asyncio.to_thread(promote, servers, second)
            await asyncio.sleep(0.5)
            await listener.subscribe("news")
            await client.publish("news", "here")
            while True:
                message = await listener.get_message(timeout=5)
                assert message is not None
                if message["type"] == "message":
                    return str(message["data"])

    assert asyncio.run(follow()) == "here"


def test_djangos_cache_follows(servers):
    first, second = servers
    with override_settings(CACHES={"default": {**settings.CACHES["default"], "LOCATION": [servers.url]}}):
        caches["default"].set("x", "1")
        servers.wait_until_alike(first)
        first.kill()
        promote(servers, second)
        assert caches["default"].get("x") == "1"


def test_child_after_a_fork_looks_although_another_thread_of_its_parent_was_looking(servers):
    failover = failover_of(servers.url)
    assert failover is not None
    with failover._lock:  # as it is while a thread looks
        child = os.fork()
        if child == 0:
            os._exit(0 if failover.primary().port == servers[0].port else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_backup_that_hangs_costs_the_platform_nothing_to_speak_of(servers):
    client = client_of(servers.url)
    servers[1].freeze()
    client.set("x", "1")  # the first look waits for it, as it may be the promoted one
    failover = failover_of(servers.url)
    assert failover is not None
    failover.doubt()
    begun = time.monotonic()
    client.set("x", "2")
    assert failover._silent == {Place("127.0.0.1", servers[1].port)}
    assert failover._patience_seconds(Place("127.0.0.1", servers[1].port)) == 0.2
    assert time.monotonic() - begun < 2.0  # the patience for one that has not been silent before


# --- Topics -----------------------------------------------------------------------------------------------------


def test_topics_begin_anew_at_each_primary_also_at_one_that_was_the_primary_before(servers):
    first, second = servers
    client = client_of(servers.url)

    def epoch() -> str:
        publish_many([("news", {})], client=client)
        return str(client.hget(head_key("news"), "epoch"))

    epochs = [epoch()]
    for server in (second, first, second, first):
        servers.wait_until_alike(next(each for each in servers if each is not server))
        promote(servers, server, force=True)
        epochs.append(epoch())
        assert epoch() == epochs[-1]
    assert len(set(epochs)) == 5


# --- Sentinel ---------------------------------------------------------------------------------------------------


def all_follow(url: str, primary: str) -> bool:
    return [each.follows for each in redis_hosts(url) if each.kind == "sentinel"] == [primary] * 3


def test_client_follows_the_sentinels(tmp_path):
    with replicated(tmp_path / "servers") as servers, watched(tmp_path / "sentinels", servers) as sentinels:
        client = client_of(sentinels.url)
        client.set("x", "1")
        servers.wait_until_alike(servers[0])
        servers[0].kill()
        wait_until(set_again(client, "x", "2"), 30, "the Sentinels to promote, and the client to follow")
        assert servers[1].client.get("x") == "2"
        states = {each.host: each for each in redis_hosts(sentinels.url)}
        assert states[servers[1].host].is_primary
        assert not states[servers[0].host].is_reachable
        wait_until(lambda: all_follow(sentinels.url, servers[1].host), 30, "all Sentinels to know it")
        # Without any Sentinel who knows the primary goes on, on new connections too.
        sentinels.kill()
        client.connection_pool.disconnect()
        assert client.get("x") == "2"
        with pytest.raises(PromotionRefusedError, match="SENTINEL FAILOVER nautilus"):
            plan_promotion(sentinels.url, servers[0].host)


def test_sentinels_that_do_not_answer_are_named():
    (port,) = free_ports(1)
    with pytest.raises(NoPrimaryError, match=rf"No Sentinel names the primary of 'main': 127.0.0.1:{port}: .*refused"):
        client_of(f"redis+sentinel://127.0.0.1:{port}/main/0", retries=0).ping()
