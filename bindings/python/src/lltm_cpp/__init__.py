"""Paillier arithmetic on ``torch.int64`` tensors: a drop-in for the native module of that name.

``import lltm_cpp as ops`` takes the place of ``ops = load(name="lltm_cpp", ...)``; the names,
their arguments and results are the same, and keys may have any size. Public keys are lists
``[n, g, n2]``, private ones ``[p, p2, q, q2, hp, hq, mu, lambda, n, n2]``, of Python integers.

Up to 31 bits of n, elements are the ciphertexts themselves (and protect nothing). Above, they are
*references* into a store of this process, numbers from 2^62 up, which reshape, repeat, index,
stack and copy like any others; arithmetic on them is noticed when the result is used. An element
below 2^62 is a residue itself: 1 is a trivial encryption of 0. Unused ciphertexts are freed by
themselves, see :func:`collect`. docs/pytorch.md has the rest, and what the protocols of this
layout do not hide.

Operands may have any shape, broadcast as torch does, and also be lists or single integers. All
errors are subclasses of the built-in ones: ValueError for values and shapes, TypeError for types,
OverflowError for numbers that do not fit, RuntimeError for references that lead nowhere.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any

import torch

from smlp._native import BYTES, Handle, lib, take_bytes, unsigned
from smlp.errors import ShapeError

from . import _keys
from ._keys import InsecureKeyWarning
from ._store import (
    FIRST_REFERENCE,
    Reference,
    call,
    collect,
    handle,
    is_reference,
    scalar,
    store_size,
)
from ._warnings import warn
from ._words import floored, integer, numbers, plaintexts, shape_of_both, together, words

__all__ = [
    "InsecureKeyWarning",
    "Reference",
    "collect",
    "d_test_",
    "decrypt",
    "decrypt_s",
    "div_enc",
    "dummy_matmul",
    "encrypt",
    "encrypt_s",
    "gmp_sign",
    "modular_add",
    "modular_mul",
    "modular_pow",
    "modular_sub",
    "modular_sum",
    "mul_enc",
    "mul_enc2",
    "pcs_keys",
    "retrieve_matmul",
    "retrieve_mul",
    "store_size",
    "sum_enc",
    "test",
    "test_",
]


def pcs_keys(modsize: int = 12) -> list[list[int]]:
    """A new key pair, ``[public, private]``; ``modsize`` is the number of bits of n.

    6 to 31, or even from 32 on. Below 2048 they protect nothing.
    """
    return list(_keys.generate(modsize))


def encrypt(z: Any, public: Any) -> torch.Tensor:
    """Fresh encryptions of integers, element by element."""
    key, z = _keys.public(public), plaintexts(z, "z")
    _refuse_references(z)
    return _result(z.shape, lib.smlp_store_encrypt, key, z.data_ptr(), 8, z.numel())


def decrypt(z: Any, private: Any) -> torch.Tensor:
    """The plaintexts, from −n/2 to n/2. OverflowError if one does not fit 64 bits."""
    key, z = _keys.private(private), words(z, "z")
    each, data = _decrypted(key, z)
    if each > 8:
        raise OverflowError(
            f"a plaintext has more than 64 bits ({8 * each} are needed for the largest): a result "
            "outgrew int64, or the tensor holds numbers that were never encrypted"
        )
    return torch.frombuffer(bytearray(data), dtype=torch.int64).reshape(z.shape) if data else z


def encrypt_s(x: Any, public: Any) -> int:
    """A fresh encryption of a single integer, which may have any size below n/2."""
    key, x = _keys.public(public), integer(x, "x")
    if is_reference(x):
        raise ValueError("x is a ciphertext already")
    out = torch.empty(1, dtype=torch.int64)
    call(lib.smlp_store_encrypt, key, *numbers([x]), out.data_ptr())
    return scalar(int(out[0]))


def decrypt_s(x: Any, private: Any) -> int:
    """The plaintext of a single ciphertext, an integer of any size below n/2."""
    key, x = _keys.private(private), words(integer(x, "x"), "x")
    return int.from_bytes(_decrypted(key, x)[1], "little", signed=True)


def modular_mul(z: Any, other: Any, module: int, q: int = 1) -> torch.Tensor:
    """``z_i · other mod module``, then floor-divided by q if q > 1.

    With ``module = n2`` and ``other = encrypt_s(r, public)``, encryptions of ``z_i + r``. Under
    keys of 32 bits and more a q there is ignored, with a warning: dividing a ciphertext destroys
    it.
    """
    module, q = integer(module, "module"), integer(q, "q")
    if module < 1 or q < 1:
        raise ValueError(f"module and q are at least 1, got {module} and {q}")
    z, other = words(z, "z"), words(other, "other")
    z, other = together(z, other)
    shape, key = shape_of_both(z, other), _keys.of_square(module)
    if key is not None:
        if q > 1:
            warn(
                f"modular_mul does not divide ciphertexts by q = {q}: that would destroy them; "
                "divide products in mul_enc",
                RuntimeWarning,
            )
        return _of_two(lib.smlp_store_add, shape, key, z, other)
    for operand in (z, other):
        if operand.numel() and int(operand.max()) >= FIRST_REFERENCE:
            raise ValueError("the operands are references, but module is not the n2 of their key")
    left, right = (x.expand(shape).flatten().tolist() for x in (z, other))
    products = [a * b % module // q for a, b in zip(left, right)]
    if module > FIRST_REFERENCE and max(products, default=0) >= 1 << 63:
        raise OverflowError("a product modulo this module does not fit 64 bits")
    return torch.tensor(products, dtype=torch.int64).reshape(shape)


def modular_sum(z: Any, public: Any) -> int:
    """An encryption of the sum of all elements, as an integer that fits an int64 tensor."""
    key, z = _keys.public(public), words(z, "z")
    out = _result((1,), lib.smlp_store_sum, key, z.data_ptr(), z.numel(), 0)
    return scalar(int(out[0]))


def modular_add(x: Any, y: Any, public: Any) -> torch.Tensor:
    """Encryptions of ``x_i + y_i``."""
    return _sum_or_difference(lib.smlp_store_add, x, y, public)


def modular_sub(x: Any, y: Any, public: Any) -> torch.Tensor:
    """Encryptions of ``x_i − y_i``."""
    return _sum_or_difference(lib.smlp_store_subtract, x, y, public)


def modular_pow(x: Any, public: Any, r: Any) -> torch.Tensor:
    """Encryptions of ``x_i · r`` for a clear integer r of either sign, or a tensor of them."""
    key, x = _keys.public(public), words(x, "x")
    if isinstance(r, (torch.Tensor, list, tuple)):
        x, factors = together(x, plaintexts(r, "r"))
        shape = shape_of_both(x, factors)
        x = x.expand(shape).contiguous()
        operand = (factors.data_ptr(), 8, factors.numel())
        return _result(
            shape, lib.smlp_store_multiply_numbers, key, x.data_ptr(), x.numel(), *operand
        )
    operand = numbers([integer(r, "r")])
    return _result(x.shape, lib.smlp_store_multiply_numbers, key, x.data_ptr(), x.numel(), *operand)


def mul_enc(x: Any, y: Any, public: Any, private: Any, q: int = 1) -> torch.Tensor:
    """P2's half of a product: decrypts both, multiplies, floor-divides by q, encrypts."""
    key, q = _keys.private(private, public), _divisor(q)
    x, y = together(words(x, "x"), words(y, "y"))
    return _of_two(lib.smlp_store_p2_multiply, shape_of_both(x, y), key, x, y, q)


def mul_enc2(x: Any, y: Any, public: Any, private: Any) -> torch.Tensor:
    """``y_i`` to the power of the decrypted ``x_i``: encryptions of their product."""
    key = _keys.private(private, public)
    x, y = together(words(x, "x"), words(y, "y"))
    return _of_two(lib.smlp_store_p2_power, shape_of_both(x, y), key, x, y)


def retrieve_mul(a: Any, b: Any, m: Any, public: Any, r_a: Any, r_b: Any) -> torch.Tensor:
    """P1's half of a product: encryptions of ``m_i − r_a·a_i − r_b·b_i − r_a·r_b``.

    If a was masked with r and b with s, m is unmasked by r_a = s and r_b = r.
    """
    key = _keys.public(public)
    a, b, m = words(a, "a"), words(b, "b"), words(m, "m")
    pairs = [(x.data_ptr(), x.numel()) for x in (a, b, m)]
    return _result(m.shape, lib.smlp_store_unmask, key, *_flat(pairs), *_masks(r_a, r_b))


def dummy_matmul(x: Any, y: Any, public: Any, private: Any, q: int = 1) -> torch.Tensor:
    """P2's half of a matrix product: encryptions of ``x @ y``, each product floor-divided by q."""
    key, q = _keys.private(private, public), _divisor(q)
    x, y = words(x, "x"), words(y, "y")
    left = x.unsqueeze(0) if x.dim() == 1 else x
    right = y.unsqueeze(1) if y.dim() == 1 else y
    if left.dim() != 2 or right.dim() != 2 or left.shape[1] != right.shape[0]:
        raise ShapeError(f"no matrix product of {tuple(x.shape)} and {tuple(y.shape)}")
    (rows, inner), columns = left.shape, right.shape[1]
    shape = (*x.shape[:-1], *y.shape[1:])
    operands = (left.data_ptr(), right.data_ptr(), rows, inner, columns, q)
    return _result(shape, lib.smlp_store_p2_matmul, key, *operands)


def retrieve_matmul(
    sum_a: Any, sum_b: Any, m: Any, public: Any, r_a: Any, r_b: Any
) -> torch.Tensor:
    """P1's half of a matrix product: encryptions of
    ``m_ij − r_a·sum_a_i − r_b·sum_b_j − r_a·r_b``, for a 2-D m.

    sum_a has an element a row of m, sum_b one a column, both of any shape.
    """
    key = _keys.public(public)
    a, b, m = words(sum_a, "sum_a"), words(sum_b, "sum_b"), words(m, "m")
    if m.dim() != 2 or m.shape != (a.numel(), b.numel()):
        raise ShapeError(
            f"sum_a has {a.numel()} elements and sum_b {b.numel()}, but m is {tuple(m.shape)}"
        )
    operands = (a.data_ptr(), a.numel(), b.data_ptr(), b.numel(), m.data_ptr())
    return _result(m.shape, lib.smlp_store_unmask_matrix, key, *operands, *_masks(r_a, r_b))


def sum_enc(z: Any, axis: int | None, public: Any, private: Any) -> torch.Tensor:
    """P2's sum along an axis: decrypts, sums up, encrypts. None sums up everything."""
    key, z = _keys.private(private, public), words(z, "z")
    if axis is None:
        z, axis = z.flatten(), 0
    axis = integer(axis, "axis")
    if not -z.dim() <= axis < z.dim():
        raise ShapeError(f"there is no axis {axis} in {tuple(z.shape)}")
    rows = z.movedim(axis, -1).contiguous()
    if rows.shape[-1] == 0:
        return encrypt(torch.zeros(rows.shape[:-1], dtype=torch.int64), public)
    operands = (rows.data_ptr(), rows.numel(), rows.shape[-1])
    return _result(rows.shape[:-1], lib.smlp_store_p2_sum, key, *operands)


def div_enc(c: Any, d: Any, r: Any, public: Any) -> torch.Tensor:
    """P1's half of a division: encryptions of ``c_i + ⌊−r / d_i⌋``, also for float d."""
    key, c = _keys.public(public), words(c, "c")
    divisors = _list(d)
    masks = _list(r)
    if not {len(divisors), len(masks)} <= {1, c.numel()}:
        raise ShapeError(f"{len(divisors)} divisors, {len(masks)} masks, {c.numel()} ciphertexts")
    count = max(len(divisors), len(masks))
    divisors, masks = (x * count if len(x) == 1 else x for x in (divisors, masks))
    shifts = [floored(-integer(mask, "r"), by) for mask, by in zip(masks, divisors)]
    operand = numbers(shifts)
    return _result(c.shape, lib.smlp_store_add_numbers, key, c.data_ptr(), c.numel(), *operand)


def gmp_sign(x: Any) -> Any:
    """−1, 0 or 1: of a number, or of each element of a tensor."""
    if isinstance(x, torch.Tensor) and x.dim() > 0:
        return torch.sign(x)
    number = x if isinstance(x, float) else integer(x, "x")
    return (number > 0) - (number < 0)


def test(*_arguments: Any) -> None:
    """Prints a product that was computed under encryption."""
    public, private = pcs_keys(30)
    a, b = torch.tensor([3, -4]), torch.tensor([5, 6])
    product = mul_enc(encrypt(a, public), encrypt(b, public), public, private)
    print(f"{a.tolist()} * {b.tolist()} = {decrypt(product, private).tolist()}")


def test_(*_arguments: Any) -> None:
    """Prints a sum that was computed under encryption."""
    public, private = pcs_keys(30)
    a, b = torch.tensor([3, -4]), torch.tensor([5, 6])
    total = modular_add(encrypt(a, public), encrypt(b, public), public)
    print(f"{a.tolist()} + {b.tolist()} = {decrypt(total, private).tolist()}")


def d_test_(*_arguments: Any) -> None:
    """Prints numbers that were encrypted and decrypted."""
    public, private = pcs_keys(30)
    a = torch.tensor([3, -4, 0])
    print(f"{a.tolist()} comes back as {decrypt(encrypt(a, public), private).tolist()}")


def _sum_or_difference(function: Any, x: Any, y: Any, public: Any) -> torch.Tensor:
    key = _keys.public(public)
    x, y = together(words(x, "x"), words(y, "y"))
    return _of_two(function, shape_of_both(x, y), key, x, y)


def _of_two(
    function: Any, shape: Any, key: Handle, x: torch.Tensor, y: torch.Tensor, *rest: int
) -> torch.Tensor:
    operands = (x.data_ptr(), x.numel(), y.data_ptr(), y.numel())
    return _result(shape, function, key, *operands, *rest)


def _result(shape: Any, function: Callable[..., int], *arguments: Any) -> torch.Tensor:
    """What a function of the store writes, as a tensor."""
    out = torch.empty(shape, dtype=torch.int64)
    call(function, *arguments, out.data_ptr())
    return out


def _decrypted(key: Handle, z: torch.Tensor) -> tuple[int, bytes]:
    each, data = ctypes.c_size_t(), BYTES()
    results = ctypes.byref(each), ctypes.byref(data)
    lib.smlp_store_decrypt(handle(), key, z.data_ptr(), z.numel(), *results)
    return each.value, take_bytes(Handle(data))


def _refuse_references(z: torch.Tensor) -> None:
    large = z[z >= FIRST_REFERENCE].tolist()
    if any(map(is_reference, large)):
        raise ValueError("z holds ciphertexts already")


def _divisor(q: Any) -> int:
    return unsigned("q", integer(q, "q"), 64)


def _masks(r_a: Any, r_b: Any) -> list[Any]:
    return [part for r in (r_a, r_b) for part in numbers([integer(r, "mask")])[:2]]


def _flat(pairs: list[tuple[int, int]]) -> list[int]:
    return [part for pair in pairs for part in pair]


def _list(value: Any) -> list[Any]:
    if isinstance(value, torch.Tensor):
        return list(value.detach().flatten().tolist())
    return list(value) if isinstance(value, (list, tuple)) else [value]


assert sys.byteorder == "little", "words are handed over as they lie in memory"
