"""The baseline: the same network sample by sample on EncryptedTensor, and how much slower it is.

One mini-batch is computed twice: the gradients of each sample on its own, added up, as per-sample
programs do; and in one training step over the whole batch.
"""

from __future__ import annotations

import sys
import time
from functools import reduce

import torch
from job import ACTIVATIONS, LAYERS, Q, arguments, xor
from matplotlib.figure import Figure
from tqdm import tqdm

from smlp.torch import EncryptedMLP, EncryptedTensor, encrypted_operations, use


class PerSample:
    """Encrypted weights and biases, one sample at a time."""

    def __init__(self, model: EncryptedMLP) -> None:
        self.weights = [model._wrapped(weight) for weight in model.net.weights]
        self.biases = [model._wrapped(bias) for bias in model.net.biases]

    def backprop(
        self, x: EncryptedTensor, y: EncryptedTensor
    ) -> tuple[list[EncryptedTensor], list[EncryptedTensor]]:
        """The gradients of one sample, a row each."""
        hidden = x.matmul(self.weights[0]) + self.biases[0]
        active, slope = hidden.relu_with_derivative()
        error = y - (active.matmul(self.weights[1]) + self.biases[1])
        back = error.matmul(self.weights[1].t()) * slope
        return [back[0], error[0]], [x.t().matmul(back), active.t().matmul(error)]

    def update_mini_batch(self, x: EncryptedTensor, y: EncryptedTensor, lr: int) -> None:
        """Sums up the gradients of all samples, then changes the weights."""
        rows = tqdm(range(len(x)), unit="sample")
        each = [self.backprop(x[i : i + 1], y[i : i + 1]) for i in rows]
        by = lr * len(x)
        for layer in range(len(self.weights)):
            db = reduce(EncryptedTensor.add, (one[0][layer] for one in each))
            dw = reduce(EncryptedTensor.add, (one[1][layer] for one in each))
            self.biases[layer] += torch.div(db, by, rounding_mode="floor")
            self.weights[layer] += torch.div(dw, by, rounding_mode="floor")


def main() -> int:
    """One mini-batch in both ways; their weights may differ by rounding."""
    options = arguments(__doc__)
    use(encrypted_operations(options.bits, Q, sigma=options.sigma, allow_insecure=options.insecure))
    data, labels = xor(options.batch, options.seed)
    x, y = EncryptedTensor(data), EncryptedTensor(labels)
    model = EncryptedMLP(LAYERS, ACTIVATIONS, Q, seed=options.seed)
    baseline = PerSample(model)
    seconds = []
    for step in (baseline.update_mini_batch, model.update_mini_batch):
        start = time.perf_counter()
        step(x, y, options.lr)
        seconds.append(time.perf_counter() - start)
    print(f"a mini-batch of {options.batch}, sample by sample: {seconds[0]:.2f} s")
    print(f"in one step: {seconds[1]:.2f} s, {seconds[0] / seconds[1]:.1f} times as fast")
    pairs = zip(baseline.weights, map(model._wrapped, model.net.weights))
    apart = max(
        int((ours.decrypt().tensor() - theirs.decrypt().tensor()).abs().max())
        for ours, theirs in pairs
    )
    print(f"weights differ by {apart} units of 1/{Q} at most: they round at other places")

    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    axes.bar(["sample by sample", "in one step"], seconds)
    axes.set(ylabel="seconds", title=f"A mini-batch of {options.batch}, {options.bits}-bit key")
    options.output.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.output / "model_th.png", dpi=110)
    print(f"picture: {options.output / 'model_th.png'}")
    return 0 if apart <= options.batch else 1


if __name__ == "__main__":
    sys.exit(main())
