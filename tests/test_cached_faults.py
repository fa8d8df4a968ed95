"""A process that dies while it computes what others wait for: another follows, and all of them are answered."""

import json

import pytest

from nautilus.cache import store
from tests.test_cached_at_once import COMPUTED, asking_processes, begin, told

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(120)]


@pytest.fixture(autouse=True)
def redis(monkeypatch):
    monkeypatch.setenv("NAUTILUS_CACHE_LOCK_SECONDS", "1")
    client = store.redis_of_answers()
    client.flushdb()
    yield client
    client.flushdb()


def test_process_killed_while_it_computes_is_followed_by_one_other(redis):
    with asking_processes(3, 20, 2, "hang_first") as (first, *others):
        begin(first)
        assert first.stdout.readline() == "computing\n"
        for process in others:
            begin(process)
        first.kill()
        answers = {answer for process in others for answer in told(process)["answers"]}
    assert [json.loads(answer)["turn"] for answer in answers] == [2]
    assert redis.get(COMPUTED) == b"2"
