"""What both parties do together, on smlp tensors of integers (scale 0).

The names are those of the layout; masks, comparison and rounding are smlp's protocols.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import smlp
from smlp.errors import InvalidArgumentError, UnsupportedError

#: Bits that values are promised to fit after every operation.
DEFAULT_BOUND_BITS = 44


class P1(smlp.P1):
    """The cloud: has the public key, computes, draws the masks."""

    def __init__(self, key: smlp.PublicKey, security: int | None = None, **promise: Any) -> None:
        super().__init__(key, security, **promise)
        self.key = key


class P2(smlp.P2):
    """The key holder: answers P1's masked questions."""


class _Operations:
    """Operations of either kind. Operands broadcast; ``q`` divides products.

    Every result is promised to fit ``bound_bits`` bits, which :class:`integer_operations` checks
    and encrypted ones cannot: tune in the clear first.
    """

    def __init__(self, session: Any, q: int, bound_bits: int) -> None:
        if q < 1 or bound_bits > 52:
            raise InvalidArgumentError(f"q is at least 1, bound_bits at most 52: {q}, {bound_bits}")
        self.session, self.q, self.bound_bits = session, q, bound_bits

    def add(self, a: smlp.Tensor, b: smlp.Tensor) -> smlp.Tensor:
        """A + b."""
        return self._kept(a + b)

    def sub(self, a: smlp.Tensor, b: smlp.Tensor) -> smlp.Tensor:
        """A − b."""
        return self._kept(a - b)

    def mul(self, a: smlp.Tensor, b: smlp.Tensor, q: int = 1) -> smlp.Tensor:
        """A · b / q, element by element."""
        return self.div(self.session.multiply(a, b), q)

    def matmul(self, a: smlp.Tensor, b: smlp.Tensor, q: int = 1) -> smlp.Tensor:
        """A @ b / q; the sum is divided, not its terms."""
        return self.div(self.session.matmul(a, b), q)

    def max(self, a: smlp.Tensor, b: smlp.Tensor) -> smlp.Tensor:
        """The larger of both, element by element."""
        return self._kept(self.session.maximum(a, b))

    def relu(self, a: smlp.Tensor) -> smlp.Tensor:
        """max(a, 0)."""
        return self._kept(self.session.relu(a))

    def relu_with_derivative(self, a: smlp.Tensor) -> tuple[smlp.Tensor, smlp.Tensor]:
        """max(a, 0), and 1 where a ≥ 0, else 0."""
        value, derivative = self.session.relu_with_derivative(a)
        return self._kept(value), self.single(derivative)

    def div(self, a: smlp.Tensor, d: int) -> smlp.Tensor:
        """(a + r) // d with r uniform below d; d is an integer other than 0."""
        if d == 0:
            raise ZeroDivisionError("division by 0")
        quotient = a if abs(d) == 1 else self.session.divide(a, abs(d))
        return self._kept(-quotient if d < 0 else quotient)

    def sum(self, a: smlp.Tensor, axis: int | None = None) -> smlp.Tensor:
        """The sum along an axis, or of everything."""
        return self._kept(a.sum(axis))

    def owned(self, values: Any) -> smlp.Tensor:
        """Clear integers as tensors of this kind."""
        raise NotImplementedError

    def single(self, tensor: smlp.Tensor) -> smlp.Tensor:
        """The same values, one a ciphertext, as local sums and shapes need them."""
        packed = isinstance(tensor, smlp.EncryptedTensor) and tensor.values_per_ciphertext > 1
        return self.session.unpack(tensor) if packed else tensor

    def _kept(self, tensor: smlp.Tensor) -> smlp.Tensor:
        tensor = self.single(tensor)
        if tensor.bound <= self.bound_bits:
            return tensor
        return tensor.assume_bound(self.bound_bits)


class integer_operations(_Operations):  # noqa: N801
    """The operations in the clear. With a record they repeat its calls: see
    :class:`smlp.ClearSession`."""

    def __init__(
        self,
        q: int = 2**10,
        bound_bits: int = DEFAULT_BOUND_BITS,
        record: smlp.Record | None = None,
    ) -> None:
        super().__init__(smlp.ClearSession(record), q, bound_bits)

    def owned(self, values: Any) -> smlp.Tensor:
        """Integers, checked against the bound."""
        return smlp.encode(_integers(values), bound_bits=self.bound_bits)


class pallier_ops(_Operations):  # noqa: N801
    """P1, and P2 here or behind a transport (see :class:`smlp.Session`).

    Without ``key``, the owner's private key, everything works but ``decrypt``. ``record`` keeps
    what the calls round with.
    """

    def __init__(
        self,
        p1: P1,
        p2: smlp.P2 | smlp.Transport | Callable[[bytes], bytes],
        q: int = 2**10,
        bound_bits: int = DEFAULT_BOUND_BITS,
        key: smlp.PrivateKey | None = None,
        record: smlp.Record | smlp.RecordFile | None = None,
    ) -> None:
        if not isinstance(p1, P1):
            raise UnsupportedError(f"expected an smlp.torch.P1, got {type(p1).__name__}")
        super().__init__(smlp.Session(p1, p2, record=record), q, bound_bits)
        self.p1, self.p2, self.key = p1, p2, key

    def encrypt(self, values: Any) -> smlp.EncryptedTensor:
        """Encrypts integers."""
        clear = smlp.encode(_integers(values), bound_bits=self.bound_bits)
        return clear.encrypt(self.p1.key if self.key is None else self.key)

    def decrypt(self, tensor: smlp.EncryptedTensor) -> torch.Tensor:
        """The integers, as torch.int64. The data owner's business."""
        if self.key is None:
            raise UnsupportedError("only the data owner, who has the private key, can decrypt")
        return torch.from_numpy(tensor.decrypt(self.key))

    def owned(self, values: Any) -> smlp.Tensor:
        """As :meth:`encrypt`."""
        return self.encrypt(values)


class encrypted_operations(pallier_ops):  # noqa: N801
    """A new key of so many bits, and owner, P1 and P2 in one process: for tuning and tests.

    They keep a record in memory (``record``), about a hundred bytes a call, for :meth:`twin`.
    """

    def __init__(
        self,
        bits: int = smlp.DEFAULT_KEY_BITS,
        q: int = 2**10,
        *,
        sigma: int | None = None,
        bound_bits: int = DEFAULT_BOUND_BITS,
        allow_insecure: bool = False,
    ) -> None:
        self.pair = smlp.keygen(bits, allow_insecure)
        insecure = allow_insecure and sigma is not None
        p1 = P1(self.pair.public, sigma=sigma, allow_insecure=insecure)
        p2 = P2(self.pair.private)
        self.record = smlp.Record()
        super().__init__(p1, p2, q, bound_bits, self.pair.private, self.record)

    def twin(self) -> integer_operations:
        """Operations in the clear that repeat these, from the first on, to the same integers.

        Divisions and predictions are repeated in their order, training steps by their numbers, and
        only what was done here before: see :class:`smlp.ClearSession`.
        """
        return integer_operations(self.q, self.bound_bits, self.record)


def _integers(values: Any) -> Any:
    """Whole numbers, whatever their type."""
    tensor = torch.as_tensor(values)
    if tensor.is_floating_point():
        if not bool((tensor == tensor.round()).all()):
            raise UnsupportedError(
                "these numbers have fractions; multiply them by q and convert them with .long()"
            )
        tensor = tensor.to(torch.int64)
    return tensor
