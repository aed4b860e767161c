"""The data owner: makes keys and encrypted files, goes away, and decrypts at the end.

    python owner.py prepare FOLDER    writes FOLDER/owner, FOLDER/p1, FOLDER/p2
    python owner.py check FOLDER      decrypts what P1 has trained

P1 gets the public key, encrypted data, an encrypted network, and the public half of a record key;
P2 gets the private key and no data. Each folder would be copied to another machine.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import smlp

LAYERS = [2, 10, 2]
BITS = {"fraction_bits": 10, "weight_bits": 15, "activation_bits": 15}


def main() -> int:
    """Reads the task from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=["prepare", "check"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bits", type=int, default=2048)
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--insecure", action="store_true", help="allow keys for tests only")
    arguments = parser.parse_args()
    if arguments.task == "prepare":
        prepare(arguments)
        return 0
    return check(arguments)


def prepare(arguments: argparse.Namespace) -> None:
    """Writes what each party needs into its folder."""
    owner, p1, p2 = (arguments.folder / name for name in ("owner", "p1", "p2"))
    for folder in (owner, p1, p2):
        folder.mkdir(parents=True, mode=0o700)
    key = smlp.keygen(arguments.bits, allow_insecure=arguments.insecure)
    key.private.save(owner / "private.key")
    key.private.save(p2 / "private.key")
    key.public.save(p1 / "public.key")
    # P1 writes down what it rounds with, and only the owner can read that: P2 could learn from it.
    record_key = smlp.RecordKey.generate()
    record_key.save(owner / "record.key")
    (p1 / "record.public").write_bytes(record_key.public)

    rng = np.random.default_rng(0)
    inputs = rng.integers(0, 2, (arguments.samples, 2))
    labels = np.eye(2)[inputs.sum(axis=1) % 2]
    np.savez(owner / "clear.npz", inputs=inputs, labels=labels)
    scale = {"fraction_bits": BITS["fraction_bits"], "bound_bits": BITS["activation_bits"]}
    smlp.encrypt(key, inputs, **scale).save(p1 / "x.smlp")
    smlp.encrypt(key, labels, **scale).save(p1 / "y.smlp")

    network = smlp.MLP(LAYERS, ["relu", "linear"], seed=1, **BITS)
    network.save(owner / "initial.smlp")
    network.encrypt(key.public).save(p1 / "network.smlp")
    print(f"owner: {key.public!r}, {arguments.samples} samples encrypted")


def check(arguments: argparse.Namespace) -> int:
    """Compares what P1 has trained with the same training in the clear."""
    owner, p1 = arguments.folder / "owner", arguments.folder / "p1"
    private = smlp.PrivateKey.load(owner / "private.key", allow_insecure=arguments.insecure)
    trained = smlp.MLP.load(p1 / "trained.smlp", private.public).decrypt(private)
    prediction = smlp.EncryptedTensor.load(p1 / "prediction.smlp", private.public)

    # The owner repeats everything in the clear, by P1's record: the integers have to be the same.
    clear = np.load(owner / "clear.npz")
    twin = smlp.MLP.load(owner / "initial.smlp")
    record_key = smlp.RecordKey.load(owner / "record.key")
    session = smlp.ClearSession(smlp.Record.read(p1 / "training.record", record_key))
    steps, batch_size, lr = np.loadtxt(p1 / "settings.txt")
    options = {"steps": int(steps), "batch_size": int(batch_size), "lr": float(lr)}
    twin.fit(session, clear["inputs"], clear["labels"], progress=False, **options)
    pairs = zip(trained.weights + trained.biases, twin.weights + twin.biases)
    equal = all(np.array_equal(ours.integers(), theirs.integers()) for ours, theirs in pairs)
    outputs = prediction.decrypt(private)
    accuracy = np.mean(outputs.argmax(axis=1) == clear["labels"].argmax(axis=1))
    print(f"owner: {trained.step} steps, weights equal the clear twin's: {equal}")
    print(f"owner: accuracy of the decrypted predictions {accuracy:.2f}")
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
