"""uvicorn's WebSocket protocol with two things that many sockets on one topic need (docs/decisions/0012).

`write_frame` takes a frame that was encoded once for all sockets: encoding it anew for each is most of what a plain
loop over `send` costs. And a client that does not read is cut off: uvicorn 0.54 closes its transport, which first wants
to write what waits, and a client that reads nothing keeps its socket and buffers for ever.
"""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN

# So long a client may take to read what is on its way, and the close frame behind that.
CLOSING_SECONDS = 10.0


def text_frame(text: str) -> bytes:
    """What stands on the wire for a text message from a server, without extensions."""
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)


class WebSocketProtocol(WebSocketsSansIOProtocol):
    def write_frame(self, frame: bytes) -> bool:
        """Writes a ready frame at once; False where that cannot be, and `send` has to be asked."""
        if not self.writable.is_set() or self.close_sent or self.disconnected:
            return False
        if self.conn.state is not OPEN or self.conn.extensions or self.transport.is_closing():
            return False
        self.transport.write(frame)
        return True

    def end_soon(self) -> None:
        """Cuts the connection unless it ends by itself within CLOSING_SECONDS."""
        self.loop.call_later(CLOSING_SECONDS, self.transport.abort)

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.end_soon()

    async def run_asgi(self) -> None:
        await super().run_asgi()
        self.end_soon()


def protocol_of(send: Any) -> WebSocketProtocol | None:
    """The protocol whose `send` a socket was given; None under another server."""
    owner = getattr(send, "__self__", None)
    return owner if isinstance(owner, WebSocketProtocol) else None
