"""Many clients in one process, each on a few topics: they come back where a server answers, and check what they hear.

    python -m tests.storm.clients '{"ports": [8001, 8002], "topics": [["storm-1", "storm-2"], …]}'

A client for each list of topics. Independent of nautilus_client and of the `websockets` library, as it checks them
too; and lean, so that 2,000 of them leave a core to the servers. Says how it stands each half second, a line of JSON;
a line of JSON on its input gives the seqs to wait for, and a file to write the end to.
"""

import asyncio
import json
import random
import re
import sys
import zlib
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.storm.frames import CLOSE, PING, PONG, TEXT, Frame, FrameReader, encode, handshake

STATUS_SECONDS = 0.5
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.2, 3.0
CONNECTING_AT_ONCE = 50
FAULTS_KEPT = 10
HEADER = re.compile(rb'\{"type":"message","topic":"([^"]+)","seq":(\d+),"epoch":"([^"]+)"')


@dataclass(slots=True)
class Place:
    """Where a client stands in a topic: all of `start` (exclusive) to `seq` was heard, and `crc` is made of it."""

    epoch: str = ""
    start: int = 0
    seq: int = 0
    crc: int = 0
    is_subscribed: bool = False

    def begin(self, epoch: str, seq: int) -> None:
        self.epoch, self.start, self.seq, self.crc = epoch, seq, seq, 0


@dataclass(slots=True)
class Tally:
    heard: int = 0
    unrecovered: int = 0
    closes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def fault(self, text: str) -> None:
        if len(self.faults) < FAULTS_KEPT:
            self.faults.append(text)


class Link(asyncio.Protocol):
    """One connection: frames in, frames out."""

    def __init__(self, client: "Client", port: int) -> None:
        self._client = client
        self._port = port
        self._head = b""
        self._is_open = False
        self._reader = FrameReader()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(handshake(self._port, "/ws"))

    def data_received(self, data: bytes) -> None:
        if not self._is_open:
            self._head += data
            head, end, data = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            self._open(head)
        for frame in self._reader.feed(data):
            self._take(frame)

    def _open(self, head: bytes) -> None:
        self._is_open = True
        if b" 101 " not in head.split(b"\r\n")[0] + b" ":
            self._client.tally.closes[head.split(b"\r\n")[0].decode()] += 1
            self.transport.abort()
            return
        self._client.ask_for_topics(self)

    def _take(self, frame: Frame) -> None:
        if frame.opcode == TEXT:
            self._client.hear(self, frame.payload)
        elif frame.opcode == PING:
            self.transport.write(encode(frame.payload, PONG))
        elif frame.opcode == CLOSE:
            self._client.tally.closes[str(frame.close_code)] += 1
            self.transport.write(encode(frame.payload[:2], CLOSE))
            self.transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)

    def say(self, **request: Any) -> None:
        self.transport.write(encode(json.dumps(request).encode()))


class Client:
    def __init__(self, ports: list[int], topics: list[str], tally: Tally, connecting: asyncio.Semaphore) -> None:
        self.places = {topic: Place() for topic in topics}
        self.tally = tally
        self._ports = ports
        self._turn = 0
        self._connecting = connecting
        self._has_heard = False

    async def live(self) -> None:
        delay_seconds = FIRST_RETRY_SECONDS
        while True:
            self._has_heard = False
            await self._follow()
            delay_seconds = FIRST_RETRY_SECONDS if self._has_heard else min(2 * delay_seconds, LAST_RETRY_SECONDS)
            self._turn += not self._has_heard  # nobody there, or full: the next server
            await asyncio.sleep(delay_seconds * random.uniform(0.5, 1.5))

    async def _follow(self) -> None:
        """One connection, from its beginning to its end."""
        port = self._ports[self._turn % len(self._ports)]
        with suppress(OSError):
            async with self._connecting:
                loop = asyncio.get_running_loop()
                _, link = await loop.create_connection(lambda: Link(self, port), "127.0.0.1", port)
            await link.lost
        for place in self.places.values():
            place.is_subscribed = False

    def ask_for_topics(self, link: Link) -> None:
        for topic, place in self.places.items():
            again = {"since": place.seq, "epoch": place.epoch} if place.epoch else {}
            link.say(type="subscribe", topic=topic, **again)

    def hear(self, link: Link, payload: bytes) -> None:
        header = HEADER.match(payload)
        if header is None:
            self._answer(link, json.loads(payload))
            return
        topic, seq = header[1].decode(), int(header[2])
        place = self.places.get(topic)
        if place is None:
            self.tally.fault(f"{header[0].decode()} came, and nobody had asked for '{topic}'")
            return
        if header[3].decode() != place.epoch or seq != place.seq + 1:
            self.tally.fault(f"{header[0].decode()} came after {place.seq} of {place.epoch}")
        place.seq, place.crc = seq, zlib.crc32(payload, place.crc)
        self.tally.heard += 1

    def _answer(self, link: Link, answer: dict[str, Any]) -> None:
        if answer["type"] == "subscribed":
            self._stand(self.places[answer["topic"]], answer)
        elif answer.get("code") in ("unavailable", "rate_limited"):
            self.tally.closes[answer["code"]] += 1
            link.transport.close()
        else:
            self.tally.fault(f"The server said {answer}")

    def _stand(self, place: Place, answer: dict[str, Any]) -> None:
        self._has_heard = place.is_subscribed = True
        if answer["recovered"] and place.epoch not in ("", answer["epoch"]):
            self.tally.fault(f"{answer} said recovered in place of epoch {place.epoch}")
        if not place.epoch or not answer["recovered"]:
            self.tally.unrecovered += bool(place.epoch)
            place.begin(answer["epoch"], answer["seq"])


class Storm:
    def __init__(self, ports: list[int], topics: list[list[str]]) -> None:
        self._tally = Tally()
        connecting = asyncio.Semaphore(CONNECTING_AT_ONCE)
        self._clients = [Client(ports, each, self._tally, connecting) for each in topics]
        self._wanted: dict[str, int] = {}

    async def run(self) -> None:
        lives = [asyncio.create_task(client.live()) for client in self._clients]
        telling = asyncio.create_task(self._tell())
        await self._obey()
        for task in (*lives, telling):
            task.cancel()

    def _places(self) -> list[tuple[str, Place]]:
        return [each for client in self._clients for each in client.places.items()]

    async def _tell(self) -> None:
        while True:
            places = self._places()
            subscribed = sum(place.is_subscribed for _, place in places)
            behind = sum(place.seq < self._wanted.get(topic, 0) for topic, place in places)
            tally = self._tally
            said = {"subscribed": subscribed, "behind": behind, "heard": tally.heard, "unrecovered": tally.unrecovered}
            line = {**said, "wanted": bool(self._wanted), "closes": tally.closes, "faults": tally.faults}
            print(json.dumps(line), flush=True)  # noqa: T201
            await asyncio.sleep(STATUS_SECONDS)

    async def _obey(self) -> None:
        while line := await asyncio.to_thread(sys.stdin.readline):
            order = json.loads(line)
            self._wanted = order.get("wanted", self._wanted)
            if "report" in order:
                ends = [(topic, place.epoch, place.start, place.seq, place.crc) for topic, place in self._places()]
                Path(order["report"]).write_text(json.dumps(ends))
                return


if __name__ == "__main__":
    given = json.loads(sys.argv[1])

    async def main() -> None:
        await Storm(given["ports"], given["topics"]).run()

    asyncio.run(main())
