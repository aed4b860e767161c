"""P2 on another machine: gRPC over HTTP/2 with mutual TLS, to one key server or several replicas.

The library has to be built for it: ``SMLP_FEATURES=net pip install ./bindings/python``, or
``cargo build --release --features net`` in the checkout.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Union

from ._native import (
    NativeObject,
    create,
    has_network,
    lib,
    path_bytes,
    unsigned,
)
from .errors import InvalidArgumentError, UnsupportedError

_Path = Union[str, "os.PathLike[str]"]


class NetworkTransport(NativeObject):
    """A connection to key servers, made by :func:`connect`: the second argument of a session."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(create(lib.smlp_transport_connect, *arguments))

    def __repr__(self) -> str:
        return "<smlp.NetworkTransport>"


def connect(
    addresses: str | Sequence[str],
    *,
    authority: _Path,
    certificate: _Path,
    key: _Path,
    server_name: str | None = None,
    deadline: float = 600.0,
) -> NetworkTransport:
    """Connects to a key server (``smlp serve``) at ``"host:port"``, or to several replicas.

    ``authority``, ``certificate`` and ``key`` are PEM files: who issued the servers' certificates,
    our certificate, and its private key, which nobody else may read. ``server_name`` is what the
    servers' certificates are for, if not for the host of the address. An exchange whose answer
    does not come is repeated, there or at another replica, for ``deadline`` seconds.

    The connection belongs to this process. In one that is forked from it, every exchange raises
    :class:`TransportError` at once: connect anew there.

    Raises :class:`UnsupportedError` when the library was built without the network,
    :class:`TransportError` when nobody answers until the deadline, :class:`RefusedError` when the
    servers do not accept our certificate, or we not theirs.
    """
    if not has_network():
        raise UnsupportedError(
            "this libsmlp was built without the network; build it with "
            "`SMLP_FEATURES=net pip install ./bindings/python`, or with "
            "`cargo build --release --features net` and SMLP_LIBRARY set to its path"
        )
    if not deadline > 0:
        raise InvalidArgumentError(f"a deadline of {deadline} seconds; it is above 0")
    joined = addresses if isinstance(addresses, str) else ",".join(addresses)
    options = create(lib.smlp_network_options_new, joined.encode())
    files = map(path_bytes, (authority, certificate, key))
    lib.smlp_network_options_load_identity(options, *files)
    if server_name is not None:
        lib.smlp_network_options_set_server_name(options, server_name.encode())
    milliseconds = unsigned("deadline", max(1, round(min(deadline, 1e9) * 1000)), 64)
    lib.smlp_network_options_set_deadline(options, milliseconds)
    return NetworkTransport(options)
