"""What callers pass, as int64 tensors and Python integers."""

from __future__ import annotations

import operator
from fractions import Fraction
from typing import Any

import torch

_EXACT_IN_F64 = 1 << 53


def words(value: Any, name: str) -> torch.Tensor:
    """Ciphertexts: a contiguous int64 tensor on the CPU, of the same shape.

    Tensors of any integer type, nested lists, numpy arrays and single integers.
    """
    tensor = _tensor(value, name)
    if tensor.is_floating_point() or tensor.is_complex():
        raise TypeError(
            f"{name} holds {tensor.dtype}, which cannot hold ciphertexts; keep them torch.int64"
        )
    return tensor.to(device="cpu", dtype=torch.int64).contiguous()


def plaintexts(value: Any, name: str) -> torch.Tensor:
    """Clear integers: as :func:`words`, and floats that are whole numbers."""
    tensor = _tensor(value, name)
    if tensor.is_complex():
        raise TypeError(f"{name} holds {tensor.dtype}; needed are integers")
    if tensor.is_floating_point():
        whole = (tensor == tensor.floor()) & (tensor.abs() <= _EXACT_IN_F64)
        if not bool(whole.all()):
            raise TypeError(
                f"{name} holds fractions, or floats too large to be exact; scale them and convert "
                "them with .long()"
            )
    return tensor.to(device="cpu", dtype=torch.int64).contiguous()


def _tensor(value: Any, name: str) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        return value.detach()
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise TypeError(
            f"{name} is no tensor of 64-bit integers: {type(value).__name__}: {error}"
        ) from error


def together(left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Two operands of one shape, broadcast as torch does."""
    if left.shape == right.shape or 1 in (left.numel(), right.numel()):
        return left, right
    try:
        left, right = torch.broadcast_tensors(left, right)
    except RuntimeError:
        raise ValueError(
            f"shapes {tuple(left.shape)} and {tuple(right.shape)} do not fit each other"
        ) from None
    return left.contiguous(), right.contiguous()


def shape_of_both(left: torch.Tensor, right: torch.Tensor) -> torch.Size:
    """The shape of the result of :func:`together`: a single element takes the other's."""
    if left.numel() == right.numel() == 1:
        return max(left.shape, right.shape, key=len)
    return right.shape if left.numel() == 1 else left.shape


def integer(value: Any, name: str) -> int:
    """A single integer of any size: an int, a whole float, a tensor with one element."""
    if isinstance(value, torch.Tensor):
        if value.numel() != 1:
            raise TypeError(f"{name} is a single number, got a tensor of {tuple(value.shape)}")
        value = value.item()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is an integer, got {value!r}") from None


def numbers(values: list[int]) -> tuple[bytes, int, int]:
    """Integers of any size as the library takes them: bytes, bytes of each, how many."""
    bits = max((value.bit_length() for value in values), default=0)
    each = bits // 8 + 1
    return (
        b"".join(value.to_bytes(each, "little", signed=True) for value in values),
        each,
        len(values),
    )


def floored(numerator: int, denominator: Any) -> int:
    """⌊numerator / denominator⌋, exact also for a float denominator."""
    if denominator == 0:
        raise ZeroDivisionError("division by 0")
    try:
        return numerator // Fraction(denominator)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"cannot divide by {denominator}") from error
