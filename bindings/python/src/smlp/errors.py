"""Exceptions. One class for each status code of the C library, all under :class:`SmlpError`.

Each also is a subclass of the built-in exception that a Python programmer expects, so that
``except ValueError`` or ``except OSError`` work as usual.
"""

from __future__ import annotations


class SmlpError(Exception):
    """Base of everything that this package raises on purpose.

    ``status`` is the code of the C library, or None where Python refused before calling it.
    """

    status: int | None = None


class UnsupportedError(SmlpError, TypeError):
    """An operation or a type that cannot work, refused by the binding itself."""


class InvalidArgumentError(SmlpError, ValueError):
    """An argument is outside what the function accepts."""

    status = 1


class NullPointerError(SmlpError, RuntimeError):
    """The library received NULL: a fault of this binding."""

    status = 2


class ShapeError(SmlpError, ValueError):
    """Shapes do not fit each other or the operation."""

    status = 3


class ScaleError(SmlpError, ValueError):
    """Tensors carry different numbers of fraction bits."""

    status = 4


class BoundError(SmlpError, OverflowError):
    """A result could outgrow its container; divide first or use ``assume_bound``."""

    status = 5


class OutOfRangeError(SmlpError, OverflowError):
    """A value does not fit the requested scale and bound, or the type asked for."""

    status = 6


class NotFiniteError(SmlpError, ValueError):
    """NaN or infinity."""

    status = 7


class KeyMismatchError(SmlpError, ValueError):
    """Objects of two keys were mixed; the message names both."""

    status = 8


class InsecureError(SmlpError, ValueError):
    """A key below 2048 bits without ``allow_insecure``, or another safety rule."""

    status = 9


class MalformedError(SmlpError, ValueError):
    """Bytes that are truncated, foreign or of another version."""

    status = 10


class LimitError(SmlpError, ValueError):
    """A limit on sizes was hit."""

    status = 11


class FinishedError(SmlpError, RuntimeError):
    """An object was used after it finished or failed."""

    status = 12


class CancelledError(SmlpError):
    """A callback asked to stop."""

    status = 13


class TransportError(SmlpError, ConnectionError):
    """P1 and P2 could not exchange a message; ``__cause__`` is the transport's own exception."""

    status = 14


class RefusedError(SmlpError, RuntimeError):
    """P2 refused a request."""

    status = 15


class IoError(SmlpError, OSError):
    """Reading or writing a file failed."""

    status = 16


class BackendError(SmlpError, RuntimeError):
    """The requested arithmetic backend is not available."""

    status = 17


class InternalError(SmlpError, RuntimeError):
    """The library caught a fault of its own; please report it."""

    status = 18


_BY_STATUS: dict[int | None, type[SmlpError]] = {
    kind.status: kind for kind in SmlpError.__subclasses__() if kind.status is not None
}


def from_status(status: int, message: str) -> SmlpError:
    """The exception for a status code; codes of a newer library become :class:`SmlpError`."""
    error = _BY_STATUS.get(status, SmlpError)(message)
    error.status = status
    return error
