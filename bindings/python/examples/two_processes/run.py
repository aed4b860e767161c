"""Starts the data owner, P2 and P1 as processes of their own and checks what comes out.

python run.py [--bits 2048] [--samples 40] [--steps 2]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    """The exit code is that of the owner's check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bits", type=int, default=2048)
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--insecure", action="store_true", help="allow keys for tests only")
    arguments = parser.parse_args()
    insecure = ["--insecure"] if arguments.insecure else []

    with tempfile.TemporaryDirectory(prefix="smlp-") as name:
        folder = Path(name)
        size = ["--bits", arguments.bits, "--samples", arguments.samples]
        subprocess.run(command("owner.py", "prepare", folder, *size, *insecure), check=True)
        address = folder / "p2" / "socket"
        private_key = folder / "p2" / "private.key"
        server = subprocess.Popen(command("p2_server.py", private_key, address, *insecure))
        try:
            wait_for(address, server)
            work = ["--steps", arguments.steps]
            train = command("p1_train.py", folder / "p1", address, *work, *insecure)
            subprocess.run(train, check=True)
        finally:
            server.terminate()
            server.wait()
        return subprocess.call(command("owner.py", "check", folder, *insecure))


def command(script: str, *arguments: object) -> list[str]:
    """How to run a script of this folder."""
    return [sys.executable, str(HERE / script), *map(str, arguments)]


def wait_for(address: Path, server: subprocess.Popen[bytes], seconds: float = 30) -> None:
    """Until the socket is there; a server that ends or hangs is an error."""
    deadline = time.monotonic() + seconds
    while not address.exists():
        if server.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("P2 did not start")
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
