"""Tensors with torch's names over smlp tensors of either kind."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch

import smlp
from smlp.errors import ShapeError, UnsupportedError

from ._operations import _Operations, encrypted_operations, integer_operations, pallier_ops

if TYPE_CHECKING:
    from typing_extensions import Self

_current: list[pallier_ops] = []


def use(operations: Any) -> Any:
    """Makes these the operations of encrypted tensors that are made without naming any."""
    if not isinstance(operations, pallier_ops):
        raise UnsupportedError(f"expected pallier_ops, got {type(operations).__name__}")
    _current[:] = [operations]
    return operations


class _Tensor:
    """What both kinds share. ``q`` is the scale: integers stand for themselves divided by q."""

    # torch.Tensor + tensor comes here, through __torch_function__.
    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, tensor: Any, q: int | None = None, operations: Any = None) -> None:
        self.operations: Any = self._operations_for(q, operations)
        self.q: int = self.operations.q if q is None else operator.index(q)
        if isinstance(tensor, _Tensor):
            tensor = tensor._native
        if not isinstance(tensor, smlp.Tensor):
            tensor = self.operations.owned(tensor)
        self._check(tensor)
        self._native: Any = tensor

    @classmethod
    def _operations_for(cls, q: int | None, operations: Any) -> _Operations:
        raise NotImplementedError

    def _check(self, tensor: smlp.Tensor) -> None:
        raise NotImplementedError

    def _like(self, native: smlp.Tensor) -> Self:
        return type(self)(native, self.q, self.operations)

    def _operand(self, other: Any) -> Any:
        """Another operand's tensor; clear numbers are integers of the same scale."""
        if isinstance(other, _Tensor):
            if type(other) is not type(self):
                raise UnsupportedError("one operand is encrypted and the other is not")
            if other.q != self.q:
                raise smlp.ScaleError(f"one operand has scale {self.q}, the other {other.q}")
            return other._native
        return self.operations.owned(other)

    # --- what it is ---

    def tensor(self) -> Any:
        """What is inside: torch.int64 of clear numbers, an :class:`smlp.EncryptedTensor` else."""
        return self._native

    @property
    def shape(self) -> torch.Size:
        """Lengths of the axes."""
        return torch.Size(self._native.shape)

    def size(self, dim: int | None = None) -> Any:
        """The shape, or one of its lengths."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """Number of axes."""
        return int(self._native.ndim)

    def numel(self) -> int:
        """Number of elements."""
        return int(self._native.size)

    def __len__(self) -> int:
        return len(self._native)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(shape {tuple(self.shape)}, q {self.q})"

    def __bool__(self) -> NoReturn:
        raise UnsupportedError("a tensor has no truth value; decrypt it and compare its elements")

    # --- shapes ---

    def __getitem__(self, key: Any) -> Self:
        return self._like(self._native[_numpy_key(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        places = np.arange(self.numel()).reshape(tuple(self.shape))
        chosen = places[_numpy_key(key)]
        new = self._operand(value).broadcast_to(chosen.shape).flatten()
        # Each place takes its element from the old ones or, behind them, from the new ones.
        source = places.copy()
        source[_numpy_key(key)] = self.numel() + np.arange(chosen.size).reshape(chosen.shape)
        both = smlp.concatenate([self._native.flatten(), new])
        self._native = both[source.flatten()].reshape(tuple(self.shape))

    def reshape(self, *shape: Any) -> Self:
        """The same elements under another shape; one length may be −1."""
        return self._like(self._native.reshape(*_tuples(shape)))

    view = reshape

    def flatten(self) -> Self:
        """One axis with all elements."""
        return self._like(self._native.flatten())

    def permute(self, *axes: Any) -> Self:
        """Axis i of the result is axis ``axes[i]`` of this one."""
        return self._like(self._native.permute(*_tuples(axes)))

    def transpose(self, first: int, second: int) -> Self:
        """Two axes swapped."""
        axes = list(range(self.dim()))
        axes[first], axes[second] = axes[second], axes[first]
        return self.permute(axes)

    def t(self) -> Self:
        """All axes reversed."""
        return self._like(self._native.transpose())

    @property
    def T(self) -> Self:  # noqa: N802
        """All axes reversed."""
        return self.t()

    def squeeze(self, dim: int | None = None) -> Self:
        """Without an axis of length 1 (as torch, another one stays), or without all of them."""
        if dim is not None and self.shape[dim] != 1:
            return self
        return self._like(self._native.squeeze(dim))

    def unsqueeze(self, dim: int) -> Self:
        """With a new axis of length 1."""
        return self._like(self._native.unsqueeze(dim))

    def repeat(self, *times: Any) -> Self:
        """Tiled, as ``torch.Tensor.repeat``."""
        return self._like(self._native.repeat(*_tuples(times)))

    def expand(self, *shape: Any) -> Self:
        """Stretched to a shape."""
        return self._like(self._native.broadcast_to(*_tuples(shape)))

    def clone(self) -> Self:
        """A tensor of its own."""
        return self._like(self._native)

    def __copy__(self) -> Self:
        return self.clone()

    def __deepcopy__(self, _memo: Any) -> Self:
        return self.clone()

    def long(self) -> Self:
        """Itself: integers they are."""
        return self

    def to(self, *_arguments: Any, **_keywords: Any) -> Self:
        """Itself: there is one kind of elements, and they are where the library keeps them."""
        return self

    # --- arithmetic ---

    def __add__(self, other: Any) -> Self:
        return self._like(self.operations.add(self._native, self._operand(other)))

    __radd__ = __add__
    add = __add__

    def __sub__(self, other: Any) -> Self:
        return self._like(self.operations.sub(self._native, self._operand(other)))

    sub = __sub__

    def __rsub__(self, other: Any) -> Self:
        return self._like(self.operations.sub(self._operand(other), self._native))

    def __neg__(self) -> Self:
        return self._like(-self._native)

    def __mul__(self, other: Any) -> Self:
        """The product at scale q: both operands are at that scale, clear numbers too."""
        return self._like(self.operations.mul(self._native, self._operand(other), self.q))

    __rmul__ = __mul__
    mul = __mul__

    def matmul(self, other: Any) -> Self:
        """The matrix product at scale q."""
        return self._like(self.operations.matmul(self._native, self._operand(other), self.q))

    __matmul__ = matmul

    def __rmatmul__(self, other: Any) -> Self:
        return self._like(self.operations.matmul(self._operand(other), self._native, self.q))

    def div(self, divisor: Any, *, rounding_mode: str | None = None) -> Self:
        """``(x + r) // divisor``, r uniform below the divisor: off by less than 1, unbiased."""
        if rounding_mode != "floor":
            raise UnsupportedError(
                f"rounding_mode {rounding_mode!r}: only 'floor' is there, and means (x + r) // d"
            )
        return self._like(self.operations.div(self._native, _divisor(divisor)))

    def __floordiv__(self, divisor: Any) -> Self:
        return self.div(divisor, rounding_mode="floor")

    def __truediv__(self, _divisor: Any) -> NoReturn:
        raise UnsupportedError("integers have no true quotient; use torch.div with 'floor', or //")

    def sum(self, axis: int | None = None, dim: int | None = None) -> Self:
        """The sum along an axis, or of everything."""
        axis = dim if axis is None else axis
        return self._like(self.operations.sum(self._native, axis))

    def relu(self, val: int = 0) -> Self:
        """max(x, val)."""
        if val != 0:
            return self.max(self._like(self.operations.owned(val)))
        return self._like(self.operations.relu(self._native))

    def relu_with_derivative(self) -> tuple[Self, Self]:
        """max(x, 0), and its derivative at scale q: q where x ≥ 0, else 0."""
        value, bits = self.operations.relu_with_derivative(self._native)
        return self._like(value), self._like(bits * self.q)

    def max(self, other: Any = None) -> Self:
        """The larger of both, element by element; without another one, the largest element."""
        if other is not None:
            return self._like(self.operations.max(self._native, self._operand(other)))
        rest = self._native.flatten()
        if rest.size == 0:
            raise ShapeError("the largest of no elements")
        while rest.size > 1:
            half = rest.size // 2
            winners = self.operations.max(rest[:half], rest[half : 2 * half])
            rest = smlp.concatenate([winners, rest[2 * half :]]) if rest.size % 2 else winners
        return self._like(rest.reshape(()))

    # --- torch functions ---

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, arguments: Any = (), keywords: Any = None
    ) -> Any:
        """torch.div(t, d, rounding_mode="floor"), torch.cat([t, u]), clear + t and the like."""
        keywords = keywords or {}
        name = getattr(function, "__name__", str(function))
        if name in _JOINS:
            return _join(name, *arguments, **keywords)
        name = _NAMES.get(name, name)
        left, *rest = arguments
        if not isinstance(left, _Tensor):
            # clear ∘ ours: the reflected operator of ours.
            ours = next((x for x in rest if isinstance(x, _Tensor)), None)
            reflected = getattr(ours, _REFLECTED.get(name, ""), None)
            return reflected(left) if reflected is not None else NotImplemented
        if name not in _FUNCTIONS:
            raise UnsupportedError(
                f"torch.{name} is not there for {type(left).__name__}; there are "
                + ", ".join(sorted(_FUNCTIONS | _JOINS))
            )
        return getattr(left, name)(*rest, **keywords)


_JOINS = {"cat", "concat", "stack"}
_FUNCTIONS = {"add", "argmax", "clone", "div", "flatten", "matmul", "max", "mul", "neg", "permute"}
_FUNCTIONS |= {"relu", "reshape", "squeeze", "sub", "sum", "t", "transpose", "unsqueeze"}
_NAMES = {"multiply": "mul", "subtract": "sub", "mm": "matmul", "maximum": "max", "negative": "neg"}
_NAMES |= {"__add__": "add", "__radd__": "radd", "__rsub__": "rsub", "rsub": "rsub"}
_NAMES |= {"divide": "div", "floor_divide": "__floordiv__", "mv": "matmul"}
_REFLECTED = {"add": "__radd__", "sub": "__rsub__", "mul": "__rmul__", "matmul": "__rmatmul__"}
_REFLECTED |= {"max": "max"}


class EncryptedTensor(_Tensor):
    """Ciphertexts. Clear integers are encrypted when they come in, with the operations' key.

    ``operations`` are those of :func:`use` unless they are given.
    """

    @classmethod
    def _operations_for(cls, q: int | None, operations: Any) -> _Operations:
        if operations is None:
            if not _current:
                raise UnsupportedError(
                    "no operations yet: call use(encrypted_operations(bits, q)), or pass some"
                )
            operations = _current[0]
        if not isinstance(operations, pallier_ops):
            raise UnsupportedError(f"expected pallier_ops, got {type(operations).__name__}")
        return operations

    def _check(self, tensor: smlp.Tensor) -> None:
        if not isinstance(tensor, smlp.EncryptedTensor):
            raise UnsupportedError("an EncryptedTensor holds ciphertexts; use .encrypt()")

    def encrypt(self) -> Self:
        """Itself."""
        return self

    def decrypt(self) -> IntegerTensor:
        """The clear numbers. Needs operations with the private key."""
        return IntegerTensor(self.operations.decrypt(self._native), self.q)

    def _refuse_comparison(self, _other: Any) -> NoReturn:
        raise UnsupportedError(
            "comparing needs the plaintexts: use relu_with_derivative(), whose second result is "
            "encrypted, or max(other), or decrypt() first"
        )

    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _refuse_comparison

    def argmax(self, *_arguments: Any, **_keywords: Any) -> NoReturn:
        """Refused: positions are plaintexts."""
        raise UnsupportedError("argmax needs the plaintexts: decrypt() first, on the owner's side")


class IntegerTensor(_Tensor):
    """The same in the clear: the same operations, scale, rounding and bounds."""

    __hash__ = None

    @classmethod
    def _operations_for(cls, q: int | None, operations: Any) -> _Operations:
        if operations is None:
            return integer_operations() if q is None else integer_operations(operator.index(q))
        if isinstance(operations, encrypted_operations):
            return operations.twin()
        if not isinstance(operations, integer_operations):
            raise UnsupportedError(f"expected integer_operations, got {type(operations).__name__}")
        return operations

    def _check(self, tensor: smlp.Tensor) -> None:
        if not isinstance(tensor, smlp.IntegerTensor):
            raise UnsupportedError("an IntegerTensor holds clear numbers; use .decrypt()")

    def tensor(self) -> torch.Tensor:
        """The integers, as torch.int64."""
        return torch.from_numpy(self._native.integers())

    def encrypt(self, operations: Any = None) -> EncryptedTensor:
        """The same numbers, encrypted with the given operations or those of :func:`use`."""
        return EncryptedTensor(self.tensor(), self.q, operations)

    def decrypt(self) -> Self:
        """Itself."""
        return self

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> torch.Tensor:
        """Where the largest element is, as torch says."""
        return torch.argmax(self.tensor(), dim, keepdim)

    def __repr__(self) -> str:
        return f"IntegerTensor({self.tensor().tolist()}, q {self.q})"

    def _clear(self, other: Any) -> Any:
        return other.tensor() if isinstance(other, IntegerTensor) else other

    def __lt__(self, other: Any) -> torch.Tensor:
        return self.tensor() < self._clear(other)

    def __le__(self, other: Any) -> torch.Tensor:
        return self.tensor() <= self._clear(other)

    def __gt__(self, other: Any) -> torch.Tensor:
        return self.tensor() > self._clear(other)

    def __ge__(self, other: Any) -> torch.Tensor:
        return self.tensor() >= self._clear(other)

    def __eq__(self, other: Any) -> Any:
        return self.tensor() == self._clear(other)

    def __ne__(self, other: Any) -> Any:
        return self.tensor() != self._clear(other)


def _join(name: str, tensors: Sequence[Any], dim: int = 0, axis: int | None = None) -> Any:
    ours = next(x for x in tensors if isinstance(x, _Tensor))
    natives = [ours._operand(x) for x in tensors]
    join = smlp.stack if name == "stack" else smlp.concatenate
    return ours._like(join(natives, dim if axis is None else axis))


def _divisor(value: Any) -> int:
    """One integer; also as a float, or as a tensor whose elements are all the same."""
    if isinstance(value, torch.Tensor):
        distinct = value.unique()
        if distinct.numel() != 1:
            raise UnsupportedError("a tensor is divided by one number, not by one each")
        value = distinct.item()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    try:
        return operator.index(value)
    except TypeError:
        raise UnsupportedError(f"divisors are integers, got {value!r}") from None


def _numpy_key(key: Any) -> Any:
    if isinstance(key, tuple):
        return tuple(map(_numpy_key, key))
    return key.numpy() if isinstance(key, torch.Tensor) else key


def _tuples(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(values[0]) if len(values) == 1 and isinstance(values[0], (tuple, list)) else values
