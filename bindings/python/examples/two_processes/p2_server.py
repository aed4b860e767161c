"""P2, the key server: holds the private key, sees masked values only, keeps no state.

    python p2_server.py PRIVATE_KEY SOCKET

Whoever can connect to the socket can ask questions, so it belongs into a folder that only P1's
user can enter; on a network, put TLS with client certificates around it.
"""

from __future__ import annotations

import argparse
import os
import socket
import socketserver
from pathlib import Path

import wire

import smlp


class Connection(socketserver.BaseRequestHandler):
    """One P1. The first message that is no request ends the connection."""

    request: socket.socket

    def handle(self) -> None:
        """Answers until the other side leaves."""
        server: Server = self.server  # type: ignore[assignment]
        try:
            while True:
                question = wire.receive(self.request, server.limit)
                wire.send(self.request, server.p2.answer(question))
        except wire.ConnectionClosedError:
            pass
        except (smlp.SmlpError, ConnectionError) as error:
            print(f"P2: connection ended: {error}", flush=True)


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers any number of connections at once."""

    daemon_threads = True

    def __init__(self, path: str, p2: smlp.P2, limit: int) -> None:
        self.p2, self.limit = p2, limit
        before = os.umask(0o177)
        try:
            super().__init__(path, Connection)
        finally:
            os.umask(before)


def main() -> None:
    """Listens until it is told to end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("private_key", type=Path)
    parser.add_argument("socket", type=Path)
    parser.add_argument("--limit", type=int, default=wire.LIMIT, help="bytes of a request")
    parser.add_argument("--insecure", action="store_true", help="allow keys for tests only")
    arguments = parser.parse_args()
    key = smlp.PrivateKey.load(arguments.private_key, allow_insecure=arguments.insecure)
    with Server(str(arguments.socket), smlp.P2(key), arguments.limit) as server:
        print(f"P2: {key.public!r}, listening", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
