"""Messages over a socket: the length as eight bytes, big-endian, then the message."""

from __future__ import annotations

import socket
import struct

#: No message of these examples comes near it; a stranger cannot make us allocate more.
LIMIT = 256 << 20
_LENGTH = struct.Struct(">Q")


class ConnectionClosedError(ConnectionError):
    """The other side has left between two messages."""


def send(connection: socket.socket, message: bytes) -> None:
    """Sends one message."""
    connection.sendall(_LENGTH.pack(len(message)))
    connection.sendall(message)


def receive(connection: socket.socket, limit: int = LIMIT) -> bytes:
    """Waits for one message of at most ``limit`` bytes."""
    header = _exactly(connection, _LENGTH.size, first=True)
    (length,) = _LENGTH.unpack(header)
    if length > limit:
        raise ConnectionError(f"a message of {length} bytes, the limit is {limit}")
    return _exactly(connection, length)


def _exactly(connection: socket.socket, count: int, first: bool = False) -> bytes:
    data = bytearray()
    while len(data) < count:
        part = connection.recv(min(count - len(data), 1 << 20))
        if not part:
            if first and not data:
                raise ConnectionClosedError("the other side has closed the connection")
            raise ConnectionError("the connection broke within a message")
        data += part
    return bytes(data)
