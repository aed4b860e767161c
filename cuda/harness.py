#!/usr/bin/env python3
"""Checks the kernels on a GPU bit for bit, then measures: a table in Markdown.

    make cuda-kit          on a machine with Rust: all that this needs, in build/cuda-kit
    python3 harness.py     there, on the machine with the GPU: needs Python and a driver, no more

First every kernel is checked against Python's pow. Then kernels are timed with the device's events
(medians over several inputs) and set against what the multipliers could do at most; last the whole
library is timed with the plugin and without it, on the same machine, in the same run.
"""

from __future__ import annotations

import argparse
import datetime
import os
import pathlib
import random
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import checks
import device

# Wide multiply-adds a clock and multiprocessor: not documented; both are given.
MULTIPLIERS = (64, 32)
# (bits of the modulus, bits of the exponent), modulo squares.
EXPONENTIATIONS = [(2048, 1024), (4096, 2048), (6144, 3072)]
TERM_BITS = 104


class Clock:
    """Times what is launched between two events, in seconds."""

    def __init__(self, driver: device.Driver) -> None:
        self._driver = driver
        self._events = [driver.event(), driver.event()]

    def __enter__(self) -> Clock:
        self._driver.record(self._events[0])
        return self

    def __exit__(self, *_: object) -> None:
        self._driver.record(self._events[1])

    def seconds(self) -> float:
        """After the block; waits."""
        return self._driver.elapsed(*self._events)


def check(driver: device.Driver, sizes: list[int]) -> None:
    """Every kernel; an AssertionError says where one is wrong."""
    for bits in sizes:
        kernels = device.Kernels(driver, bits)
        for form in ("plain", "nadic"):
            for root in checks.moduli(bits):
                ring = device.Ring(kernels, form, root)
                for case in checks.CHECKS:
                    case(ring, root)
        print(f"{bits} bits: every kernel gives what pow gives")


class Kernel:
    """One exponentiation benchmark on the device: inputs lie there, results stay there."""

    def __init__(self, driver: device.Driver, bits: int, count: int) -> None:
        self.driver, self.count = driver, count
        self.root = random.getrandbits(bits) | 1 | 1 << (bits - 1)
        self.ring = device.Ring(device.Kernels(driver, bits), "nadic", self.root)
        self.height = self.ring.words // 2
        self.values = [random.randrange(self.ring.modulus) for _ in range(min(count, 64))]
        # A few different numbers, repeated: values do not change the time.
        distinct = self.ring.enter(self.values)
        indices = device.Memory(driver, count).write([i % len(self.values) for i in range(count)])
        self.bases = self.ring.memory(count)
        words = self.ring.words
        groups = -(-count * words // 4 // self.ring.kernels.threads)
        name = f"any_{bits}_gather"
        self.ring.kernels.launch(name, groups, self.bases, distinct, indices, words, count)

    def bound(self, squarings: float, products: float) -> dict[int, float]:
        """Numbers a second if the multipliers never waited, for each guess of their number.

        N-adic: a product has five, a squaring four products of `height` words by `height`, and two
        quotient digits a word.
        """
        h = self.height
        each = squarings * (4 * h * h + 2 * h) + products * (5 * h * h + 2 * h)
        clock = 1000 * self.driver.attribute(13) * self.driver.attribute(16)
        return {m: m * clock / each for m in MULTIPLIERS}

    def exponentiation(self, bits: int, window: int, repetitions: int) -> float:
        """Exponentiations a second, exponents of each number, tables included."""
        times = []
        steps = device.power_steps(bits, window)
        out = self.ring.memory(self.count)
        for _ in range(repetitions + 1):
            few = [random.getrandbits(bits) for _ in self.values]
            exponents = [few[i % len(few)] for i in range(self.count)]
            with Clock(self.driver) as clock:
                table = self.ring.tables(self.bases, window)
            seconds = clock.seconds()
            clock = Clock(self.driver)
            self.ring.evaluate(
                self.count,
                table,
                steps,
                window=window,
                slots=list(range(self.count)),
                exponents=exponents,
                exponent_bits=bits,
                strides=(1, 0),
                out=out,
                clock=clock,
            )
            times.append(seconds + clock.seconds())
        powers = [pow(v, e, self.ring.modulus) for v, e in zip(self.values, few)]
        assert self.ring.leave(out)[: len(powers)] == powers, "a power is wrong"
        return self.count / statistics.median(times[1:])

    def terms(self, columns: int, bases: int, window: int, repetitions: int) -> float:
        """Terms a second of products of powers over shared tables."""
        times = []
        digits = -(-TERM_BITS // window)
        steps = [
            (window if t == 0 and j < digits - 1 else 0, t, 0, j * window)
            for j in reversed(range(digits))
            for t in range(columns)
        ]
        table = self.ring.tables(self.ring.enter(self.values[:bases]), window)
        for _ in range(repetitions + 1):
            terms, clock = columns * self.count, Clock(self.driver)
            self.ring.evaluate(
                self.count,
                table,
                steps,
                window=window,
                slots=[t % bases for _ in range(self.count) for t in range(columns)],
                columns=columns,
                exponents=[random.getrandbits(TERM_BITS) for _ in range(terms)],
                exponent_bits=TERM_BITS,
                strides=(columns, 1),
                clock=clock,
            )
            times.append(clock.seconds())
        return columns * self.count / statistics.median(times[1:])


def measure_kernels(driver: device.Driver, options: argparse.Namespace) -> None:
    """Exponentiations and products of powers, each against the bound."""
    print("\n| kernel | window | a second | of the bound at 64 | of the bound at 32 |")
    print("|---|---|---|---|---|")

    def row(name: str, window: int, rate: float, bound: dict[int, float]) -> None:
        shares = " | ".join(f"{rate / bound[m]:.1%}" for m in MULTIPLIERS)
        print(f"| {name} | {window} | {rate:,.0f} | {shares} |")

    for modulus_bits, bits in EXPONENTIATIONS:
        if bits > options.largest:
            continue
        kernel = Kernel(driver, bits, options.batch)
        for window in (4, 5):
            digits = -(-bits // window)
            products = digits + (1 << window) - 1
            rate = kernel.exponentiation(bits, window, options.repetitions)
            bound = kernel.bound((digits - 1) * window, products)
            row(f"modexp ({modulus_bits}, {bits})", window, rate, bound)
        for window in (4, 5):
            columns = 16
            digits = -(-TERM_BITS // window)
            rate = kernel.terms(columns, 8, window, options.repetitions)
            bound = kernel.bound((digits - 1) * window / columns, digits)
            row(f"terms of {TERM_BITS} bits modulo {modulus_bits} bits", window, rate, bound)


def run(kit: pathlib.Path, backend: str, program: str, *arguments: object) -> str:
    """A program of the kit with a backend; what it prints."""
    environment = dict(os.environ, SMLP_BACKEND=backend, SMLP_PLUGIN=str(kit / "libsmlp_cuda.so"))
    if backend == "cpu":
        # The best that the processor has.
        del environment["SMLP_BACKEND"]
        environment["SMLP_PLUGIN"] = ""
    command = [str(kit / program), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{program} with {backend} failed: {done.stderr.strip()}")
    return done.stdout


def measure_library(kit: pathlib.Path, options: argparse.Namespace) -> None:
    """The whole library with the plugin and without it."""
    rates: dict[str, dict[str, float]] = {}
    sizes = {"cuda": options.batch, "cpu": options.cpu_batch}
    for backend, batch in sizes.items():
        output = run(kit, backend, "throughput", batch, options.repetitions, options.largest)
        for line in output.splitlines():
            if line.startswith("#"):
                print(line)
                continue
            name, rate = line.split("\t")
            rates.setdefault(name, {})[backend] = float(rate)
    print("\n| library | GPU, a second | CPU, a second | ratio |\n|---|---|---|---|")
    for name, pair in rates.items():
        ratio = pair["cuda"] / pair["cpu"]
        print(f"| {name} | {pair['cuda']:,.0f} | {pair['cpu']:,.0f} | {ratio:.2f} |")
    print("\n| training step | GPU, s | CPU, s | ratio |\n|---|---|---|---|")
    for layers, batch in options.steps:
        seconds = {}
        for backend in sizes:
            output = run(kit, backend, "step", layers, batch, 2048, 2)
            # The first step makes tables.
            seconds[backend] = float(output.splitlines()[-1].split()[2])
        ratio = seconds["cpu"] / seconds["cuda"]
        print(
            f"| {layers}, batch {batch} | {seconds['cuda']:.2f} | {seconds['cpu']:.2f} "
            f"| {ratio:.2f} |"
        )


def step(text: str) -> tuple[str, int]:
    """LAYERS:BATCH of the command line."""
    layers, batch = text.split(":")
    return layers, int(batch)


def main() -> None:
    """Everything, in order; the first wrong result or failing call ends it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    kit = pathlib.Path(__file__).resolve().parent
    parser.add_argument("--driver", default="libcuda.so.1", help="the CUDA driver's library")
    parser.add_argument("--batch", type=int, default=32768, help="numbers a batch on the GPU")
    parser.add_argument("--cpu-batch", type=int, default=2048, help="numbers a batch on the CPU")
    parser.add_argument(
        "--repetitions", type=int, default=5, help="inputs, of which the median counts"
    )
    parser.add_argument("--largest", type=int, default=3072, help="bits of the largest root")
    parser.add_argument(
        "--steps",
        type=step,
        nargs="*",
        default=[("64,32,10", 32), ("784,128,10", 32)],
        help="training steps, LAYERS:BATCH",
    )
    parser.add_argument("--kernels-only", action="store_true", help="do not run the library")
    options = parser.parse_args()
    try:
        driver = device.Driver(options.driver)
        version, clock = driver.driver_version(), driver.attribute(13)
        print(
            f"{datetime.date.today()}: {driver.name()}, {driver.attribute(16)} multiprocessors, "
            f"{clock / 1000:.0f} MHz at most, driver for CUDA {version // 1000}."
            f"{version % 1000 // 10}"
        )
        check(driver, [bits for bits in device.sizes() if bits <= options.largest])
        measure_kernels(driver, options)
    except device.DeviceError as error:
        sys.exit(str(error))
    if not options.kernels_only:
        measure_library(kit, options)


if __name__ == "__main__":
    main()
