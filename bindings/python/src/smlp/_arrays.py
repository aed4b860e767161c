"""Clear numbers on their way into the library: what is accepted, at which scale, with which bound.

Whatever numpy can hold exactly as a float or a 64-bit integer is accepted, and torch tensors are
taken as numpy arrays (torch is never imported here). Everything else is refused by name instead
of being converted in silence.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from ._native import Handle, create, lib, sizes, unsigned
from .errors import BoundError, InvalidArgumentError, OutOfRangeError, ScaleError, UnsupportedError

#: Fraction bits of floats when the caller names none.
DEFAULT_FRACTION_BITS = 16
#: The largest bound of clear integers.
MAX_BOUND = 126
_EXACT_IN_F64 = 1 << 53


def as_array(value: Any) -> np.ndarray:
    """Floats (float32 or float64) or int64, C-contiguous.

    Raises :class:`UnsupportedError` for other types, :class:`OutOfRangeError` for unsigned
    integers from 2^63.
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    array = np.asarray(value)
    kind = array.dtype.kind
    if kind == "f" and array.dtype.itemsize <= 8:
        wanted: Any = np.float64 if array.dtype.itemsize == 8 else np.float32
    elif kind in "bi":
        wanted = np.int64
    elif kind == "u":
        if array.size and int(array.max()) >= 1 << 63:
            raise OutOfRangeError(f"{array.max()} does not fit a signed 64-bit integer")
        wanted = np.int64
    else:
        hint = " (integers beyond 64 bits become objects)" if kind == "O" else ""
        raise UnsupportedError(
            f"arrays of {array.dtype} are not supported{hint}; use floats up to 64 bits, "
            "integers or booleans"
        )
    return np.asarray(array, dtype=wanted, order="C")


def is_clear(value: Any) -> bool:
    """Whether an operand of an operator is something that :func:`as_array` looks at."""
    torch = sys.modules.get("torch")
    numeric = isinstance(value, (bool, int, float, complex, np.ndarray, np.generic, list, tuple))
    return numeric or (torch is not None and isinstance(value, torch.Tensor))


def encode(value: Any, fraction_bits: int | None, bound_bits: int | None) -> Handle:
    """A clear tensor: floats at ``fraction_bits`` (default 16), integers at 0 unless it is given.

    ``bound_bits`` None is the library's default: 40 for floats, 56 for integers.
    """
    array = as_array(value)
    bound = declared_bound(bound_bits)
    if array.dtype.kind == "i":
        if not fraction_bits:
            return _create(lib.smlp_tensor_from_i64, array, bound)
        array = _exact_floats(array)
    bits = DEFAULT_FRACTION_BITS if fraction_bits is None else fraction_bits
    bits = unsigned("fraction_bits", bits)
    function = lib.smlp_tensor_from_f32 if array.itemsize == 4 else lib.smlp_tensor_from_f64
    return _create(function, array, bits, bound)


def encode_raw(value: Any, scale: int, bound_bits: int | None) -> Handle:
    """A clear tensor of integers that are fixed-point numbers already."""
    array = as_array(value)
    if array.dtype.kind != "i":
        raise UnsupportedError(f"raw fixed-point numbers are integers, got {array.dtype}")
    bound = tight_bound(array, 0) if bound_bits is None else bound_bits
    format_ = unsigned("scale", scale), declared_bound(bound)
    return _create(lib.smlp_tensor_from_raw, array, *format_)


def encode_addend(value: Any, scale: int) -> Handle:
    """A clear operand of + and −: at the scale of the tensor it meets, with the tightest bound."""
    array = as_array(value)
    if scale == 0 and array.dtype.kind == "f":
        fractions = np.isfinite(array) & (np.floor(array) != array)
        if fractions.any():
            raise ScaleError(
                "the tensor holds integers (scale 0) and the other operand fractions, which would "
                "be rounded away; encrypt with fraction_bits to compute with fractions"
            )
    return encode(array, scale, tight_bound(array, scale))


def encode_factor(value: Any) -> Handle:
    """A clear operand of * and @: floats at 16 fraction bits, integers at 0, the tightest bound."""
    array = as_array(value)
    scale = DEFAULT_FRACTION_BITS if array.dtype.kind == "f" else 0
    return encode(array, scale, tight_bound(array, scale))


def tight_bound(array: np.ndarray, scale: int) -> int:
    """The smallest bound, in bits and with the scale included, that holds every element."""
    if array.size == 0:
        return 1
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        # The library refuses it, naming the element.
        return MAX_BOUND
    largest = max(abs(array.max().item()), abs(array.min().item()))
    numerator, denominator = largest.as_integer_ratio()
    # Rounding may reach the next integer, and with it one more bit.
    bound = max(1, int(-((-numerator << scale) // denominator)).bit_length())
    if bound > MAX_BOUND:
        raise BoundError(
            f"{largest} at {scale} fraction bits needs {bound} bits, at most {MAX_BOUND} fit"
        )
    return bound


def declared_bound(bits: int | None) -> int:
    """A bound as the library takes it: 0 stands for its default, so a caller's 0 is refused."""
    if bits is None:
        return 0
    if bits == 0:
        raise InvalidArgumentError("bound_bits is 0; the smallest bound is 1 bit")
    return unsigned("bound_bits", bits)


def _exact_floats(array: np.ndarray) -> np.ndarray:
    """Integers that get fraction bits go through float64, which must hold them."""
    if array.size and max(int(array.max()), -int(array.min())) > _EXACT_IN_F64:
        raise OutOfRangeError(
            "integers above 2^53 cannot be given fraction bits; encode them at scale 0"
        )
    return array.astype(np.float64)


def _create(function: Any, array: np.ndarray, *rest: int) -> Handle:
    """Calls a function that takes data, length, shape and dimensions first."""
    shape = sizes("shape", array.shape)
    return create(function, array.ctypes.data, array.size, shape, array.ndim, *rest)
