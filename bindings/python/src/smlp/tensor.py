"""Tensors: encrypted ones, and clear integers that behave the same.

A tensor is immutable. It stands for integers divided by 2^``scale``; every integer is below
2^``bound`` in magnitude. Operations follow numpy's broadcasting and track scale and bound. Views
(indexing, reshape, ...) copy no ciphertext. What needs no second party happens here; products of
two encrypted tensors, divisions and comparisons are methods of :class:`smlp.Session`.
"""

from __future__ import annotations

import ctypes
import operator
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from . import _arrays, _indexing
from ._native import (
    BYTES,
    TENSOR,
    Handle,
    NativeObject,
    bytes_of,
    create,
    filled,
    lib,
    read_only,
    signed,
    signed_array,
    sizes,
    take_bytes,
    unsigned,
    value_of,
)
from .errors import MalformedError, OutOfRangeError, UnsupportedError
from .keys import KeyPair, PrivateKey, PublicKey, private_handle, public_handle

if TYPE_CHECKING:
    from typing_extensions import Self

#: Widest masks, in bits of statistical security, that packed tensors have room for by default.
UPLOAD_SIGMA = 80


class Tensor(NativeObject):
    """What encrypted and clear tensors have in common. Made by :func:`smlp.encrypt` and
    :func:`smlp.encode`, not by calling the class."""

    # ndarray @ tensor, ndarray + tensor: numpy steps back and Python calls our operators.
    __array_ufunc__ = None
    # Equality is refused below; identity would make a poor hash for something like an array.
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, handle: Handle) -> None:
        if not isinstance(handle, Handle):
            raise UnsupportedError("make tensors with smlp.encrypt or smlp.encode")
        super().__init__(handle)

    # --- what it is ---

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        ndim = self.ndim
        shape = sizes("length", [0] * ndim)
        lib.smlp_tensor_shape(self._handle, shape, ndim)
        return tuple(shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return int(value_of(lib.smlp_tensor_ndim, self._handle))

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(value_of(lib.smlp_tensor_len, self._handle))

    @property
    def scale(self) -> int:
        """Fraction bits: the tensor stands for its integers divided by 2^scale."""
        return int(value_of(lib.smlp_tensor_scale, self._handle))

    @property
    def bound(self) -> int:
        """Bits that every integer fits, scale included: magnitudes are below 2^bound."""
        return int(value_of(lib.smlp_tensor_bound, self._handle))

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("a tensor without axes has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        kind = type(self).__name__
        return f"<smlp.{kind} shape {self.shape}, scale {self.scale}, bound {self.bound}>"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: Any) -> Self:
        return self

    # --- views ---

    def __getitem__(self, key: Any) -> Self:
        """As numpy: integers, slices, None, ``...``, and one integer array or boolean mask."""
        return self._same(_indexing.index(self._handle, self.shape, key))

    def reshape(self, *shape: Any) -> Self:
        """The same elements, row-major, under another shape; one length may be −1."""
        lengths = signed_array("length", _numbers(shape))
        return self._same(create(lib.smlp_tensor_reshape, self._handle, lengths, len(lengths)))

    def flatten(self) -> Self:
        """One axis with all elements."""
        return self.reshape(-1)

    def permute(self, *axes: Any) -> Self:
        """Axis i of the result is axis ``axes[i]`` of this one."""
        order = signed_array("axis", _numbers(axes))
        return self._same(create(lib.smlp_tensor_permute, self._handle, order, len(order)))

    def transpose(self, *axes: Any) -> Self:
        """All axes reversed, or in the given order (as numpy)."""
        if axes and axes != (None,):
            return self.permute(*axes)
        return self._same(create(lib.smlp_tensor_transpose, self._handle))

    @property
    def T(self) -> Self:  # noqa: N802
        """All axes reversed."""
        return self.transpose()

    def squeeze(self, axis: int | None = None) -> Self:
        """Without an axis of length 1, or without all of them."""
        if axis is None:
            return self._same(create(lib.smlp_tensor_squeeze_all, self._handle))
        return self._same(create(lib.smlp_tensor_squeeze, self._handle, signed("axis", axis)))

    def unsqueeze(self, axis: int) -> Self:
        """With a new axis of length 1 before position ``axis`` (−1: at the end)."""
        return self._same(create(lib.smlp_tensor_unsqueeze, self._handle, signed("axis", axis)))

    def broadcast_to(self, *shape: Any) -> Self:
        """Stretched to a shape, as ``numpy.broadcast_to``."""
        lengths = sizes("length", _numbers(shape))
        return self._same(create(lib.smlp_tensor_broadcast_to, self._handle, lengths, len(lengths)))

    def repeat(self, *times: Any) -> Self:
        """Tiled so many times along each axis, as ``torch.Tensor.repeat`` and ``numpy.tile``."""
        counts = sizes("repeat count", _numbers(times))
        return self._same(create(lib.smlp_tensor_repeat, self._handle, counts, len(counts)))

    def assume_bound(self, bits: int) -> Self:
        """The same tensor with another declared bound.

        Checked where the integers are clear. On ciphertexts a lower bound is a promise: breaking
        it corrupts results and weakens the masks.
        """
        return self._same(
            create(lib.smlp_tensor_assume_bound, self._handle, unsigned("bits", bits))
        )

    def as_scale(self, bits: int) -> Self:
        """The same integers, standing for themselves divided by 2^``bits`` from now on."""
        return self._same(create(lib.smlp_tensor_as_scale, self._handle, unsigned("bits", bits)))

    # --- arithmetic without a second party ---

    def __add__(self, other: Any) -> Tensor:
        return self._with_addend(lib.smlp_tensor_add, other, reflected=False)

    def __radd__(self, other: Any) -> Tensor:
        return self._with_addend(lib.smlp_tensor_add, other, reflected=True)

    def __sub__(self, other: Any) -> Tensor:
        return self._with_addend(lib.smlp_tensor_sub, other, reflected=False)

    def __rsub__(self, other: Any) -> Tensor:
        return self._with_addend(lib.smlp_tensor_sub, other, reflected=True)

    def __mul__(self, other: Any) -> Tensor:
        return self._with_factor(lib.smlp_tensor_mul, "multiply", other, reflected=False)

    def __rmul__(self, other: Any) -> Tensor:
        return self._with_factor(lib.smlp_tensor_mul, "multiply", other, reflected=True)

    def __matmul__(self, other: Any) -> Tensor:
        return self._with_factor(lib.smlp_tensor_matmul, "matmul", other, reflected=False)

    def __rmatmul__(self, other: Any) -> Tensor:
        return self._with_factor(lib.smlp_tensor_matmul, "matmul", other, reflected=True)

    def __neg__(self) -> Self:
        return self._same(create(lib.smlp_tensor_neg, self._handle))

    def __pos__(self) -> Self:
        return self

    def sum(self, axis: int | None = None) -> Self:
        """The sum along an axis, which disappears, or of everything (shape ())."""
        if axis is None:
            return self._same(create(lib.smlp_tensor_sum_all, self._handle))
        return self._same(create(lib.smlp_tensor_sum, self._handle, signed("axis", axis)))

    # --- what would have to look at the values ---

    def __bool__(self) -> NoReturn:
        raise UnsupportedError(f"a tensor has no truth value; {self._to_compare}")

    def _refuse_comparison(self, _other: Any) -> NoReturn:
        raise UnsupportedError(f"tensors cannot be compared with operators; {self._to_compare}")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse_comparison

    def _refuse_division(self, _other: Any) -> NoReturn:
        raise UnsupportedError(
            "tensors cannot be divided with operators; use session.divide(tensor, d), which rounds "
            "without bias, or session.rescale(tensor, bits)"
        )

    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = _refuse_division

    _to_compare = "decrypt first"

    # --- bytes ---

    def to_bytes(self) -> bytes:
        """Shape, scale, bound and elements, in a versioned binary format."""
        return bytes_of(lib.smlp_tensor_to_bytes, self._handle)

    @classmethod
    def from_bytes(cls, data: Any, key: PublicKey | None = None) -> Self:
        """Reads what :meth:`to_bytes` wrote. Encrypted tensors need their public key.

        Raises :class:`MalformedError` for anything else, also for the wrong kind of tensor when
        called on a subclass, and :class:`KeyMismatchError` for another key.
        """
        data = read_only(data)
        public = None if key is None else public_handle(key)
        tensor = wrap(create(lib.smlp_tensor_from_bytes, data, len(data), public))
        if not isinstance(tensor, cls):
            raise MalformedError(f"expected {cls.__name__}, these bytes hold {tensor!r}")
        return tensor

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes :meth:`to_bytes` to a file."""
        Path(path).write_bytes(self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str], key: PublicKey | None = None) -> Self:
        """Reads a file that :meth:`save` wrote; as :meth:`from_bytes`."""
        return cls.from_bytes(Path(path).read_bytes(), key)

    # --- helpers ---

    def _same(self, handle: Handle) -> Self:
        """A result of the same kind."""
        return type(self)(handle)

    def _with_addend(self, function: Any, other: Any, reflected: bool) -> Tensor:
        if isinstance(other, Tensor):
            operand = other._handle
        elif _arrays.is_clear(other):
            operand = _arrays.encode_addend(other, self.scale)
        else:
            return NotImplemented
        return _apply(function, self._handle, operand, reflected)

    def _with_factor(self, function: Any, name: str, other: Any, reflected: bool) -> Tensor:
        if isinstance(other, EncryptedTensor) and isinstance(self, EncryptedTensor):
            raise UnsupportedError(
                f"a product of two encrypted tensors needs both servers: use session.{name}(a, b)"
            )
        if isinstance(other, Tensor):
            operand = other._handle
        elif _arrays.is_clear(other):
            operand = _arrays.encode_factor(other)
        else:
            return NotImplemented
        return _apply(function, self._handle, operand, reflected)


class EncryptedTensor(Tensor):
    """Ciphertexts. ``+ -`` take encrypted and clear operands, ``* @`` clear ones."""

    _to_compare = "use session.relu(a - b) or session.maximum(a, b), or decrypt first"

    @property
    def key_id(self) -> str:
        """The id of the key it belongs to, in hexadecimal."""
        return filled(lib.smlp_tensor_key_id, self._handle, 32).hex()

    @property
    def values_per_ciphertext(self) -> int:
        """How many values share a ciphertext at most: 1 unless the tensor is packed."""
        return int(value_of(lib.smlp_tensor_values_per_ciphertext, self._handle))

    def decrypt(self, private: PrivateKey) -> np.ndarray:
        """The numbers: float64 where scale > 0, int64 where scale is 0.

        Raises :class:`KeyMismatchError` for another key and :class:`OutOfRangeError` for integers
        beyond 64 bits.
        """
        return self.decrypt_tensor(private).numpy()

    def decrypt_tensor(self, private: PrivateKey) -> IntegerTensor:
        """The clear tensor with the same shape, scale, bound and integers."""
        return IntegerTensor(create(lib.smlp_tensor_decrypt, self._handle, private_handle(private)))

    def ciphertexts(self) -> np.ndarray:
        """The raw ciphertexts as an object array of Python integers, for other software."""
        each = ctypes.c_size_t()
        pointer = BYTES()
        lib.smlp_tensor_to_ciphertexts(self._handle, ctypes.byref(each), ctypes.byref(pointer))
        data, width = take_bytes(Handle(pointer)), each.value
        numbers = np.empty(self.size, dtype=object)
        for i in range(self.size):
            numbers[i] = int.from_bytes(data[i * width : (i + 1) * width], "big")
        return numbers.reshape(self.shape)

    @classmethod
    def from_ciphertexts(
        cls, key: PublicKey, numbers: Any, scale: int = 0, bound_bits: int = 56
    ) -> EncryptedTensor:
        """Ciphertexts of other software under the same modulus (generator N + 1).

        ``numbers`` is an array or nested list of Python integers. Their plaintexts are taken as
        integers below 2^bound_bits in magnitude that stand for themselves divided by 2^scale; in
        python-paillier's terms the exponent −e (base 16) is the scale 4·e. Raises
        :class:`MalformedError` or :class:`InvalidArgumentError` for what is no ciphertext.
        """
        public = public_handle(key)
        array = np.asarray(numbers, dtype=object)
        width = (2 * key.bits + 7) // 8
        try:
            data = b"".join(operator.index(number).to_bytes(width, "big") for number in array.flat)
        except OverflowError as error:
            raise OutOfRangeError(f"a ciphertext is an integer from 0 to 2^{8 * width}") from error
        shape, bound = sizes("length", array.shape), _arrays.declared_bound(bound_bits)
        form = (shape, len(shape), unsigned("scale", scale), bound)
        function = lib.smlp_tensor_from_ciphertexts
        return cls(create(function, data, len(data), width, *form, public))

    def __array__(self, *_arguments: Any, **_keywords: Any) -> NoReturn:
        raise UnsupportedError("an encrypted tensor is no numpy array; decrypt it first")


class IntegerTensor(Tensor):
    """Clear fixed-point integers: the twin of an encrypted tensor, same operations and integers."""

    _to_compare = "use .numpy()"

    def numpy(self) -> np.ndarray:
        """The numbers: float64 where scale > 0, int64 where scale is 0."""
        if self.scale == 0:
            return self.integers()
        return self._copied(lib.smlp_tensor_to_f64, np.float64)

    def integers(self) -> np.ndarray:
        """The integers themselves as int64, scale not applied.

        Raises :class:`OutOfRangeError` if one does not fit.
        """
        return self._copied(lib.smlp_tensor_to_i64, np.int64)

    def encrypt(
        self,
        key: PublicKey | PrivateKey | KeyPair,
        *,
        packed: bool = False,
        sigma: int = UPLOAD_SIGMA,
    ) -> EncryptedTensor:
        """Encrypts the integers as they are. The private key does the same, faster.

        ``packed`` and ``sigma`` as for :func:`encrypt`.
        """
        if isinstance(key, KeyPair):
            key = key.private
        plus = (unsigned("sigma", sigma),) if packed else ()
        if isinstance(key, PrivateKey):
            single = lib.smlp_tensor_encrypt_with_private_key
            many, handle = lib.smlp_tensor_encrypt_packed_with_private_key, private_handle(key)
        else:
            single = lib.smlp_tensor_encrypt
            many, handle = lib.smlp_tensor_encrypt_packed, public_handle(key)
        function = many if packed else single
        return EncryptedTensor(create(function, self._handle, handle, *plus))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("the numbers are inside the library and have to be copied")
        return self.numpy().astype(dtype, copy=False)

    def _copied(self, function: Any, dtype: Any) -> np.ndarray:
        out = np.empty(self.shape, dtype=dtype)
        function(self._handle, out.ctypes.data, out.size)
        return out


def wrap(handle: Handle) -> Tensor:
    """The Python object for a tensor of either kind."""
    encrypted = value_of(lib.smlp_tensor_is_encrypted, handle)
    return EncryptedTensor(handle) if encrypted else IntegerTensor(handle)


def tensor_handle(tensor: Any) -> Handle:
    """The handle of a tensor; says so when the caller passed something else."""
    if not isinstance(tensor, Tensor):
        raise UnsupportedError(
            f"expected an smlp tensor, got {type(tensor).__name__}; use smlp.encrypt or smlp.encode"
        )
    return tensor._handle


def encode(
    array: Any, fraction_bits: int | None = None, bound_bits: int | None = None
) -> IntegerTensor:
    """A clear tensor from an array of floats, integers or booleans.

    Floats are rounded to ``fraction_bits`` fraction bits (default 16, at most 64). Integers and
    booleans keep scale 0 unless ``fraction_bits`` is given. ``bound_bits`` declares how large the
    scaled integers may be (default 40 for floats, 56 for integers).

    Raises :class:`OutOfRangeError` or :class:`NotFiniteError` naming the element that does not
    fit, :class:`UnsupportedError` for complex numbers, objects and strings.
    """
    return IntegerTensor(_arrays.encode(array, fraction_bits, bound_bits))


def encode_integers(array: Any, scale: int, bound_bits: int | None = None) -> IntegerTensor:
    """A clear tensor from fixed-point integers: the numbers are ``array / 2**scale``.

    The bound is the smallest that fits unless it is given.
    """
    return IntegerTensor(_arrays.encode_raw(array, scale, bound_bits))


def encrypt(
    key: PublicKey | PrivateKey | KeyPair,
    array: Any,
    fraction_bits: int | None = None,
    bound_bits: int | None = None,
    *,
    packed: bool = False,
    sigma: int = UPLOAD_SIGMA,
) -> EncryptedTensor:
    """Encrypts an array; arguments and errors as for :func:`encode`.

    A private key or a pair does the same faster than a public key. With ``packed``, many values
    of the last axis share a ciphertext, (bits of the key − 2) // (bound_bits + sigma + 2): what to
    use for training data. Packed tensors are decrypted, saved, cut into rows and used in sessions
    as others are; local sums and products with clear arrays need ``session.unpack`` first.
    ``sigma`` is the widest mask, in bits of statistical security, that P1 will use on them: it
    follows from what P1 promises; the default serves trainings that show P2 up to 2^39 values.
    """
    return encode(array, fraction_bits, bound_bits).encrypt(key, packed=packed, sigma=sigma)


def concatenate(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Tensors of equal scale one after another along an axis they all have."""
    return _joined(lib.smlp_tensor_concatenate, tensors, axis)


def stack(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Tensors of equal shape and scale along a new axis."""
    return _joined(lib.smlp_tensor_stack, tensors, axis)


def _joined(function: Any, tensors: Sequence[Tensor], axis: int) -> Tensor:
    handles = [tensor_handle(tensor) for tensor in tensors]
    pointers = (TENSOR * len(handles))(*(handle._as_parameter_ for handle in handles))
    return wrap(create(function, pointers, len(handles), signed("axis", axis)))


def _apply(function: Any, left: Handle, right: Handle, reflected: bool) -> Tensor:
    return wrap(create(function, right, left) if reflected else create(function, left, right))


def _numbers(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The numbers of ``f(2, 3)`` or ``f((2, 3))``."""
    if len(values) == 1 and hasattr(values[0], "__len__"):
        return tuple(values[0])
    return values
