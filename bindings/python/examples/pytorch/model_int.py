"""XOR on clear integers: the job of model_enc.py, to choose seeds and learning rates with."""

from __future__ import annotations

import sys

from job import ACTIVATIONS, LAYERS, Q, arguments, draw, train, xor

from smlp.torch import IntegerMLP


def main() -> int:
    """Trains, prints the accuracy after each epoch, draws."""
    options = arguments(__doc__, encrypted=False)
    data, labels = xor(options.samples, options.seed)
    model = IntegerMLP(LAYERS, ACTIVATIONS, Q, seed=options.seed)
    curve = train(model, data, labels, options)
    draw(options.output / "model_int.png", "clear integers", curve, model)
    return 0 if curve[-1] == 1.0 else 1


if __name__ == "__main__":
    sys.exit(main())
