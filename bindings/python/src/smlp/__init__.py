"""Train and use a multilayer perceptron on Paillier-encrypted data.

The data owner makes a key pair, encrypts data and a network, and goes away. Server P1 computes on
ciphertexts with the public key; server P2 holds the private key and only sees masked values::

    key = smlp.keygen()
    x, y = smlp.encrypt(key.public, X), smlp.encrypt(key.public, Y)
    session = smlp.Session(smlp.P1(key.public), smlp.P2(key.private))
    net = smlp.MLP([2, 10, 2], ["relu", "linear"], key=key.public)
    net.fit(session, x, y, epochs=10, batch_size=40, lr=0.05)
    net.predict(session, x).decrypt(key.private)

This package is a thin layer of ctypes over libsmlp; numpy arrays go in and come out.
"""

from ._arrays import DEFAULT_FRACTION_BITS
from ._native import lib as _lib
from ._native import text_of as _text_of
from ._native import value_of as _value_of
from .errors import (
    BackendError,
    BoundError,
    CancelledError,
    FinishedError,
    InsecureError,
    InternalError,
    InvalidArgumentError,
    IoError,
    KeyMismatchError,
    LimitError,
    MalformedError,
    NotFiniteError,
    NullPointerError,
    OutOfRangeError,
    RefusedError,
    ScaleError,
    ShapeError,
    SmlpError,
    TransportError,
    UnsupportedError,
)
from .estimate import Estimate, estimate
from .keys import DEFAULT_KEY_BITS, KeyPair, PrivateKey, PublicKey, keygen
from .mlp import MLP
from .network import NetworkTransport, connect
from .protocol import DEFAULT_SECURITY, DEFAULT_VALUES, P1, P2, Call, Transport
from .record import Record, RecordFile, RecordKey
from .session import ClearSession, Session, Statistics
from .tensor import (
    UPLOAD_SIGMA,
    EncryptedTensor,
    IntegerTensor,
    Tensor,
    concatenate,
    encode,
    encode_integers,
    encrypt,
    stack,
)

__version__: str = _lib.smlp_version().decode()


def backend() -> str:
    """The arithmetic in use, e.g. "gmp"; SMLP_BACKEND chooses another."""
    return str(_value_of(_lib.smlp_backend_name).decode())


def backend_report() -> str:
    """Which accelerator (GPU) is in use, or why none is."""
    return _text_of(_lib.smlp_backend_report)


__all__ = [
    "DEFAULT_FRACTION_BITS",
    "DEFAULT_KEY_BITS",
    "DEFAULT_SECURITY",
    "DEFAULT_VALUES",
    "MLP",
    "P1",
    "P2",
    "UPLOAD_SIGMA",
    "BackendError",
    "BoundError",
    "Call",
    "CancelledError",
    "ClearSession",
    "EncryptedTensor",
    "Estimate",
    "FinishedError",
    "InsecureError",
    "IntegerTensor",
    "InternalError",
    "InvalidArgumentError",
    "IoError",
    "KeyMismatchError",
    "KeyPair",
    "LimitError",
    "MalformedError",
    "NetworkTransport",
    "NotFiniteError",
    "NullPointerError",
    "OutOfRangeError",
    "PrivateKey",
    "PublicKey",
    "Record",
    "RecordFile",
    "RecordKey",
    "RefusedError",
    "ScaleError",
    "Session",
    "ShapeError",
    "SmlpError",
    "Statistics",
    "Tensor",
    "Transport",
    "TransportError",
    "UnsupportedError",
    "backend",
    "backend_report",
    "concatenate",
    "connect",
    "encode",
    "encode_integers",
    "encrypt",
    "estimate",
    "keygen",
    "stack",
]
