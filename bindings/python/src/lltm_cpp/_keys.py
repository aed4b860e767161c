"""Keys as lists of Python integers, and the library's keys behind them."""

from __future__ import annotations

import math
import operator
from typing import Any, NamedTuple

from smlp._native import Handle, bytes_of, create, lib, unsigned
from smlp.errors import KeyMismatchError

from ._warnings import warn

_ALLOW_INSECURE = 1
_SECURE_BITS = 2048
# Keys remembered with all that speeds them up; older ones are made from their numbers again.
_REMEMBERED = 32
_MODULUS, _P, _Q, _HP, _HQ, _MU, _LAMBDA = range(7)


class InsecureKeyWarning(UserWarning):
    """A key that protects nothing is in use. Given once a process."""


class _Pair(NamedTuple):
    public: Handle
    private: Handle | None


_pairs: dict[int, _Pair] = {}
_warned = False


def generate(bits: Any) -> tuple[list[int], list[int]]:
    """A public and a private key, as lists."""
    private = create(lib.smlp_store_key_generate, unsigned("modsize", bits), _ALLOW_INSECURE)
    n, p, q, hp, hq, mu, lambda_ = (
        int.from_bytes(bytes_of(lib.smlp_store_key_number, private, which), "big")
        for which in (_MODULUS, _P, _Q, _HP, _HQ, _MU, _LAMBDA)
    )
    _remember(n, _Pair(create(lib.smlp_store_key_public, private), private))
    return [n, n + 1, n * n], [p, p * p, q, q * q, hp, hq, mu, lambda_, n, n * n]


def public(key: Any) -> Handle:
    """The key behind ``[n, g, n2]``."""
    return _of_modulus(_public_modulus(key)).public


def private(key: Any, public_key: Any = None) -> Handle:
    """The key behind ``[p, p2, q, q2, hp, hq, mu, lambda, n, n2]``, checked against the public one
    beside it."""
    what = "a private key is the list [p, p2, q, q2, hp, hq, mu, lambda, n, n2]"
    p, _, q, _, _, _, _, _, n, n2 = _numbers(key, 10, what)
    if min(p, q) < 2 or p * q != n or n * n != n2:
        raise ValueError("this private key is inconsistent: n is not p·q, or n2 not n²")
    if public_key is not None and _public_modulus(public_key) != n:
        raise KeyMismatchError("the public and the private key are of different pairs")
    known = _pairs.get(n)
    if known is not None and known.private is not None:
        return known.private
    factors = [(x, (x.bit_length() + 7) // 8) for x in (p, q)]
    flat = [part for x, length in factors for part in (x.to_bytes(length, "big"), length)]
    handle = create(lib.smlp_store_key_from_primes, *flat, _ALLOW_INSECURE)
    _remember(n, _Pair(create(lib.smlp_store_key_public, handle), handle))
    return handle


def of_square(module: int) -> Handle | None:
    """The key whose ciphertexts are modulo this, if they are references: n² from 2^62 on."""
    if module < 1 << 62:
        return None
    n = math.isqrt(module)
    return _of_modulus(n).public if n * n == module else None


def _public_modulus(key: Any) -> int:
    n, g, n2 = _numbers(key, 3, "a public key is the list [n, g, n2]")
    if n < 2 or n * n != n2 or g != n + 1:
        raise ValueError("this public key is inconsistent: g has to be n + 1, and n2 n²")
    return n


def _numbers(key: Any, count: int, what: str) -> list[int]:
    if isinstance(key, (str, bytes)) or not hasattr(key, "__len__") or len(key) != count:
        length = f" of {len(key)}" if hasattr(key, "__len__") else ""
        raise TypeError(f"{what}; got {type(key).__name__}{length}")
    return [operator.index(number) for number in key]


def _of_modulus(n: int) -> _Pair:
    known = _pairs.get(n)
    if known is None:
        length = (n.bit_length() + 7) // 8
        data = n.to_bytes(length, "big")
        foreign = create(lib.smlp_store_key_from_modulus, data, length, _ALLOW_INSECURE)
        known = _remember(n, _Pair(foreign, None))
    return known


def _remember(n: int, pair: _Pair) -> _Pair:
    global _warned  # noqa: PLW0603
    if n.bit_length() < _SECURE_BITS and not _warned:
        _warned = True
        warn(
            f"a key of {n.bit_length()} bits protects nothing; use {_SECURE_BITS} or more",
            InsecureKeyWarning,
        )
    while len(_pairs) >= _REMEMBERED:
        del _pairs[next(iter(_pairs))]
    _pairs[n] = pair
    return pair
