"""The store of this process: where references lead, and when it is tidied up."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from smlp._native import create, lib, value_of

from . import _roots
from ._warnings import warn

#: What is not below this is a reference, if anything.
FIRST_REFERENCE = 1 << 62

_store = create(lib.smlp_store_new)
_collecting = threading.Lock()


class Reference(int):
    """A ciphertext as a Python integer that fits ``torch.int64``; alive as long as it is."""

    __slots__ = ()

    def __new__(cls, word: int) -> Reference:
        """Pins the ciphertext until the object goes."""
        lib.smlp_store_pin(_store, word)
        return super().__new__(cls, word)

    def __del__(self) -> None:
        # At the end of the interpreter the library may be gone already.
        with contextlib.suppress(Exception):
            lib.smlp_store_unpin(_store, int(self))

    def __copy__(self) -> Reference:
        return self

    def __deepcopy__(self, _memo: Any) -> Reference:
        return self

    def __reduce__(self) -> Any:
        raise TypeError("references lead nowhere in another process, so they are not pickled")


def scalar(word: int) -> int:
    """A word as what is handed to the caller."""
    return Reference(word) if word >= FIRST_REFERENCE else word


def is_reference(word: int) -> bool:
    """Whether it leads to a ciphertext now."""
    if word < FIRST_REFERENCE:
        return False
    try:
        lib.smlp_store_pin(_store, word)
    except RuntimeError:
        return False
    lib.smlp_store_unpin(_store, word)
    return True


def call(function: Any, *arguments: Any) -> None:
    """Calls a function of the store that makes ciphertexts, after tidying up if that pays."""
    if value_of(lib.smlp_store_is_due, _store):
        collect()
    function(_store, *arguments)
    wrapped = int(value_of(lib.smlp_store_take_wrapped, _store))
    if wrapped:
        warn(
            f"{wrapped} numbers did not fit ±n/2 of the key and wrapped modulo n",
            RuntimeWarning,
        )


def handle() -> Any:
    """For functions that only read."""
    return _store


def store_size() -> int:
    """How many ciphertexts the store holds, in use or not."""
    return int(value_of(lib.smlp_store_len, _store))


def collect() -> int:
    """Looks for references that are still in use and frees ciphertexts that no reference was seen
    to lead to, now and the last time. Returns how many.

    It runs by itself whenever the store has grown by half of what was in use, and 16 MiB at least.
    """
    if not _collecting.acquire(blocking=False):
        return 0  # another thread is at it, or a finaliser called back
    try:
        if not _roots.mark(lambda address, count: lib.smlp_store_mark(_store, address, count)):
            return 0
        return int(value_of(lib.smlp_store_sweep, _store))
    finally:
        _collecting.release()
