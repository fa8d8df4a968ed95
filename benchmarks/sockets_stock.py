"""Channels as its tutorial shows it: a consumer in a group, a message through the channel layer."""

import json
import os

import django
from django.conf import settings

from benchmarks.sockets_publisher import hosts

settings.configure(
    SECRET_KEY="only-for-benchmarks",
    CHANNEL_LAYERS={
        "default": {
            "BACKEND": os.environ["BENCH_LAYER"],
            "CONFIG": {"hosts": hosts(), **json.loads(os.environ["BENCH_LAYER_CONFIG"])},
        }
    },
)
django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402 - settings first

from benchmarks.sockets_messages import TOPIC  # noqa: E402


class Consumer(AsyncWebsocketConsumer):
    groups = (TOPIC,)

    async def push(self, event: dict[str, str]) -> None:
        await self.send(text_data=event["text"])


application = Consumer.as_asgi()
