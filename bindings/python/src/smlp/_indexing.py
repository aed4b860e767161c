"""numpy's indexing, taken apart into the views that the library has.

One integer array or boolean mask may appear among slices, integers, ``None`` and ``...``; it
becomes a ``take``. What numpy does with several of them (pairing them up) is refused.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ._native import Handle, create, lib, signed_array, sizes
from .errors import UnsupportedError


def index(handle: Handle, shape: tuple[int, ...], key: Any) -> Handle:
    """``tensor[key]`` for a tensor of that shape.

    Raises IndexError for positions outside and for too many of them, :class:`UnsupportedError`
    for keys of other kinds.
    """
    items = _expand(key if isinstance(key, tuple) else (key,), len(shape))
    _refuse_split_arrays(items)
    view = _View(handle, shape)
    for item in items:
        view.apply(item)
    return view.handle


class _View:
    """A tensor on its way through the items of a key; ``axis`` is the next one to treat."""

    def __init__(self, handle: Handle, shape: tuple[int, ...]) -> None:
        self.handle = handle
        self.shape = list(shape)
        self.axis = 0

    def apply(self, item: Any) -> None:
        if item is None:
            self.handle = create(lib.smlp_tensor_unsqueeze, self.handle, self.axis)
            self.shape.insert(self.axis, 1)
            self.axis += 1
        elif isinstance(item, slice):
            self._slice(item)
        elif isinstance(item, int):
            self._position(item)
        elif item.dtype == bool:
            self._mask(item)
        else:
            self._take(item)

    def _slice(self, item: slice) -> None:
        length = self.shape[self.axis]
        positions = range(length)[item]
        if positions != range(length):
            start, count, step = positions.start, len(positions), positions.step
            # An empty range may start one past the end, or before the beginning.
            start = start if count else 0
            arguments = (self.axis, start, count, step)
            self.handle = create(lib.smlp_tensor_slice, self.handle, *arguments)
            self.shape[self.axis] = count
        self.axis += 1

    def _position(self, item: int) -> None:
        length = self.shape[self.axis]
        if not -length <= item < length:
            raise IndexError(f"index {item} on axis {self.axis} of length {length}")
        self.handle = create(lib.smlp_tensor_index, self.handle, self.axis, item)
        del self.shape[self.axis]

    def _take(self, positions: np.ndarray) -> None:
        length = self.shape[self.axis]
        outside = positions[(positions < -length) | (positions >= length)]
        if outside.size:
            raise IndexError(f"index {outside[0]} on axis {self.axis} of length {length}")
        flat = sizes("index", np.where(positions < 0, positions + length, positions).flat)
        self.handle = create(lib.smlp_tensor_take, self.handle, self.axis, flat, len(flat))
        self.shape[self.axis : self.axis + 1] = positions.shape
        if positions.ndim != 1:
            self._reshape()
        self.axis += positions.ndim

    def _mask(self, mask: np.ndarray) -> None:
        covered = tuple(self.shape[self.axis : self.axis + mask.ndim])
        if covered != mask.shape:
            raise IndexError(f"a mask of shape {mask.shape} on axes of lengths {covered}")
        if mask.ndim != 1:
            self.shape[self.axis : self.axis + mask.ndim] = [mask.size]
            self._reshape()
        self._take(np.flatnonzero(mask))

    def _reshape(self) -> None:
        shape = signed_array("length", self.shape)
        self.handle = create(lib.smlp_tensor_reshape, self.handle, shape, len(shape))


def _expand(items: tuple[Any, ...], ndim: int) -> list[Any]:
    """The items with numbers and arrays normalised and ``...`` written out."""
    normalised = [_normalise(item) for item in items]
    covered = sum(_axes_of(item) for item in normalised)
    if covered > ndim:
        raise IndexError(f"{covered} indices for a tensor of {ndim} dimensions")
    ellipses = [place for place, item in enumerate(normalised) if item is Ellipsis]
    if len(ellipses) > 1:
        raise IndexError("an index can have only one ellipsis ('...')")
    if ellipses:
        place = ellipses[0]
        normalised[place : place + 1] = [slice(None)] * (ndim - covered)
    return normalised


def _normalise(item: Any) -> Any:
    if item is None or item is Ellipsis or isinstance(item, slice):
        return item
    if not isinstance(item, (bool, np.bool_)):
        try:
            return operator.index(item)
        except TypeError:
            pass
    array = np.asarray(item)
    if array.size == 0 and isinstance(item, (list, tuple)):
        array = array.astype(np.intp)
    if array.dtype.kind not in "biu" or (array.dtype == bool and array.ndim == 0):
        raise UnsupportedError(
            f"cannot index with {type(item).__name__}; use integers, slices, None, '...', and one "
            "array of integers or clear booleans"
        )
    return array


def _axes_of(item: Any) -> int:
    """How many axes of the tensor an item uses up."""
    if item is None or item is Ellipsis:
        return 0
    return item.ndim if isinstance(item, np.ndarray) and item.dtype == bool else 1


def _refuse_split_arrays(items: list[Any]) -> None:
    """Parted from an integer by a slice, an array would move its axes to the front in numpy."""
    arrays = [item for item in items if isinstance(item, np.ndarray)]
    if not arrays:
        return
    places = [at for at, item in enumerate(items) if isinstance(item, (int, np.ndarray))]
    together = places[-1] - places[0] + 1 == len(places)
    if len(arrays) > 1 or not together:
        raise UnsupportedError(
            "an index takes one array, not parted from integers by slices; index in two steps"
        )
