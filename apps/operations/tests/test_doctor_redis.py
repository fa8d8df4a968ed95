"""The probes of Redis, each with the fault that it is there to find."""

from typing import Any

import pytest

from apps.operations.diagnosis.probes import redis_clients, redis_memory, redis_slow_log
from apps.operations.findings import Status
from apps.operations.tests.probing import clean_redis, only, wait_for_finding

__all__ = ["clean_redis"]


@pytest.mark.django_db
def test_redis_that_is_nearly_full_is_said_to_be_so(clean_redis: Any):
    used = clean_redis.info("memory")["used_memory"]
    try:
        clean_redis.config_set("maxmemory", int(used / 0.9))
        finding = only(redis_memory.look())
    finally:
        clean_redis.config_set("maxmemory", 0)
    assert (finding.section, finding.status) == ("redis-memory-full", Status.DEGRADED)


def test_keys_that_redis_threw_away_are_told(clean_redis: Any):
    try:
        clean_redis.config_set("maxmemory-policy", "allkeys-random")
        clean_redis.config_set("maxmemory", clean_redis.info("memory")["used_memory"] + 2**20)
        for number in range(60):
            clean_redis.set(f"filler:{number}", "x" * 2**16)
        finding = next(one for one in redis_memory.look().findings if "thrown" in one.symptom)
        evicted = clean_redis.info("stats")["evicted_keys"]
        clean_redis.config_set("maxmemory", 0)
        assert finding.fix is not None
        assert finding.fix() == f"{evicted} keys were evicted until now; Redis' statistics are counted anew"
        assert not [one for one in redis_memory.look().findings if "thrown" in one.symptom]
    finally:
        clean_redis.config_set("maxmemory", 0)
        clean_redis.config_set("maxmemory-policy", "noeviction")
        clean_redis.config_resetstat()
    assert "allkeys-random" in finding.cause
    assert finding.status == Status.UNHEALTHY


def test_command_that_kept_redis_busy_is_named(clean_redis: Any, monkeypatch: Any):
    monkeypatch.setattr(redis_slow_log, "SLOW_MS", 20.0)
    clean_redis.slowlog_reset()
    clean_redis.eval("local i = 0 while i < 20000000 do i = i + 1 end return i", 0)
    finding = only(redis_slow_log.look())
    clean_redis.slowlog_reset()
    assert "EVAL local i = 0" in finding.cause


def test_client_that_does_not_read_is_named(clean_redis: Any, monkeypatch: Any):
    monkeypatch.setattr(redis_clients, "LARGE_OUTPUT_BYTES", 1)
    clean_redis.set("large", "x" * 2**20)
    slow = clean_redis.connection_pool.make_connection()
    slow.connect()
    slow.send_command("CLIENT", "SETNAME", "the-sleeper")
    for _ in range(50):
        slow.send_command("GET", "large")
    try:
        finding = wait_for_finding(redis_clients.look, "the-sleeper")
    finally:
        slow.disconnect()
    assert finding.section == "sockets-slow-delivery"


def test_redis_with_few_clients_left_is_told(clean_redis: Any):
    assert [one.status for one in redis_clients._crowd(79, 100)] == []
    assert [one.status for one in redis_clients._crowd(80, 100)] == [Status.DEGRADED]
    assert [one.status for one in redis_clients._crowd(95, 100)] == [Status.UNHEALTHY]
