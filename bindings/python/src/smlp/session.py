"""Sessions: the operations that need both servers, as if there were only one.

:class:`Session` drives the protocols between P1 and P2. :class:`ClearSession` is its twin on
clear integers: the same operations, scales and bounds, in microseconds, and the same roundings
where it repeats a record. Sums, shapes and products with clear numbers need no session: they are
operators and methods of tensors.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ._native import TENSOR, Handle, NativeObject, create, lib, unsigned, value_of
from .errors import UnsupportedError
from .network import NetworkTransport
from .protocol import P1, P2, NativeTransport, Transport
from .record import AnyRecord, Record, recorder_handle, repeatable_handle
from .tensor import Tensor, tensor_handle, wrap


@dataclass(frozen=True)
class Statistics:
    """What a session has cost since it began or since ``reset_statistics``."""

    rounds: int
    """Messages that P1 sent and P2 answered, those sent while P1 worked on a later one included."""
    bytes_sent: int
    bytes_received: int
    p1_operations: int
    """Modular multiplications and squarings on P1's side, modulo N²."""
    p2_operations: int
    """The same on P2's side, in its smaller rings, as it reports them."""
    p1_seconds: float
    exchange_seconds: float
    """P2 and the wire, as far as P1 waited for them."""
    masked_values: int
    """Values that P2 saw under a mask, and ciphertexts that P1 re-randomised for it."""

    @property
    def bytes(self) -> int:
        """Both directions."""
        return self.bytes_sent + self.bytes_received

    @property
    def seconds(self) -> float:
        """Both parties and the wire."""
        return self.p1_seconds + self.exchange_seconds

    @property
    def operations(self) -> int:
        """Both parties."""
        return self.p1_operations + self.p2_operations


class BaseSession(NativeObject):
    """What both kinds of session can do. Usable from several threads."""

    def multiply(self, left: Tensor, right: Tensor) -> Tensor:
        """Element-wise product of shapes that broadcast. Scales and bounds add up."""
        return self._run(lib.smlp_session_multiply, left, right)

    def matmul(self, left: Tensor, right: Tensor) -> Tensor:
        """Matrix product, as ``numpy.matmul`` on up to two dimensions. Scales add up."""
        return self._run(lib.smlp_session_matmul, left, right)

    def matmul_divide(
        self, left: Tensor, right: Tensor, divisor: int, scale_drop: int = 0
    ) -> Tensor:
        """(left @ right + r) // divisor on the integers, r uniform in [0, divisor), in one go.

        Several times faster than :meth:`matmul` and :meth:`divide`. The scale, the sum of both,
        falls by ``scale_drop``: f for a division by 2^f.
        """
        plus = (unsigned("divisor", divisor, 64), unsigned("scale_drop", scale_drop))
        return self._run(lib.smlp_session_matmul_divide, left, right, plus=plus)

    def divide(self, tensor: Tensor, divisor: int) -> Tensor:
        """(x + r) // divisor on the integers, r uniform in [0, divisor); the scale stays.

        An unbiased quotient: its error is below 1 unit of the last place.
        """
        return self._run(lib.smlp_session_divide, tensor, plus=(unsigned("divisor", divisor, 64),))

    def rescale(self, tensor: Tensor, bits: int) -> Tensor:
        """Drops ``bits`` fraction bits by dividing by 2^bits: the value stays, up to rounding."""
        return self._run(lib.smlp_session_rescale, tensor, plus=(unsigned("bits", bits),))

    def relu(self, tensor: Tensor) -> Tensor:
        """max(x, 0), which shows P2 nothing of x."""
        with self._calling():
            out = TENSOR()
            lib.smlp_session_relu(self._handle, tensor_handle(tensor), ctypes.byref(out), None)
        return wrap(Handle(out))

    def relu_with_derivative(self, tensor: Tensor) -> tuple[Tensor, Tensor]:
        """max(x, 0) and its derivative: 1 where x ≥ 0, else 0 (scale 0, bound 1)."""
        with self._calling():
            out, slope = TENSOR(), TENSOR()
            results = ctypes.byref(out), ctypes.byref(slope)
            lib.smlp_session_relu(self._handle, tensor_handle(tensor), *results)
        return wrap(Handle(out)), wrap(Handle(slope))

    def select(self, bits: Tensor, tensor: Tensor) -> Tensor:
        """Product bits · x for a tensor of zeros and ones (scale 0, bound 1) of the same shape."""
        return self._run(lib.smlp_session_select, bits, tensor)

    def maximum(self, left: Tensor, right: Tensor) -> Tensor:
        """Element-wise maximum of shapes that broadcast: relu(left − right) + right."""
        return self._run(lib.smlp_session_maximum, left, right)

    def refresh(self, tensor: Tensor) -> Tensor:
        """The same values in fresh ciphertexts (or as they are, in the clear)."""
        return self._run(lib.smlp_session_refresh, tensor)

    def unpack(self, tensor: Tensor) -> Tensor:
        """The same values, one a ciphertext, for what packed tensors cannot do."""
        return self._run(lib.smlp_session_unpack, tensor)

    @property
    def is_encrypted(self) -> bool:
        """False for the clear twin."""
        return bool(value_of(lib.smlp_session_is_encrypted, self._handle))

    @property
    def statistics(self) -> Statistics:
        """Rounds, bytes, time and operations so far."""
        function, handle = lib.smlp_session_statistic, self._handle
        rounds, sent, received, p1, p2, p1_ns, exchange_ns, masked = (
            int(value_of(function, handle, which)) for which in range(8)
        )
        times = p1_ns * 1e-9, exchange_ns * 1e-9
        return Statistics(rounds, sent, received, p1, p2, *times, masked)

    def reset_statistics(self) -> None:
        """Counts from zero again."""
        lib.smlp_session_reset_statistics(self._handle)

    def _run(self, function: Any, *tensors: Tensor, plus: tuple[int, ...] = ()) -> Tensor:
        with self._calling():
            return wrap(create(function, self._handle, *map(tensor_handle, tensors), *plus))

    def _calling(self) -> contextlib.AbstractContextManager[None]:
        """Around every call of the library that may use a transport."""
        return contextlib.nullcontext()


class Session(BaseSession):
    """Encrypted operations: P1 here, P2 in this process or behind a transport.

    ``peer`` is an :class:`smlp.P2`, what :func:`smlp.connect` returns, an :class:`smlp.Transport`,
    or any callable that takes the bytes of a request and returns those of the reply; it is called
    in the thread that uses the session. What it raises reaches the caller as
    :class:`TransportError`, with the original exception as ``__cause__``.

    ``record`` (:class:`smlp.Record`, :class:`smlp.RecordFile`) keeps what the calls round with, for
    a twin that computes the same integers. By default nothing is kept.
    """

    def __init__(
        self,
        p1: P1,
        peer: P2 | Transport | NetworkTransport | Callable[[bytes], bytes],
        *,
        record: AnyRecord | None = None,
    ) -> None:
        if not isinstance(p1, P1):
            raise UnsupportedError(f"expected an smlp.P1, got {type(p1).__name__}")
        self._transport = NativeTransport(peer)
        parts = p1._handle, self._transport.handle, recorder_handle(record)
        super().__init__(create(lib.smlp_session_new, *parts))
        self.p1, self.record = p1, record

    @property
    def advantage(self) -> float:
        """What P2 can have learned so far: a bound on its advantage over guessing."""
        return float(2.0**-self.kept_bits)

    @property
    def kept_bits(self) -> float:
        """The same as a number of bits: the advantage is at most 2^−kept_bits."""
        return float(value_of(lib.smlp_session_kept_bits, self._handle))

    def _calling(self) -> contextlib.AbstractContextManager[None]:
        return self._transport.calling()

    def __repr__(self) -> str:
        return f"<smlp.Session of {self.p1!r}>"


class ClearSession(BaseSession):
    """The twin: works on clear tensors and networks, without key or partner.

    Without ``record`` it draws its own roundings: what it computes equals encrypted results up to
    these. With a record it repeats the recorded calls, and the integers are the same: training
    steps by their numbers (of a step that was done again, the last one counts), predictions and
    divisions in the order in which the recorded ones ended (those that ran at the same time cannot
    be told apart). Raises :class:`InvalidArgumentError` for a call that the record does not have,
    or has with other rows or another learning rate.
    """

    def __init__(self, record: Record | None = None) -> None:
        super().__init__(create(lib.smlp_session_new_clear, repeatable_handle(record)))
        self.record = record

    def __repr__(self) -> str:
        return "<smlp.ClearSession>"
