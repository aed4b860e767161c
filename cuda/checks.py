"""What every kernel must compute, against Python's integers: for tests, and before measuring."""

from __future__ import annotations

import random
from collections.abc import Callable

import device


def moduli(bits: int) -> list[int]:
    """Full length, all ones, just above a power of two, shorter ones, and a toy."""
    r = random.Random(bits)
    return [
        r.getrandbits(bits) | 1 | 1 << (bits - 1),
        (1 << bits) - 1,
        (1 << (bits - 1)) + 1,
        r.getrandbits(bits - 300) | 1 | 1 << (bits - 301),
        3,
    ]


def operands(ring: device.Ring, root: int, count: int, seed: int) -> list[int]:
    """Random numbers, the edges of the modulus and of its digits among them."""
    m, r = ring.modulus, random.Random(seed)
    edges = [0, 1, m - 1, m - 2, root - 1, root, root + 1, m - root, m // 2, (1 << 32) - 1, 1 << 32]
    edges = [e % m for e in edges]
    return (edges + [r.randrange(m) for _ in range(count)])[:count]


def numbers_enter_and_leave_and_multiply(ring: device.Ring, root: int) -> None:
    """Numbers come back as they went, and products are right, for any count."""
    m = ring.modulus
    for count in (1, 5, 23):
        a, b = operands(ring, root, count, 1), operands(ring, root, count, 2)[::-1]
        x, y = ring.enter(a), ring.enter(b)
        assert ring.leave(x) == a
        assert ring.leave(ring.multiply(x, y)) == [i * j % m for i, j in zip(a, b)]


def all_pairs_of_edges_multiply(ring: device.Ring, root: int) -> None:
    """Products of the edges of the range."""
    edges = operands(ring, root, 11, 0)
    pairs = [(a, b) for a in edges for b in edges]
    x, y = (ring.enter([p[i] for p in pairs]) for i in (0, 1))
    assert ring.leave(ring.multiply(x, y)) == [a * b % ring.modulus for a, b in pairs]


def squarings(ring: device.Ring, root: int) -> None:
    """One squaring and several in a row."""
    a = operands(ring, root, 13, 3)
    for times in (1, 2, 5):
        steps = [(times, 0, 0, device.NO_PRODUCT)]
        got = ring.leave(ring.evaluate(13, None, steps, start=ring.enter(a)))
        assert got == [pow(x, 1 << times, ring.modulus) for x in a]


def exponentiation_with_exponents_of_each_and_with_one_for_all(
    ring: device.Ring, root: int
) -> None:
    """Tables of powers and windows over them."""
    a = operands(ring, root, 12, 4)
    x = ring.enter(a)
    for bits, window in ((1, 1), (33, 5), (70, 4)):
        r = random.Random(bits)
        e = [0, (1 << bits) - 1, 1, *(r.getrandbits(bits) for _ in range(9))]
        table = ring.tables(x, window)
        steps, slots = device.power_steps(bits, window), list(range(12))

        for exponents, strides in ((e, (1, 0)), ([e[3]], (0, 0))):
            out = ring.evaluate(
                12,
                table,
                steps,
                window=window,
                slots=slots,
                exponents=exponents,
                exponent_bits=bits,
                strides=strides,
            )
            each = exponents if len(exponents) > 1 else exponents * 12
            assert ring.leave(out) == [pow(b, k, ring.modulus) for b, k in zip(a, each)]


def combs(ring: device.Ring, root: int) -> None:
    """One base, a table for each window, no squaring."""
    m, bits, window = ring.modulus, 43, 3
    base = operands(ring, root, 12, 5)[11]
    digits = -(-bits // window)
    bases = ring.enter([pow(base, 1 << window * j, m) for j in range(digits)])
    table = ring.tables(bases, window)
    e = [random.Random(i).getrandbits(bits) for i in range(9)]
    steps = [(0, 0, j << window, j * window) for j in range(digits)]
    got = ring.evaluate(
        9, table, steps, window=window, exponents=e, exponent_bits=bits, strides=(1, 0)
    )
    assert ring.leave(got) == [pow(base, k, m) for k in e]


def products_of_powers_over_shared_tables_that_begin_anywhere(ring: device.Ring, root: int) -> None:
    """Straus: what matrix products are."""
    m, bits, window, columns, outputs = ring.modulus, 21, 4, 3, 7
    bases, start = operands(ring, root, 12, 6)[8:], operands(ring, root, 12, 7)[8:]
    table = ring.tables(ring.enter(bases), window, ring.enter(start))
    r = random.Random(8)
    slots = [r.randrange(4) for _ in range(outputs * columns)]
    e = [r.getrandbits(bits) for _ in slots]
    digits = -(-bits // window)
    steps = [
        (window if t == 0 and j < digits - 1 else 0, t, 0, j * window)
        for j in reversed(range(digits))
        for t in range(columns)
    ]
    got = ring.evaluate(
        outputs,
        table,
        steps,
        window=window,
        slots=slots,
        columns=columns,
        exponents=e,
        exponent_bits=bits,
        strides=(columns, 1),
    )
    # Every window multiplies by its power of `start` once more.
    repeated = sum(1 << window * j for j in range(digits))
    for k, value in enumerate(ring.leave(got)):
        want = 1
        for t in range(columns):
            i = slots[columns * k + t]
            want = want * pow(start[i], repeated, m) * pow(bases[i], e[columns * k + t], m) % m
        assert value == want


def sums_are_products_without_digits(ring: device.Ring, root: int) -> None:
    """A window of no bits multiplies by the row itself."""
    a = operands(ring, root, 12, 9)
    slots = [(5 * k + t) % 12 for k in range(4) for t in range(6)]
    steps = [(0, t, 0, 0) for t in range(6)]
    got = ring.leave(ring.evaluate(4, ring.enter(a), steps, slots=slots, columns=6))
    for k in range(4):
        want = 1
        for i in slots[6 * k : 6 * k + 6]:
            want = want * a[i] % ring.modulus
        assert got[k] == want


def gathering_copies_whole_numbers(ring: device.Ring, root: int) -> None:
    """Any order, with repeats."""
    a = operands(ring, root, 12, 10)
    indices = [11, 0, 0, 3, 7]
    driver = ring.kernels.driver
    out = ring.memory(len(indices))
    where = device.Memory(driver, len(indices)).write(indices)
    # One thread copies four words: launch() counts in groups, so say how many.
    groups = -(-len(indices) * ring.words // 4 // ring.kernels.threads)
    name = f"any_{ring.kernels.bits}_gather"
    source = ring.enter(a)
    ring.kernels.launch(name, groups, out, source, where, ring.words, len(indices))
    assert ring.leave(out) == [a[i] for i in indices]


CHECKS: list[Callable[[device.Ring, int], None]] = [
    numbers_enter_and_leave_and_multiply,
    all_pairs_of_edges_multiply,
    squarings,
    exponentiation_with_exponents_of_each_and_with_one_for_all,
    combs,
    products_of_powers_over_shared_tables_that_begin_anywhere,
    sums_are_products_without_digits,
    gathering_copies_whole_numbers,
]
