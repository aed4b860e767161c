"""What the three models share: the job, the command line, progress, and the picture."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from smlp.torch import IntegerMLP

Q = 2**10
LAYERS, ACTIVATIONS = [2, 10, 2], ["relu", "linear"]
INPUTS = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
LABELS = torch.tensor([[1, 0], [0, 1], [0, 1], [1, 0]])


def arguments(what: str, encrypted: bool = True) -> argparse.Namespace:
    """The command line; without any, the layout's job."""
    parser = argparse.ArgumentParser(description=what.splitlines()[0])
    if encrypted:
        parser.add_argument("--bits", type=int, default=2048, help="key size")
        parser.add_argument("--sigma", type=int, help="width of masks; by default as promised")
        parser.add_argument("--insecure", action="store_true", help="allow keys below 2048 bits")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=40)
    parser.add_argument("--lr", type=int, default=50, help="a divisor: the learning rate is 1/lr")
    parser.add_argument("--epochs", type=int, default=20, help="at most")
    parser.add_argument("--seed", type=int, default=2, help="of the data and the first weights")
    parser.add_argument("--output", type=Path, default=Path("build/pytorch"), help="for pictures")
    return parser.parse_args()


def xor(samples: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random pairs of bits and their XOR, one-hot, at scale Q."""
    generator = torch.Generator().manual_seed(seed)
    bits = torch.randint(0, 2, (samples, 2), generator=generator)
    return Q * bits, Q * torch.nn.functional.one_hot(bits[:, 0] ^ bits[:, 1], 2)


def train(model: Any, data: Any, labels: Any, options: argparse.Namespace) -> list[float]:
    """Trains until the accuracy on all four inputs is 1.0, and prints it after each epoch."""
    start, curve = time.perf_counter(), [model.get_accuracy(Q * INPUTS, LABELS)]

    def epoch_done(epoch: int) -> bool:
        curve.append(model.get_accuracy(Q * INPUTS, LABELS))
        seconds = time.perf_counter() - start
        print(f"epoch {epoch}: accuracy {curve[-1]}, {seconds:.1f} s", flush=True)
        return curve[-1] == 1.0

    model.train(data, labels, options.batch, options.epochs, options.lr, epoch_done=epoch_done)
    return curve


def same_weights(left: IntegerMLP, right: IntegerMLP) -> bool:
    """Whether two clear networks are equal, integer for integer."""
    pairs = zip(left.net.weights + left.net.biases, right.net.weights + right.net.biases)
    return all((ours.integers() == theirs.integers()).all() for ours, theirs in pairs)


def draw(path: Path, title: str, curve: Sequence[float], clear: IntegerMLP) -> None:
    """The accuracy, and what the network says between the four inputs."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(range(len(curve)), curve, marker="o")
    left.set(xlabel="epoch", ylabel="accuracy", ylim=(0, 1.05), title=title)
    side = torch.linspace(-0.25, 1.25, 61)
    grid = torch.cartesian_prod(side, side)
    outputs = clear.outputs((Q * grid).round().long())
    difference = (outputs[:, 1] - outputs[:, 0]).reshape(61, 61).T
    limit = float(abs(difference).max())
    shades = {"levels": 20, "cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    image = right.contourf(side.numpy(), side.numpy(), difference, **shades)
    right.contour(side.numpy(), side.numpy(), difference, levels=[0.0], colors="black")
    right.scatter(*INPUTS.T.numpy(), c=["blue", "red", "red", "blue"], edgecolors="white", s=90)
    right.set(title="output 1 minus output 0", aspect="equal")
    figure.colorbar(image, ax=right, shrink=0.8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    print(f"picture: {path}")
