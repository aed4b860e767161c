"""A data set of scikit-learn, learnt under encryption: what digits.py and breast_cancer.py share.

The data owner standardises, splits and encrypts (packed, many values a ciphertext). P1 and P2, here
in one process, train. After each epoch the owner decrypts the network and tests it on data that
training never saw. In the end P1 and P2 predict the encrypted test set, and the owner decrypts the
answers. Two clear networks learn the same batches from the same initial weights: the twin, which
repeats the record of what each step rounded with and whose weights have to be the same integers,
and one in numpy's floats, whose accuracy has to be the same
within a point. The exit code is 0 only if both hold.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay, confusion_matrix
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

import smlp

BATCH = 32
FRACTION_BITS = 12
# Few bits make narrow slots, and those fast training. The twin checks that they are enough:
# weights below 4, everything else below 8.
WEIGHT_BITS = 14
ACTIVATION_BITS = 15
# Inputs are standardised, halved and cut at this: a pixel that is nearly always 0 may otherwise be
# dozens of standard deviations away.
LARGEST_INPUT = 4.0


@dataclass(frozen=True)
class Task:
    """What to learn, and how."""

    name: str
    load: Callable[..., Any]
    hidden: int
    learning_rate: float
    epochs: int


@dataclass(frozen=True)
class Data:
    """A data set as the owner has it: inputs, and labels one-hot."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: list[str]

    @classmethod
    def of(cls, task: Task) -> Data:
        """Four fifths to learn from, one to test; the scaling is that of the first part."""
        source = task.load()
        x, x_test, label, label_test = train_test_split(
            source.data, source.target, test_size=0.2, random_state=0, stratify=source.target
        )
        scaler = StandardScaler().fit(x)
        x, x_test = (
            np.clip(scaler.transform(part) / 2, -LARGEST_INPUT, LARGEST_INPUT)
            for part in (x, x_test)
        )
        one_hot = np.eye(len(source.target_names))
        classes = [str(name) for name in source.target_names]
        return cls(x, one_hot[label], x_test, one_hot[label_test], classes)

    @property
    def steps_per_epoch(self) -> int:
        """Batches of the training data, the last one smaller."""
        return -(-len(self.x) // BATCH)


class FloatNetwork:
    """The same network and the same gradient descent, in numpy's floats."""

    def __init__(self, start: smlp.MLP) -> None:
        self.weights = [weight.numpy() for weight in start.weights]
        self.biases = [bias.numpy() for bias in start.biases]
        self.step = 0

    def layers(self, x: np.ndarray) -> list[np.ndarray]:
        """The inputs of every layer, and the outputs."""
        values = [x]
        for weight, bias in zip(self.weights, self.biases):
            z = values[-1] @ weight + bias
            values.append(np.maximum(z, 0) if len(values) < len(self.weights) else z)
        return values

    def fit(self, data: Data, rate: float, steps: int) -> None:
        """So many steps; batches are rows one after another, as for the encrypted network."""
        for _ in range(steps):
            first = self.step % data.steps_per_epoch * BATCH
            x, y = data.x[first : first + BATCH], data.y[first : first + BATCH]
            values = self.layers(x)
            delta = (y - values[-1]) * (rate / len(x))
            for layer in reversed(range(len(self.weights))):
                back = (delta @ self.weights[layer].T) * (values[layer] > 0)
                self.weights[layer] += values[layer].T @ delta
                self.biases[layer] += delta.sum(axis=0)
                delta = back
            self.step += 1


@dataclass
class Networks:
    """The encrypted network and the two that learn the same in the clear."""

    encrypted: smlp.MLP
    twin: smlp.MLP
    floats: FloatNetwork

    def fit_clear(self, data: Data, rate: float, record: smlp.Record) -> None:
        """Takes the two clear ones to where the encrypted one is."""
        self.twin.fit(
            smlp.ClearSession(record),
            data.x,
            data.y,
            steps=self.encrypted.step - self.twin.step,
            batch_size=BATCH,
            lr=rate,
            shuffle=False,
            progress=False,
        )
        self.floats.fit(data, rate, self.encrypted.step - self.floats.step)


@dataclass
class Curve:
    """Accuracy on the test set after some steps."""

    steps: list[int] = field(default_factory=list)
    encrypted: list[float] = field(default_factory=list)
    floats: list[float] = field(default_factory=list)


@dataclass
class Recording:
    """P1's record, as long as the checkpoint lives: in memory without one, else in a file."""

    written: smlp.Record | smlp.RecordFile
    key: smlp.RecordKey | None = None

    @classmethod
    def beside(cls, checkpoint: Path | None) -> Recording:
        """The record of a checkpoint, and the owner's key to it, in files of its name."""
        if checkpoint is None:
            return cls(smlp.Record())
        key_file = checkpoint.with_suffix(".record-key")
        if not key_file.exists():
            smlp.RecordKey.generate().save(key_file)
        key = smlp.RecordKey.load(key_file)
        return cls(smlp.RecordFile(checkpoint.with_suffix(".record"), key.public), key)

    def read(self) -> smlp.Record:
        """What the owner reads."""
        if isinstance(self.written, smlp.Record):
            return self.written
        return smlp.Record.read(self.written.path, self.key)


@dataclass
class Job:
    """Everything that belongs together."""

    task: Task
    options: argparse.Namespace
    data: Data
    key: smlp.KeyPair
    networks: Networks
    recording: Recording


def main(task: Task, description: str) -> int:
    """Runs the job, prints what it cost, and draws."""
    options = arguments(task, description)
    job = owner(task, options)
    data, key, networks = job.data, job.key, job.networks
    print(f"{key.public.bits}-bit key, arithmetic: {smlp.backend()}")

    start = time.perf_counter()
    x, y, x_test = (
        smlp.encrypt(key, array, FRACTION_BITS, ACTIVATION_BITS, packed=True)
        for array in (data.x, data.y, data.x_test)
    )
    seconds = since(start)
    report_upload(key, (x, y, x_test), seconds)

    # Without --sigma the masks are as wide as the promise of P1 demands.
    p1 = smlp.P1(key.public, sigma=options.sigma, allow_insecure=options.sigma is not None)
    p2 = smlp.P2(key.private)
    session = smlp.Session(p1, p2, record=job.recording.written)
    curve = train(job, session, x, y)

    start = time.perf_counter()
    outputs = networks.encrypted.predict(session, x_test).decrypt(key.private)
    print(f"{len(outputs)} rows of the test set predicted encrypted in {since(start):.1f} s")
    print(f"P2's advantage: promised 2^-{p1.security}, at most 2^-{session.kept_bits:.1f}")
    draw(job, curve, outputs)
    return verdict(job, outputs)


def arguments(task: Task, description: str) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--bits", type=int, default=2048, help="key size")
    parser.add_argument("--short-exponents", action="store_true", help="of the key: faster")
    parser.add_argument("--sigma", type=int, help="width of masks, to measure: promises nothing")
    parser.add_argument("--epochs", type=int, default=task.epochs)
    parser.add_argument("--limit-steps", type=int, help="stop after so many steps")
    parser.add_argument("--seed", type=int, default=1, help="of the first weights")
    parser.add_argument(
        "--checkpoint",
        type=Path,
        help="a file that follows the training, keys and record beside it; "
        "go on from it if it is there",
    )
    parser.add_argument("--out", type=Path, default=Path(f"build/{task.name}.png"))
    return parser.parse_args()


def owner(task: Task, options: argparse.Namespace) -> Job:
    """Data, key and first networks; key and network of the checkpoint if there is one."""
    data = Data.of(task)
    start = smlp.MLP(
        [data.x.shape[1], task.hidden, len(data.classes)],
        seed=options.seed,
        fraction_bits=FRACTION_BITS,
        weight_bits=WEIGHT_BITS,
        activation_bits=ACTIVATION_BITS,
    )
    saved = options.checkpoint
    key_file = None if saved is None else saved.with_suffix(".key")
    if key_file is not None and key_file.exists():
        private = smlp.PrivateKey.load(key_file)
        key = smlp.KeyPair(private.public, private)
    else:
        key = smlp.keygen(options.bits, short_exponents=options.short_exponents)
        if key_file is not None:
            key.private.save(key_file)
    if saved is not None and saved.exists():
        net = smlp.MLP.load(saved, key.public)
        print(f"{saved}: going on after step {net.step}")
    else:
        net = start.encrypt(key.public)
    networks = Networks(net, start, FloatNetwork(start))
    return Job(task, options, data, key, networks, Recording.beside(saved))


def train(job: Job, session: smlp.Session, x: smlp.Tensor, y: smlp.Tensor) -> Curve:
    """Epochs under encryption, each followed by the owner's look at the network."""
    data, networks, rate = job.data, job.networks, job.task.learning_rate
    net, per_epoch = networks.encrypted, data.steps_per_epoch
    last = job.options.epochs * per_epoch
    if job.options.limit_steps is not None:
        last = min(last, job.options.limit_steps)
    curve, first, seconds = Curve(), net.step, 0.0
    look(job, curve)
    with tqdm(total=last, initial=first, unit="step") as bar:
        while net.step < last:
            start = time.perf_counter()
            net.fit(
                session,
                x,
                y,
                steps=min(per_epoch - net.step % per_epoch, last - net.step),
                batch_size=BATCH,
                lr=rate,
                shuffle=False,  # so that the float network can learn the same batches
                checkpoint=job.options.checkpoint,
                checkpoint_every=10,
                progress=lambda _done, _total: bar.update() and None,
            )
            seconds += since(start)
            look(job, curve)
            bar.set_postfix(accuracy=f"{curve.encrypted[-1]:.3f}")
    if net.step > first:
        cost, steps = session.statistics, net.step - first
        print(
            f"{steps} steps of {BATCH} in {seconds:.1f} s, {seconds / steps:.2f} s a step; "
            f"{cost.rounds / steps:.1f} rounds, {cost.bytes_sent / steps / 1e6:.2f} MB to P2 and "
            f"{cost.bytes_received / steps / 1e6:.2f} MB back a step; "
            f"P2's advantage is at most {session.advantage:.0e}"
        )
    return curve


def look(job: Job, curve: Curve) -> None:
    """The owner decrypts the network and tests it; the clear ones come to where it is."""
    data, networks = job.data, job.networks
    networks.fit_clear(data, job.task.learning_rate, job.recording.read())
    clear = networks.encrypted.decrypt(job.key.private)
    outputs = clear.predict(smlp.ClearSession(), data.x_test).numpy()
    curve.steps.append(clear.step)
    curve.encrypted.append(accuracy(data, outputs))
    curve.floats.append(accuracy(data, networks.floats.layers(data.x_test)[-1]))


def accuracy(data: Data, outputs: np.ndarray) -> float:
    """The share of test rows whose largest output is that of their class."""
    return float((outputs.argmax(axis=1) == data.y_test.argmax(axis=1)).mean())


def report_upload(
    key: smlp.KeyPair, tensors: tuple[smlp.EncryptedTensor, ...], seconds: float
) -> None:
    """What the data set costs packed, and what it would cost one value a ciphertext."""
    values = sum(tensor.size for tensor in tensors)
    packed = sum(len(tensor.to_bytes()) for tensor in tensors)
    single = values * 2 * key.public.bits // 8
    print(
        f"data set: {values:,} values, up to {tensors[0].values_per_ciphertext} a ciphertext, "
        f"encrypted in {seconds:.1f} s; {packed / 1e6:.1f} MB instead of {single / 1e6:.1f} MB, "
        f"1/{single / packed:.1f}"
    )


def verdict(job: Job, outputs: np.ndarray) -> int:
    """Accuracy of the encrypted predictions beside the float network; weights beside the twin."""
    data, networks = job.data, job.networks
    encrypted = accuracy(data, outputs)
    floats = accuracy(data, networks.floats.layers(data.x_test)[-1])
    result, twin = networks.encrypted.decrypt(job.key.private), networks.twin
    equal = all(
        np.array_equal(ours.integers(), theirs.integers())
        for ours, theirs in zip(result.weights + result.biases, twin.weights + twin.biases)
    )
    print(f"accuracy on the test set: {encrypted:.4f} encrypted, {floats:.4f} in floats")
    print(f"weights equal the clear twin's: {'yes, every integer' if equal else 'NO'}")
    return 0 if equal and abs(encrypted - floats) <= 0.01 else 1


def draw(job: Job, curve: Curve, outputs: np.ndarray) -> None:
    """Learning curve and confusion matrix."""
    data, out = job.data, job.options.out
    figure = Figure(figsize=(12, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(curve.steps, curve.floats, color="tab:orange", lw=5, alpha=0.4)
    left.plot(curve.steps, curve.encrypted, color="tab:blue", marker="o")
    left.legend(["the same network in floats", "encrypted"])
    left.set(xlabel="training step", ylabel="accuracy on the test set", ylim=(None, 1))
    left.set_title(f"{job.task.name}, {job.key.public.bits}-bit key")
    label, answer = data.y_test.argmax(axis=1), outputs.argmax(axis=1)
    matrix = confusion_matrix(label, answer, labels=range(len(data.classes)))
    ConfusionMatrixDisplay(matrix, display_labels=data.classes).plot(
        ax=right, cmap="Blues", colorbar=False
    )
    right.set_title(f"encrypted predictions, accuracy {accuracy(data, outputs):.3f}")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=90)
    print(f"picture: {out}")


def since(start: float) -> float:
    """Seconds since a reading of the clock."""
    return time.perf_counter() - start
