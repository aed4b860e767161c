"""P1, P2 and the messages between them, for those who carry the bytes themselves.

An operation of P1 is a :class:`Call`: send ``call.request`` to P2, give its answer to
``call.resume``, and repeat until that returns True::

    call = p1.matmul(a, b)
    while not call.resume(send_to_p2(call.request)):
        pass
    product = call.result()

:class:`smlp.Session` does this by itself over a :class:`Transport`.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

from ._native import (
    EXCHANGE,
    Exclusive,
    Handle,
    NativeObject,
    bytes_of,
    create,
    lib,
    read_only,
    unsigned,
    value_of,
)
from .errors import InvalidArgumentError, SmlpError, TransportError, UnsupportedError
from .keys import PrivateKey, PublicKey, private_handle, public_handle
from .network import NetworkTransport
from .tensor import Tensor, tensor_handle, wrap

#: Bits of the promise of P1 when the caller names none.
DEFAULT_SECURITY = 40
#: What calls of a P1 other than trainings may show P2 when the caller names no number.
DEFAULT_VALUES = 1 << 28


class P1(NativeObject):
    """The compute server's side: holds the public key and draws the masks.

    It promises that P2's advantage over guessing is at most 2^−``security`` (40 to 128 bits,
    :data:`DEFAULT_SECURITY` where none is named): over all trainings of a network, and over all its
    other calls. The widths of its masks follow from that and from what P2 gets to see: a training
    counts this before it begins; other calls may show P2 up to ``values`` values and ciphertexts
    (:data:`DEFAULT_VALUES` are about a million predictions of a small network) and raise
    :class:`InsecureError` past that.

    ``sigma`` (40 to 128) fixes the statistical security of every mask in bits, instead of both.
    What that is too narrow for, to keep a promise of 2^−40, raises :class:`InsecureError` before
    anything is sent; with ``allow_insecure``, for tests and for measuring, nothing is promised.

    Usable from several threads.
    """

    def __init__(
        self,
        key: PublicKey,
        security: int | None = None,
        *,
        values: int | None = None,
        sigma: int | None = None,
        allow_insecure: bool = False,
    ) -> None:
        handle = public_handle(key)
        if sigma is not None:
            if security is not None or values is not None:
                raise InvalidArgumentError(
                    "sigma fixes the masks for a promise of 2^-40; leave out security and values, "
                    "or leave out sigma and let it follow from them"
                )
            flags = 1 if allow_insecure else 0
            parts = handle, unsigned("sigma", sigma), flags
            super().__init__(create(lib.smlp_p1_new_with_sigma, *parts))
            return
        if allow_insecure:
            raise InvalidArgumentError("allow_insecure is for a fixed sigma; name one")
        security = DEFAULT_SECURITY if security is None else security
        values = DEFAULT_VALUES if values is None else values
        promise = unsigned("security", security), unsigned("values", values, 64)
        super().__init__(create(lib.smlp_p1_new, handle, *promise))

    @property
    def sigma(self) -> int:
        """Statistical security of masks outside of trainings, which choose their own; in bits."""
        return int(value_of(lib.smlp_p1_sigma, self._handle))

    @property
    def security(self) -> int:
        """The promised bits; 0 where nothing is promised."""
        return int(value_of(lib.smlp_p1_security, self._handle))

    def multiply(self, left: Tensor, right: Tensor) -> Call:
        """Element-wise product of shapes that broadcast. Scales and bounds add up."""
        return self._call(lib.smlp_p1_multiply, left, right)

    def matmul(self, left: Tensor, right: Tensor) -> Call:
        """Matrix product. Scales add up."""
        return self._call(lib.smlp_p1_matmul, left, right)

    def divide(self, tensor: Tensor, divisor: int, scale_drop: int = 0) -> Call:
        """(x + r) // divisor with r uniform in [0, divisor); drops so many fraction bits."""
        handle = tensor_handle(tensor)
        numbers = unsigned("divisor", divisor, 64), unsigned("scale_drop", scale_drop)
        return Call(create(lib.smlp_p1_divide, self._handle, handle, *numbers))

    def relu(self, tensor: Tensor) -> Call:
        """Result 0 is max(x, 0), result 1 its derivative (1 where x ≥ 0, else 0)."""
        return self._call(lib.smlp_p1_relu, tensor)

    def select(self, bits: Tensor, tensor: Tensor) -> Call:
        """Product bits · x for a tensor of zeros and ones of the same shape."""
        return self._call(lib.smlp_p1_select, bits, tensor)

    def maximum(self, left: Tensor, right: Tensor) -> Call:
        """Element-wise maximum of shapes that broadcast."""
        return self._call(lib.smlp_p1_maximum, left, right)

    def refresh(self, tensor: Tensor) -> Call:
        """The same values in fresh ciphertexts of P2, packed where they were."""
        return self._call(lib.smlp_p1_refresh, tensor)

    def _call(self, function: Any, *tensors: Tensor) -> Call:
        return Call(create(function, self._handle, *map(tensor_handle, tensors)))

    def __repr__(self) -> str:
        return f"<smlp.P1 promising 2^-{self.security}, sigma {self.sigma}>"


class Call(NativeObject):
    """One operation of P1 on its way. The first failure is final; P1's tensors stay untouched."""

    def __init__(self, handle: Handle) -> None:
        super().__init__(handle)
        self._exclusive = Exclusive("call")

    @property
    def request(self) -> bytes:
        """What P2 has to answer next. Raises :class:`FinishedError` when there is nothing left."""
        data, length = ctypes.c_void_p(), ctypes.c_size_t()
        with self._exclusive.held():
            lib.smlp_call_request(self._handle, ctypes.byref(data), ctypes.byref(length))
            return ctypes.string_at(data, length.value) if length.value else b""

    def resume(self, reply: Any) -> bool:
        """Takes P2's answer. True when the result is there, False when another request is."""
        reply = read_only(reply)
        done = ctypes.c_bool()
        with self._exclusive.held():
            lib.smlp_call_resume(self._handle, reply, len(reply), ctypes.byref(done))
        return done.value

    def result(self, index: int = 0) -> Tensor:
        """A result, once :meth:`resume` has returned True."""
        with self._exclusive.held():
            return wrap(create(lib.smlp_call_result, self._handle, unsigned("index", index, 64)))


class P2(NativeObject):
    """The key server's side: holds the private key and answers masked questions, without state.

    A request that would take more memory is refused with :class:`LimitError` before any work is
    done. ``reply_bytes`` limits the reply (256 MiB by default), ``working_bytes`` what P2 works in
    until the reply is written (1 GiB by default); requests answered at the same time take as much
    each.
    """

    def __init__(
        self, key: PrivateKey, *, reply_bytes: int = 256 << 20, working_bytes: int = 1 << 30
    ) -> None:
        reply = unsigned("reply_bytes", reply_bytes, 64)
        working = unsigned("working_bytes", working_bytes, 64)
        if not (reply and working):
            raise InvalidArgumentError("a limit of 0 bytes: nothing could be answered")
        handle = create(lib.smlp_p2_new_with_limits, private_handle(key), reply, working)
        super().__init__(handle)

    def answer(self, request: Any, client: Any = b"") -> bytes:
        """The reply to one request of P1. Usable from several threads.

        A key server with several clients names in ``client`` who asks, as it has authenticated it,
        with the same bytes whenever that client connects. What P2 seals for P1's keeping is refused
        where another client quotes it.

        Raises :class:`MalformedError` or :class:`KeyMismatchError` for requests that are none, and
        :class:`LimitError` for those that would take too much memory.
        """
        request, client = read_only(request), read_only(client)
        return bytes_of(
            lib.smlp_p2_answer_for, self._handle, client, len(client), request, len(request)
        )

    def __repr__(self) -> str:
        return "<smlp.P2>"


class Transport(ABC):
    """Carries a request to P2 and brings back the reply. Subclass it, or pass any callable."""

    @abstractmethod
    def exchange(self, request: bytes) -> bytes:
        """Returns P2's reply. Whatever it raises reaches the caller of the session."""


class NativeTransport:
    """What a session holds: the library's transport, and the Python side that it calls back."""

    def __init__(self, peer: P2 | Transport | NetworkTransport | Callable[[bytes], bytes]) -> None:
        self._failed = threading.local()
        # The library keeps P2 itself; the callback and what it calls have to live here.
        if isinstance(peer, P2):
            self.handle = create(lib.smlp_transport_in_process, peer._handle)
            return
        if isinstance(peer, NetworkTransport):
            self.handle = peer._handle
            return
        exchange = peer.exchange if isinstance(peer, Transport) else peer
        if not callable(exchange):
            raise UnsupportedError(
                "the second argument of a session is an smlp.P2, an smlp.Transport, what "
                "smlp.connect returns, or a callable from bytes to bytes, "
                f"not {type(peer).__name__}"
            )
        self._callback = EXCHANGE(_exchanging(exchange, self._failed))
        self.handle = create(lib.smlp_transport_callback, self._callback, None)

    @contextlib.contextmanager
    def calling(self) -> Iterator[None]:
        """Around every call of the library that may use the transport.

        What the callback raised in this thread is raised in place of the library's error.
        """
        self._failed.error = None
        try:
            yield
        except SmlpError:
            original, self._failed.error = self._failed.error, None
            if original is None:
                raise
            if isinstance(original, Exception):
                raise TransportError(f"the transport raised {original!r}") from original
            # KeyboardInterrupt, SystemExit: not for a handler of transport errors.
            raise original from None


def _exchanging(exchange: Callable[[bytes], bytes], failed: Any) -> Callable[..., int]:
    """The C callback. It refers to no session, so that sessions can be freed."""

    def callback(_userdata: Any, request: int | None, length: int, reply: Any) -> int:
        try:
            answer = read_only(exchange(ctypes.string_at(request, length) if request else b""))
            lib.smlp_reply_write(reply, answer, len(answer))
        except BaseException as error:
            failed.error = error
            return 1
        return 0

    return callback
