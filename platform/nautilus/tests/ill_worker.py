"""A Celery worker of ours that falls ill on a signal, in one of the ways that were seen; for `celery -A`."""

import signal
import time
from typing import Any

from celery import shared_task
from celery.signals import worker_ready

from nautilus.celery import app

__all__ = ["CONSUMER_GONE", "DEAF", "STUCK", "app", "echo", "hold"]

STUCK, CONSUMER_GONE, DEAF = signal.SIGRTMIN + 1, signal.SIGRTMIN + 2, signal.SIGRTMIN + 3


@shared_task(name="ill.echo")
def echo() -> str:
    return "heard"


@shared_task(name="ill.hold")
def hold(seconds: float) -> None:
    time.sleep(seconds)


@worker_ready.connect
def fall_ill_on_signals(sender: Any, **_: Any) -> None:
    """`sender` is the worker's consumer; a handler runs in its main thread, where the event loop turns."""

    def cancel(*_: Any) -> None:
        sender.task_consumer.cancel()

    def take_nothing(*_: Any) -> None:
        sender.task_consumer.channel.qos.can_consume = lambda: False

    signal.signal(STUCK, lambda *_: time.sleep(3600))
    signal.signal(CONSUMER_GONE, cancel)
    signal.signal(DEAF, take_nothing)
