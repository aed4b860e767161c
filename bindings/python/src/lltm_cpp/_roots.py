"""Finds the 64-bit integers that a program still holds, wherever they might be references.

Looked at are: the whole storage of every live int64 tensor (also where only a view of a part of it
is alive), Python integers and numpy arrays in every object that Python's garbage collector knows,
and in the local variables of every running function. A number counts if it could be a reference,
whatever it was meant to be: what is found too much costs memory, what is missed costs an error.

Not looked at: integers that exist only inside other libraries, in bytes (pickles), on disk, or in
another process.
"""

from __future__ import annotations

import array
import gc
import inspect
import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch

from ._warnings import warn

Mark = Callable[[int, int], None]

_FIRST_REFERENCE = 1 << 62
_AT_ONCE = 4096
# The frame's, the variable's and that of the call that counts.
_REFERENCES_OF_A_SNAPSHOT = 3
_INT64 = np.dtype(np.int64)


class _Search:
    """One walk over everything that is alive."""

    def __init__(self, mark: Mark) -> None:
        self.mark = mark
        self.numbers = array.array("q")
        self.seen: set[int] = set()
        # What the collector does not track but what may hold integers, still to be looked into.
        self.untracked: list[Any] = []
        self.kinds: dict[type, Callable[[Any], None]] = {
            int: self.integer,
            np.int64: self.integer,
            np.ndarray: self.numpy_array,
            array.array: self.python_array,
            tuple: self.container,
            dict: self.container,
        }

    def objects(self, objects: Iterable[Any]) -> None:
        kinds = self.kinds
        for found in objects:
            kind = type(found)
            look = kinds.get(kind)
            if look is None:
                look = kinds[kind] = self.look_for(kind)
            look(found)

    def look_for(self, kind: type) -> Callable[[Any], None]:
        if issubclass(kind, torch.Tensor):
            return self.tensor
        if issubclass(kind, np.ndarray):
            return self.numpy_array
        return _ignore

    def integer(self, value: Any) -> None:
        if _FIRST_REFERENCE <= value < 1 << 63:
            self.numbers.append(int(value))

    def container(self, value: Any) -> None:
        # Tracked ones are among the collector's objects. Those without one inside are not tracked.
        if not gc.is_tracked(value) and id(value) not in self.seen:
            self.seen.add(id(value))
            self.untracked.append(value)

    def tensor(self, tensor: Any) -> None:
        if tensor.dtype is not torch.int64 or tensor.layout is not torch.strided:
            return
        with torch._C.DisableTorchFunction():
            try:
                storage = getattr(tensor, "untyped_storage", tensor.storage)()
                start, size = storage.data_ptr(), storage.nbytes() // 8
                if start == 0 or start in self.seen:
                    return
                self.seen.add(start)
                whole = tensor.detach().as_strided((size,), (1,), 0).cpu()
            except (RuntimeError, NotImplementedError):
                return  # a tensor without memory of its own: meta, fake, functional
            self.mark(whole.data_ptr(), size)

    def numpy_array(self, value: Any) -> None:
        while isinstance(value.base, np.ndarray):
            value = value.base
        if id(value) in self.seen:
            return
        self.seen.add(id(value))
        if value.dtype == _INT64:
            whole = np.ascontiguousarray(value)
            self.mark(whole.ctypes.data, whole.size)
        elif value.dtype == object:
            self.objects(value.flat)

    def python_array(self, value: Any) -> None:
        if value.typecode in "qlQL" and value.itemsize == 8:
            self.mark(value.buffer_info()[0], len(value))

    def finish(self) -> None:
        """Looks into what was put aside, and marks the integers."""
        while self.untracked:
            self.objects(gc.get_referents(self.untracked.pop()))
        if self.numbers:
            address, count = self.numbers.buffer_info()
            self.mark(address, count)
        # Its own methods are in there: a cycle.
        self.kinds.clear()


def _ignore(_value: Any) -> None:
    pass


def _locals(frame: Any) -> list[Any]:
    """The local variables of a function that runs, without leaving a copy of them behind.

    Up to Python 3.12 asking for them fills a dict of the frame, which would keep objects alive. It
    is emptied unless somebody else has it, or a debugger is about to write it back.
    """
    variables = frame.f_locals
    found = list(variables.values())
    ours = type(variables) is dict and sys.getrefcount(variables) <= _REFERENCES_OF_A_SNAPSHOT
    traced = frame.f_trace or sys.gettrace() or sys.getprofile()
    if ours and not traced and frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        variables.clear()
    return found


def mark(mark: Mark) -> bool:
    """Calls ``mark(address, count)`` for arrays of int64 that together hold every reference in use.

    Returns False if it cannot see everything, so that nothing may be freed.
    """
    if gc.get_freeze_count():
        warn(
            "gc.freeze() hides objects, so unused ciphertexts are kept until gc.unfreeze()",
            RuntimeWarning,
        )
        return False
    search = _Search(mark)
    _search_objects(search)
    _search_frames(search)
    search.finish()
    return True


def _search_objects(search: _Search) -> None:
    objects = gc.get_objects()
    for first in range(0, len(objects), _AT_ONCE):
        chunk = objects[first : first + _AT_ONCE]
        search.objects(found for found in chunk if issubclass(type(found), torch.Tensor))
        search.objects(gc.get_referents(*chunk))


def _search_frames(search: _Search) -> None:
    for frame in list(sys._current_frames().values()):
        # Not the frames of this file: one whose variables name it would live on with them.
        caller: Any = frame
        while caller is not None:
            if caller.f_code.co_filename != __file__:
                search.objects(_locals(caller))
            caller = caller.f_back
        del frame, caller
