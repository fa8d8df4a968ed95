import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

from apps.realtime.batching import MAX_BATCH_BYTES, MessageBatcher

Emitted = list[tuple[list[Any], int]]


def run(story: Callable[[MessageBatcher, Emitted], Coroutine[Any, Any, None]], **options: Any) -> None:
    async def told() -> None:
        emitted: Emitted = []
        emit = lambda text, count: emitted.append((json.loads(text)["messages"], count))  # noqa: E731
        await story(MessageBatcher(**options, emit=emit), emitted)

    asyncio.run(told())


def test_batch_goes_out_when_it_is_full() -> None:
    async def story(batcher: MessageBatcher, emitted: Emitted) -> None:
        for number in range(7):
            batcher.put(str(number))
        assert emitted == [([0, 1, 2], 3), ([3, 4, 5], 3)]
        batcher.close()

    run(story, batch_size=3, flush_interval=60)


def test_batch_that_does_not_fill_goes_out_when_its_time_has_come() -> None:
    async def story(batcher: MessageBatcher, emitted: Emitted) -> None:
        batcher.put("1")
        batcher.put("2")
        assert emitted == []
        while not emitted:
            await asyncio.sleep(0.01)
        assert emitted == [([1, 2], 2)]

    run(story, flush_interval=0.05)


def test_message_after_a_full_batch_waits_its_own_time() -> None:
    async def story(batcher: MessageBatcher, emitted: Emitted) -> None:
        begun = asyncio.get_running_loop().time()
        batcher.put("1")
        await asyncio.sleep(0.1)
        batcher.put("2")
        batcher.put("3")
        while len(emitted) < 2:
            await asyncio.sleep(0.01)
        assert emitted == [([1, 2], 2), ([3], 1)]
        assert asyncio.get_running_loop().time() - begun >= 0.3

    run(story, batch_size=2, flush_interval=0.2)


def test_batch_stays_below_what_clients_take() -> None:
    async def story(batcher: MessageBatcher, emitted: Emitted) -> None:
        large = json.dumps("x" * (MAX_BATCH_BYTES // 2))
        for _ in range(3):
            batcher.put(large)
        batcher.flush()
        assert [count for _, count in emitted] == [1, 1, 1]

    run(story)


def test_closed_batcher_sends_nothing_more() -> None:
    async def story(batcher: MessageBatcher, emitted: Emitted) -> None:
        batcher.put("1")
        batcher.close()
        await asyncio.sleep(0.1)
        assert emitted == []

    run(story, flush_interval=0.02)
