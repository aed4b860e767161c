"""smlp beside other Paillier libraries: one processor core, one run, turn and turn about.

    .venv/bin/python benches/peers/compare.py [LIBRARY=PYTHON ...]

Each library runs in a process of its own, under the Python named for it, else under this one; all
of them on the same core, one at a time. A round measures every library on every operation; the
table has the medians of the rounds. A library that cannot be measured is listed with the reason.

What the peers need, from PyPI: phe and gmpy2; sf-heu; ipcl-python, which exists for Python 3.8:

    python3.8 -m venv ipcl
    ipcl/bin/pip install --no-deps ipcl-python
    ipcl/bin/pip install numpy gmpy2 cachetools pycryptodomex ruamel.yaml

CrypTen and SPU compute on shares of secrets and offer no Paillier operation to compare.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

WORKER = Path(__file__).with_name("worker.py")
#: The second is smlp again, with keys that rest on one more assumption (see SECURITY.md).
PEERS = ["smlp-short", "python-paillier", "heu", "heu-ipcl", "ipcl"]
ROUNDS = 7
OPERATIONS = {
    "encrypt": "encrypt, public key",
    "encrypt, key holder": "encrypt, key holder",
    "decrypt": "decrypt",
    "add": "add two ciphertexts",
    "multiply": "multiply by a 32-bit number",
    "matrix": "clear 64x64 matrix @ vector, 32 bits, a term",
}


class Library:
    """A worker that has made its keys, or the reason why there is none."""

    def __init__(self, name: str, python: str, core: int) -> None:
        self.name, self.ready, self.refused = name, [], {}
        one = {"RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [python, str(WORKER), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **one},
        )
        os.sched_setaffinity(self.process.pid, {core})
        try:
            hello = self.answer()
            self.name, self.ready = hello["name"], hello["ready"]
            self.refused = hello["refused"]
        except RuntimeError as error:
            self.refused = dict.fromkeys(OPERATIONS, str(error))

    def answer(self) -> dict:
        for line in self.process.stdout:
            if line.startswith("ANSWER "):
                return json.loads(line[7:])
        lines = self.process.stderr.read().strip().splitlines() or ["it ended without a word"]
        raise RuntimeError(lines[-1])

    def microseconds(self, operation: str) -> float:
        self.process.stdin.write(operation + "\n")
        self.process.stdin.flush()
        reply = self.answer()
        return reply["seconds"] / reply["elements"] * 1e6


def main() -> None:
    pythons = dict(argument.split("=", 1) for argument in sys.argv[1:])
    unknown = pythons.keys() - {"smlp", *PEERS}
    if unknown:
        sys.exit(
            f"unknown libraries: {', '.join(sorted(unknown))}; known: smlp, {', '.join(PEERS)}"
        )
    core = max(os.sched_getaffinity(0))
    libraries = [
        Library(name, pythons.get(name, sys.executable), core) for name in ["smlp", *PEERS]
    ]
    ours, peers = libraries[0], libraries[1:]
    if ours.refused:
        sys.exit(f"smlp does not run: {ours.refused}")

    times = {(x.name, o): [] for x in libraries for o in x.ready}
    for _ in range(ROUNDS):
        for operation in OPERATIONS:
            for library in libraries:
                if operation in library.ready:
                    times[library.name, operation].append(library.microseconds(operation))
    medians = {place: statistics.median(samples) for place, samples in times.items()}

    print("2048-bit key, one core; microseconds of processor time an element (× smlp),")
    print(f"medians of {ROUNDS} rounds\n")
    print("| what | " + " | ".join(x.name for x in libraries) + " |")
    print("|---" * (len(libraries) + 1) + "|")
    for operation, what in OPERATIONS.items():
        mine = medians[ours.name, operation]
        cells = [f"{mine:.1f}"]
        for peer in peers:
            # Other libraries encrypt in one way only.
            same = operation if operation in peer.ready else operation.split(",")[0]
            theirs = medians.get((peer.name, same))
            cells.append("—" if theirs is None else f"{theirs:,.1f} ({theirs / mine:.1f})")
        print(f"| {what} | " + " | ".join(cells) + " |")
    print()
    for peer in peers:
        reasons = {reason: [] for reason in peer.refused.values()}
        for operation, reason in peer.refused.items():
            reasons[reason].append(operation)
        for reason, operations in reasons.items():
            print(f"not measured: {peer.name}, {', '.join(operations)}: {reason}")


if __name__ == "__main__":
    main()
