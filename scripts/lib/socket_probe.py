"""Opens a WebSocket and waits for the server's first message: `socket_probe.py URL`. Standard library alone.

wss: is by TLS; a loopback address may have a self-signed certificate: nobody stands between on the way to it.
The bearer's token, where there is one, stands in NAUTILUS_TOKEN. Prints what came; exit code 1 where nothing did.
"""

import base64
import hashlib
import ipaddress
import os
import socket
import ssl
import sys
from typing import BinaryIO
from urllib.parse import SplitResult, urlsplit

TIMEOUT_SECONDS = 5.0
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
TEXT, CLOSE = 1, 8


def main(url: str) -> int:
    try:
        print(first_message(url))
    except (OSError, ValueError) as error:
        print(error)
        return 1
    return 0


def first_message(url: str) -> str:
    parts = urlsplit(url)
    with _connected(parts) as connection:
        stream = connection.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        connection.sendall(_request(parts.netloc, parts.path, key))
        _check_handshake(_read_head(stream), key)
        return _read_text(stream)


def _connected(parts: SplitResult) -> socket.socket:
    secure = parts.scheme == "wss"
    address = (parts.hostname or "", parts.port or (443 if secure else 80))
    connection = socket.create_connection(address, TIMEOUT_SECONDS)
    return _context(connection).wrap_socket(connection, server_hostname=parts.hostname) if secure else connection


def _context(connection: socket.socket) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ipaddress.ip_address(connection.getpeername()[0]).is_loopback:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _request(host: str, path: str, key: str) -> bytes:
    token = os.environ.get("NAUTILUS_TOKEN")
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        *([f"Authorization: Bearer {token}"] if token else []),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _read_head(stream: BinaryIO) -> list[str]:
    lines = []
    while line := stream.readline().decode("latin-1").strip():
        lines.append(line)
    return lines


def _check_handshake(lines: list[str], key: str) -> None:
    if not lines or " 101 " not in f"{lines[0]} ":
        raise ValueError(f"the handshake was answered with {lines[0] if lines else 'nothing'}")
    expected = base64.b64encode(hashlib.sha1((key + GUID).encode(), usedforsecurity=False).digest()).decode()
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    if headers.get("sec-websocket-accept") != expected:
        raise ValueError("the handshake's answer is not to our key")


def _read_text(stream: BinaryIO) -> str:
    """The first text frame; pings before it are passed over. A server's frames are not masked."""
    while True:
        first, second = _read(stream, 2)
        size = second & 127
        if size >= 126:
            size = int.from_bytes(_read(stream, 2 if size == 126 else 8), "big")
        content = _read(stream, size)
        if first & 15 == TEXT:
            return content.decode()
        if first & 15 == CLOSE:
            raise ValueError(f"closed by the server with {int.from_bytes(content[:2], 'big')} {content[2:].decode()}")


def _read(stream: BinaryIO, size: int) -> bytes:
    content: bytes = stream.read(size)
    if len(content) < size:
        raise ValueError("the connection ended before a message came")
    return content


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
