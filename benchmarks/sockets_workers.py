"""An object in a process of its own: its methods are called over a pipe, at once or while something else goes on."""

import multiprocessing
import traceback
from collections.abc import Callable
from typing import Any

_CONTEXT = multiprocessing.get_context("spawn")
WINDOW = 64  # messages that the publisher may be ahead of the slowest socket


class Worker:
    def __init__(self, make: Callable[[Any], Any], credits: Any) -> None:
        self._pipe, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_serve, args=(make, credits, theirs), daemon=True)
        self._process.start()

    def call(self, method: str, *arguments: Any) -> Any:
        self.start(method, *arguments)
        return self.answer()

    def start(self, method: str, *arguments: Any) -> None:
        self._pipe.send((method, arguments))

    def is_done(self, within_seconds: float = 0.0) -> bool:
        return self._pipe.poll(within_seconds)

    def answer(self) -> Any:
        """What the method gave; raises RuntimeError where it raised."""
        answer, trace = self._pipe.recv()
        if trace:
            raise RuntimeError(f"{self._process.name} failed:\n{trace}")
        return answer

    def end(self) -> None:
        self._process.terminate()
        self._process.join()


def new_credits() -> Any:
    return _CONTEXT.Semaphore(0)


def refill(credits: Any) -> None:
    while credits.acquire(block=False):
        pass
    for _ in range(WINDOW):
        credits.release()


def _serve(make: Callable[[Any], Any], credits: Any, pipe: Any) -> None:
    worker = make(credits)
    while True:
        method, arguments = pipe.recv()
        try:
            pipe.send((getattr(worker, method)(*arguments), None))
        except Exception:
            pipe.send((None, traceback.format_exc()))
