"""P1, the compute server: trains on ciphertexts and never sees a private key.

    python p1_train.py FOLDER SOCKET

FOLDER holds public.key, record.public, x.smlp, y.smlp and network.smlp; trained.smlp,
prediction.smlp and training.record are written beside them.
"""

from __future__ import annotations

import argparse
import socket
from pathlib import Path

import numpy as np
import wire

import smlp


class SocketTransport(smlp.Transport):
    """One connection to P2."""

    def __init__(self, path: Path) -> None:
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(str(path))

    def exchange(self, request: bytes) -> bytes:
        """Sends a request and waits for the reply."""
        wire.send(self._connection, request)
        return wire.receive(self._connection)

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()


def main() -> None:
    """Trains and predicts over one connection."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("socket", type=Path)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--lr", type=float, default=0.5)
    parser.add_argument("--insecure", action="store_true", help="allow keys for tests only")
    arguments = parser.parse_args()
    folder: Path = arguments.folder

    key = smlp.PublicKey.load(folder / "public.key", allow_insecure=arguments.insecure)
    x, y = (smlp.EncryptedTensor.load(folder / name, key) for name in ("x.smlp", "y.smlp"))
    network = smlp.MLP.load(folder / "network.smlp", key)
    transport = SocketTransport(arguments.socket)
    record = smlp.RecordFile(folder / "training.record", (folder / "record.public").read_bytes())
    session = smlp.Session(smlp.P1(key), transport, record=record)
    settings = {"steps": arguments.steps, "batch_size": arguments.batch, "lr": arguments.lr}
    network.fit(session, x, y, **settings)
    network.save(folder / "trained.smlp")
    network.predict(session, x).save(folder / "prediction.smlp")
    np.savetxt(folder / "settings.txt", list(settings.values()))
    transport.close()
    cost = session.statistics
    print(
        f"P1: {arguments.steps} steps, {cost.rounds} rounds, {cost.bytes / 1e6:.1f} MB, "
        f"{cost.p1_seconds:.1f} s here, {cost.exchange_seconds:.1f} s for P2 and the socket; "
        f"P2's advantage at most 2^-{session.kept_bits:.1f}"
    )


if __name__ == "__main__":
    main()
