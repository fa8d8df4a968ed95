"""Promotions that are refused, because something would be lost; and the command that makes them."""

import io
import json

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from nautilus.promotion import PromotionRefusedError, plan_promotion
from nautilus.tests.redis_servers import Servers, replicated
from tests.running import wait_until


def test_promotion_is_refused_while_the_primary_answers(servers):
    with pytest.raises(PromotionRefusedError, match=rf"{servers[0].host} answers.*--force"):
        plan_promotion(servers.url, servers[1].host)


def test_promotion_of_a_server_that_does_not_follow_the_living_primary_is_refused_by_force_as_well(servers):
    servers[1].client.replicaof("NO", "ONE")
    with pytest.raises(
        PromotionRefusedError, match=rf"does not follow it. First make it: .*--promote {servers[0].host}"
    ):
        plan_promotion(servers.url, servers[1].host, force=True)


def test_promotion_of_what_is_not_in_the_list_names_what_is(servers):
    with pytest.raises(PromotionRefusedError, match=rf"expected one of {servers[0].host}, {servers[1].host}"):
        plan_promotion(servers.url, "127.0.0.1:1")


def test_promotion_of_a_server_that_is_away_is_refused(servers):
    servers[1].kill()
    with pytest.raises(PromotionRefusedError, match=r"does not answer .*; start it first"):
        plan_promotion(servers.url, servers[1].host)


def test_replica_that_has_less_than_another_is_not_promoted(tmp_path):
    with replicated(tmp_path, 3) as servers:
        first, second, third = servers
        second.freeze()
        first.client.set("x", "1" * 1000)
        wait_until(lambda: third.has_what(first), 10, "the third to have it")
        first.kill()
        second.kill()
        second.start()
        with pytest.raises(
            PromotionRefusedError, match=rf"{third.host} has \d+ bytes more than {second.host}|never had"
        ):
            plan_promotion(servers.url, second.host)
        assert plan_promotion(servers.url, third.host).plan()[0] == f"{third.host}: is a master"


def test_one_server_has_nobody_to_promote(servers):
    with pytest.raises(PromotionRefusedError, match="names one server"):
        plan_promotion(servers.url.partition(";")[0], servers[0].host)


# --- The command ------------------------------------------------------------------------------------------------


def ran(servers: Servers, *arguments: str) -> str:
    said = io.StringIO()
    with override_settings(REDIS_URL=servers.url):
        call_command("redis_failover", *arguments, stdout=said)
    return said.getvalue()


def test_command_shows_every_server_and_what_it_would_do(servers):
    first, second = servers
    shown = ran(servers, "--status").splitlines()
    assert shown[1].split()[:3] == [first.host, "master", "yes"]
    assert shown[2].split()[:2] == [second.host, "slave"]
    assert shown[2].endswith(f"follows {first.host}")
    first.kill()
    assert "Connection refused" in ran(servers, "--status").splitlines()[1]
    assert ran(servers, "--promote", second.host, "--dry-run").splitlines() == [
        f"would do: {second.host}: is a master",
        f"would do: {second.host}: is stamped as the primary",
    ]
    assert second.role() == "slave"
    assert ran(servers, "--promote", second.host).startswith(f"done: {second.host}: is a master")
    primaries = {each["host"]: each["is_primary"] for each in json.loads(ran(servers, "--status", "--json"))}
    assert primaries == {first.host: False, second.host: True}


def test_command_that_is_refused_says_why(servers):
    with pytest.raises(CommandError, match="expected host:port"):
        ran(servers, "--promote", "first:six")
    with pytest.raises(CommandError, match=r"The primary .* answers"):
        ran(servers, "--promote", servers[1].host)
