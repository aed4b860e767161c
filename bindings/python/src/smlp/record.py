"""Records: what a session's calls rounded with, for a clear twin that computes the same integers.

Each training step, prediction and division draws a fresh rounding key and forgets it. A session
that is given a record keeps the keys of the calls that it completed::

    record = smlp.Record()
    session = smlp.Session(p1, p2, record=record)
    net.fit(session, x, y)
    twin.fit(smlp.ClearSession(record), X, Y)  # the same weights, integer for integer

Whoever has a record and P2's view of the calls learns x mod d of every division. So P1 writes it to
a file that only the data owner can read::

    key = smlp.RecordKey.generate()  # the owner's; P1 gets key.public
    session = smlp.Session(p1, peer, record=smlp.RecordFile("training.record", key.public))
    twin.fit(smlp.ClearSession(smlp.Record.read("training.record", key)), X, Y)
"""

from __future__ import annotations

import os
from typing import Any, Union

from ._native import Handle, NativeObject, bytes_of, create, lib, path_bytes, read_only, value_of
from .errors import UnsupportedError


class RecordKey(NativeObject):
    """The data owner's key to records in files. Neither P1 nor P2 may have it."""

    @classmethod
    def generate(cls) -> RecordKey:
        """A fresh key from the operating system's generator."""
        return cls(create(lib.smlp_record_key_generate))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RecordKey:
        """Reads what :meth:`save` wrote.

        Raises :class:`InsecureError` for a file that others may read, :class:`IoError`,
        :class:`MalformedError`.
        """
        return cls(create(lib.smlp_record_key_load, path_bytes(path)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a new file that only its owner may read; refuses to replace one."""
        lib.smlp_record_key_save(self._handle, path_bytes(path))

    @property
    def public(self) -> bytes:
        """The half for P1: what :class:`RecordFile` encrypts to."""
        return bytes_of(lib.smlp_record_key_public, self._handle)

    def __repr__(self) -> str:
        return "<smlp.RecordKey>"


class Record(NativeObject):
    """A record in memory, without lines at first: for tests, and for both parties in one process.

    ``len(record)`` is the number of calls. Sessions that write to it and sessions that repeat it
    may use it at the same time.
    """

    def __init__(self) -> None:
        super().__init__(create(lib.smlp_record_new))

    @classmethod
    def read(cls, path: str | os.PathLike[str], key: RecordKey) -> Record:
        """What a :class:`RecordFile` has written so far.

        Raises :class:`MalformedError` for a file that was changed, :class:`InvalidArgumentError`
        for one of another key, :class:`IoError`, :class:`LimitError` above 8 GiB.
        """
        if not isinstance(key, RecordKey):
            raise UnsupportedError(f"expected an smlp.RecordKey, got {type(key).__name__}")
        record = cls.__new__(cls)
        NativeObject.__init__(record, create(lib.smlp_record_read, path_bytes(path), key._handle))
        return record

    def __len__(self) -> int:
        return int(value_of(lib.smlp_record_lines, self._handle))

    def __repr__(self) -> str:
        return f"<smlp.Record of {len(self)} calls>"


class RecordFile(NativeObject):
    """A record that P1 appends to a file, each call before it has an effect, encrypted to the
    owner's record key: ``public`` is :attr:`RecordKey.public`.

    A file that is there already is continued, also after a crash. While this object or a session
    with it lives, no other one writes to the file.

    Raises :class:`IoError`, also while another one writes, :class:`MalformedError` for another kind
    of file, :class:`InvalidArgumentError` for the record of another key.
    """

    def __init__(self, path: str | os.PathLike[str], public: Any) -> None:
        public = read_only(public)
        super().__init__(create(lib.smlp_record_append, path_bytes(path), public, len(public)))
        self.path = os.fspath(path)

    def __len__(self) -> int:
        return int(value_of(lib.smlp_record_lines, self._handle))

    def __repr__(self) -> str:
        return f"<smlp.RecordFile {self.path}, {len(self)} calls>"


AnyRecord = Union[Record, RecordFile]


def recorder_handle(record: AnyRecord | None) -> Handle | None:
    """The handle of what a session may write to."""
    if record is not None and not isinstance(record, (Record, RecordFile)):
        raise UnsupportedError(
            f"expected an smlp.Record or smlp.RecordFile, got {type(record).__name__}"
        )
    return None if record is None else record._handle


def repeatable_handle(record: Record | None) -> Handle | None:
    """The handle of what a clear session may repeat."""
    if record is not None and not isinstance(record, Record):
        raise UnsupportedError(
            f"expected an smlp.Record, got {type(record).__name__}; "
            "the owner reads a file with smlp.Record.read(path, key)"
        )
    return None if record is None else record._handle
