"""The client without asyncio: threads that use it while it is closed, and Ctrl-C."""

import asyncio
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from nautilus_client import Client, ClientClosedError, Item, Subscription
from nautilus_client.tests.reading import seqs, take
from nautilus_client.tests.scripted import Peer


class Asking(threading.Thread):
    """Asks for topics until it is told that the client is closed."""

    def __init__(self, client: Client, topic: str) -> None:
        super().__init__(daemon=True)
        self.began = threading.Event()
        self.ended: Exception | None = None
        self._client = client
        self._topic = topic

    def run(self) -> None:
        self.began.set()
        try:
            while True:
                self._client.subscribe(self._topic).receive()
        except Exception as error:
            self.ended = error


def test_thread_that_asks_while_the_client_is_closed_is_told(dead_port: int):
    for _ in range(100):
        with Client(f"ws://127.0.0.1:{dead_port}") as client:
            threads = [Asking(client, f"news{n}") for n in range(3)]
            for thread in threads:
                thread.start()
                thread.began.wait(10)
        for thread in threads:
            thread.join(10)
            assert isinstance(thread.ended, ClientClosedError), thread.ended


def test_client_that_several_threads_close_is_closed(dead_port: int):
    client = Client(f"ws://127.0.0.1:{dead_port}").__enter__()
    with ThreadPoolExecutor() as pool:
        for closing in [pool.submit(client.close) for _ in range(4)]:
            closing.result(10)
    with pytest.raises(ClientClosedError):
        client.subscribe("news")


def test_client_is_closed_also_where_an_event_loop_is_running(dead_port: int):
    async def story() -> None:
        with Client(f"ws://127.0.0.1:{dead_port}") as client:
            pass
        with pytest.raises(ClientClosedError):
            client.subscribe("news")

    asyncio.run(story())


def test_items_that_were_taken_when_ctrl_c_came_are_read_afterwards(
    serve: Any, open_client: Any, monkeypatch: pytest.MonkeyPatch
):
    interrupted = threading.Event()
    take_all = Subscription.take_all

    async def take_all_and_press_ctrl_c(subscription: Subscription) -> list[Item]:
        items = await take_all(subscription)
        monkeypatch.undo()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        interrupted.wait(10)
        return items

    def script(peer: Peer) -> None:
        peer.accept()
        peer.publish(1, 2)
        peer.stay()

    monkeypatch.setattr(Subscription, "take_all", take_all_and_press_ctrl_c)
    news = open_client(serve(script).url).subscribe("news")
    with pytest.raises(KeyboardInterrupt):
        news.receive()
    interrupted.set()
    assert seqs(take(news, 2)) == [1, 2]
