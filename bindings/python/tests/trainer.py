"""A process that trains until it is done or killed: P1 and P2 of test_kill.py.

Arguments: a folder with private.key, record.public, net.smlp, x and y; the step to train to. Prints
the network's step before the first step and after each one, and keeps a record in the folder.
"""

import sys
from pathlib import Path

import smlp

OPTIONS = {"batch_size": 4, "lr": 0.5, "shuffle_seed": 3}
EVERY = 3


def main():
    folder, last = Path(sys.argv[1]), int(sys.argv[2])
    private = smlp.PrivateKey.load(folder / "private.key")
    x, y = (
        smlp.EncryptedTensor.from_bytes((folder / name).read_bytes(), private.public)
        for name in ("x", "y")
    )
    net = smlp.MLP.load(folder / "net.smlp", private.public)
    record = smlp.RecordFile(folder / "record", (folder / "record.public").read_bytes())
    session = smlp.Session(
        smlp.P1(private.public, sigma=40, allow_insecure=True), smlp.P2(private), record=record
    )
    first = net.step
    print(first, flush=True)
    net.fit(
        session,
        x,
        y,
        steps=last - first,
        checkpoint=folder / "net.smlp",
        checkpoint_every=EVERY,
        progress=lambda done, _total: print(first + done, flush=True),
        **OPTIONS,
    )


if __name__ == "__main__":
    main()
