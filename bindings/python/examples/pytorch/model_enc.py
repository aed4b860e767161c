"""XOR on ciphertexts under a key of real size, and its twin in the clear: the weights are equal.

Data, labels and first weights are encrypted by the owner; training sees none of them. The owner
decrypts predictions for the four inputs after each epoch, and the weights at the end.
"""

from __future__ import annotations

import sys
import time

from job import ACTIVATIONS, LAYERS, Q, arguments, draw, same_weights, train, xor

from smlp.torch import EncryptedMLP, EncryptedTensor, IntegerMLP, encrypted_operations, use


def main() -> int:
    """Trains encrypted, then in the clear; compares, draws."""
    options = arguments(__doc__)
    phe = use(
        encrypted_operations(options.bits, Q, sigma=options.sigma, allow_insecure=options.insecure)
    )
    data, labels = xor(options.samples, options.seed)
    start = time.perf_counter()
    secret = EncryptedTensor(data), EncryptedTensor(labels)
    model = EncryptedMLP(LAYERS, ACTIVATIONS, Q, seed=options.seed)
    print(f"{options.bits}-bit key, encrypted in {time.perf_counter() - start:.1f} s")
    curve = train(model, *secret, options)

    # The job of model_int.py, with the roundings of the record.
    twin = IntegerMLP(LAYERS, ACTIVATIONS, Q, operations=phe, seed=options.seed)
    twin.train(data, labels, options.batch, len(curve) - 1, options.lr, progress=False)
    opened = model.decrypt()
    equal = same_weights(opened, twin)
    cost = phe.session.statistics
    print(f"{opened.net.step} steps, {cost.rounds} rounds, {cost.bytes / 1e6:.0f} MB")
    print(f"weights equal the clear twin's: {'yes, every integer' if equal else 'NO'}")
    draw(options.output / "model_enc.png", f"{options.bits}-bit key", curve, opened)
    return 0 if equal and curve[-1] == 1.0 else 1


if __name__ == "__main__":
    sys.exit(main())
