"""XOR learnt on encrypted data, beside its clear twin.

The job of the original program: two random bits, one-hot labels, a 2-10-2 network (relu, linear),
trained here under a key of real size. Every few steps the data owner decrypts predictions for the
four possible inputs; training ends with the epoch that brings their accuracy to 1.0. Then the twin
repeats the same steps in the clear, by the record of what they rounded with: its weights have to be
the same integers. The exit code is 0 only if both hold.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

import smlp

CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
CORNER_LABELS = np.eye(2)[[0, 1, 1, 0]]
FORMAT = {"fraction_bits": 10, "bound_bits": 15}


@dataclass
class Data:
    """The samples and the four corners, all encrypted or all clear."""

    x: smlp.Tensor
    y: smlp.Tensor
    corners: smlp.Tensor

    @classmethod
    def of(cls, encode: Callable[[np.ndarray], smlp.Tensor], *arrays: np.ndarray) -> Data:
        """Each array, encoded in the same way."""
        return cls(*map(encode, arrays))


@dataclass
class Curve:
    """What the owner saw at each evaluation."""

    steps: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)

    def add(self, step: int, outputs: np.ndarray) -> None:
        """Appends one evaluation on the four corners."""
        self.steps.append(step)
        self.loss.append(float(((CORNER_LABELS - outputs) ** 2).sum(axis=1).mean() / 2))
        right = outputs.argmax(axis=1) == CORNER_LABELS.argmax(axis=1)
        self.accuracy.append(float(right.mean()))


def main() -> int:
    """Runs the job and prints what it cost."""
    options = arguments()
    key = smlp.keygen(options.bits, short_exponents=options.short_exponents)
    inputs, labels = xor(options.samples, options.seed)
    print(f"{key.public.bits}-bit key, arithmetic: {smlp.backend()}")

    # The data owner encrypts everything once.
    start = time.perf_counter()
    arrays = inputs, labels, CORNERS
    data = Data.of(lambda array: smlp.encrypt(key, array, **FORMAT), *arrays)
    net = smlp.MLP(
        [2, 10, 2],
        ["relu", "linear"],
        key=key.public,
        seed=options.seed,
        fraction_bits=FORMAT["fraction_bits"],
        weight_bits=FORMAT["bound_bits"],
        activation_bits=FORMAT["bound_bits"],
    )
    twin = net.decrypt(key.private)
    print(f"{len(inputs)} samples and the network encrypted in {since(start):.1f} s")
    print(f"batches of {options.batch}, learning rate {options.lr}, seed {options.seed}")

    record = smlp.Record()
    # Without --sigma the masks are as wide as the promise of P1 demands.
    p1 = smlp.P1(key.public, sigma=options.sigma, allow_insecure=options.sigma is not None)
    session = smlp.Session(p1, smlp.P2(key.private), record=record)
    start = time.perf_counter()
    curve = train(net, session, data, options, lambda z: z.decrypt(key.private))
    seconds = since(start)

    start = time.perf_counter()
    clear = Data.of(lambda array: smlp.encode(array, **FORMAT), *arrays)
    twin_curve = train(twin, smlp.ClearSession(record), clear, options, lambda z: z.numpy())
    twin_seconds = since(start)

    result = net.decrypt(key.private)
    equal = same_integers(result, twin)
    report(session, curve, (seconds, twin_seconds), equal)
    draw(options, curve, twin_curve, result, twin)
    return 0 if equal and curve.accuracy[-1] == 1.0 else 1


def arguments() -> argparse.Namespace:
    """The command line. The defaults were chosen with the twin: one epoch reaches 1.0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bits", type=int, default=2048, help="key size")
    parser.add_argument("--short-exponents", action="store_true", help="of the key: faster")
    parser.add_argument("--sigma", type=int, help="width of masks, to measure: promises nothing")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=40)
    parser.add_argument("--lr", type=float, default=0.25)
    parser.add_argument("--epochs", type=int, default=4, help="at most")
    parser.add_argument("--every", type=int, default=5, help="steps between two evaluations")
    parser.add_argument("--seed", type=int, default=2, help="of the data and the first weights")
    parser.add_argument("--output", type=Path, default=Path("build/xor_demo.png"))
    return parser.parse_args()


def xor(samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random pairs of bits and their XOR, one-hot."""
    inputs = np.random.default_rng(seed).integers(0, 2, (samples, 2))
    return inputs.astype(float), np.eye(2)[inputs[:, 0] ^ inputs[:, 1]]


def train(
    net: smlp.MLP,
    session: Any,
    data: Data,
    options: argparse.Namespace,
    opened: Callable[[Any], np.ndarray],
) -> Curve:
    """Epochs until the owner's evaluation on all four inputs says 1.0."""
    epoch = -(-options.samples // options.batch)
    curve = Curve()
    curve.add(net.step, opened(net.predict(session, data.corners)))
    while curve.accuracy[-1] < 1.0 and net.step < options.epochs * epoch:
        end = net.step + epoch
        with tqdm(total=epoch, unit="step", disable=not net.is_encrypted) as bar:
            while net.step < end:
                steps = min(options.every, end - net.step)
                net.fit(
                    session,
                    data.x,
                    data.y,
                    steps=steps,
                    batch_size=options.batch,
                    lr=options.lr,
                    progress=lambda _done, _total: bar.update() and None,
                )
                curve.add(net.step, opened(net.predict(session, data.corners)))
                bar.set_postfix(loss=f"{curve.loss[-1]:.3f}", accuracy=curve.accuracy[-1])
    return curve


def same_integers(left: smlp.MLP, right: smlp.MLP) -> bool:
    """Whether two clear networks are equal, integer for integer."""
    pairs = zip(left.weights + left.biases, right.weights + right.biases)
    return left.step == right.step and all(
        np.array_equal(ours.integers(), theirs.integers()) for ours, theirs in pairs
    )


def report(session: smlp.Session, curve: Curve, times: tuple[float, float], equal: bool) -> None:
    """What it cost, and whether it is right."""
    cost = session.statistics
    steps, (seconds, twin_seconds) = curve.steps[-1], times
    rows = {
        "accuracy": f"{curve.accuracy[-1]} on all four inputs",
        "training steps": f"{steps}, {seconds / max(steps, 1):.2f} s a step with evaluations",
        "time": f"{seconds:.1f} s, the clear twin {twin_seconds * 1000:.0f} ms",
        "rounds": f"{cost.rounds}",
        "bytes": f"{cost.bytes_sent / 1e6:.1f} MB to P2, {cost.bytes_received / 1e6:.1f} MB back",
        "seconds": f"P1 {cost.p1_seconds:.1f}, P2 and the wire {cost.exchange_seconds:.1f}",
        "modular operations": f"P1 {cost.p1_operations:,}, P2 {cost.p2_operations:,}",
        "P2's advantage": f"promised 2^-{session.p1.security}, at most 2^-{session.kept_bits:.1f} "
        f"after {cost.masked_values:,} values and ciphertexts",
        "weights equal the twin's": f"{'yes, every integer' if equal else 'NO'}",
    }
    for name, value in rows.items():
        print(f"{name:>25}  {value}")


def draw(
    options: argparse.Namespace, curve: Curve, twin_curve: Curve, net: smlp.MLP, twin: smlp.MLP
) -> None:
    """Learning curve and decision surfaces, encrypted beside clear."""
    figure = Figure(figsize=(13, 4), layout="constrained")
    axes = figure.subplots(1, 3)
    panel = axes[0]
    panel.plot(twin_curve.steps, twin_curve.loss, color="tab:orange", lw=5, alpha=0.4)
    panel.plot(curve.steps, curve.loss, color="tab:blue", marker="o")
    panel.plot(curve.steps, curve.accuracy, color="tab:green", marker="s", ls="--")
    panel.legend(["loss, clear twin", "loss, encrypted", "accuracy, encrypted"])
    panel.set(xlabel="training step", title=f"Learning, {options.bits}-bit key", ylim=(0, None))

    side = np.linspace(-0.25, 1.25, 61)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    for panel, network, title in zip(axes[1:], (net, twin), ("encrypted", "clear twin")):
        outputs = network.predict(smlp.ClearSession(), grid).numpy()
        difference = (outputs[:, 1] - outputs[:, 0]).reshape(len(side), -1)
        limit = float(abs(difference).max())
        image = panel.contourf(
            side, side, difference, levels=20, cmap="RdBu_r", vmin=-limit, vmax=limit
        )
        panel.contour(side, side, difference, levels=[0.0], colors="black")
        panel.scatter(*CORNERS.T, c=["blue", "red", "red", "blue"], edgecolors="white", s=90)
        panel.set(title=f"Trained {title}: output 1 minus output 0", aspect="equal")
        figure.colorbar(image, ax=panel, shrink=0.8)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.output, dpi=110)
    print(f"picture: {options.output}")


def since(start: float) -> float:
    """Seconds since a reading of the clock."""
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
