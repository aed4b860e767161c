"""Keys: the data owner makes a pair, P1 gets the public half, P2 the private one."""

from __future__ import annotations

import operator
import os
from typing import Any, NamedTuple

from ._native import (
    Handle,
    NativeObject,
    bytes_of,
    create,
    filled,
    lib,
    path_bytes,
    read_only,
    unsigned,
    value_of,
)
from .errors import InvalidArgumentError, UnsupportedError

#: Bits of the modulus when the caller names none.
DEFAULT_KEY_BITS = 3072
_ALLOW_INSECURE = 1
_SHORT_EXPONENTS = 2


class PublicKey(NativeObject):
    """Encrypts, and lets P1 compute. Immutable; usable from several threads."""

    @classmethod
    def from_modulus(cls, modulus: int, *, allow_insecure: bool = False) -> PublicKey:
        """The key of other Paillier software, from its modulus N alone (generator N + 1).

        Raises :class:`InsecureError` below 2048 bits unless ``allow_insecure``,
        :class:`InvalidArgumentError` for a number that cannot be a modulus.
        """
        data = _big_endian("a modulus", modulus)
        flags = _flags(allow_insecure)
        return cls(create(lib.smlp_public_key_from_modulus, data, len(data), flags))

    @classmethod
    def from_bytes(cls, data: Any, *, allow_insecure: bool = False) -> PublicKey:
        """Reads what :meth:`to_bytes` wrote.

        Raises :class:`MalformedError` for a damaged key, and for one whose encryptions anybody
        could read. The first time in a process that takes a tenth of a second at 2048 bits.
        """
        data = read_only(data)
        flags = _flags(allow_insecure)
        return cls(create(lib.smlp_public_key_from_bytes, data, len(data), flags))

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, allow_insecure: bool = False) -> PublicKey:
        """Reads what :meth:`save` wrote. Raises :class:`IoError` or :class:`MalformedError`."""
        return cls(create(lib.smlp_public_key_load, path_bytes(path), _flags(allow_insecure)))

    def to_bytes(self) -> bytes:
        """The public key alone; there is nothing secret in it."""
        return bytes_of(lib.smlp_public_key_to_bytes, self._handle)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the key to a file."""
        lib.smlp_public_key_save(self._handle, path_bytes(path))

    @property
    def n(self) -> int:
        """The modulus N."""
        return int.from_bytes(bytes_of(lib.smlp_public_key_modulus, self._handle), "big")

    @property
    def bits(self) -> int:
        """Bits of N."""
        return int(value_of(lib.smlp_public_key_bits, self._handle))

    @property
    def exponent_bits(self) -> int:
        """Bits of the random exponent of an encryption: half of N's, or fewer: :func:`keygen`."""
        return int(value_of(lib.smlp_public_key_exponent_bits, self._handle))

    @property
    def id(self) -> str:
        """The name under which tensors know their key: a digest, in hexadecimal, of all that
        encryption uses.

        Keys with one id are equal. A key of :meth:`from_modulus` has an id of its own; a key pair
        with the same modulus decrypts what was encrypted with it.
        """
        return filled(lib.smlp_public_key_id, self._handle, 32).hex()

    @property
    def is_foreign(self) -> bool:
        """Whether the key came from other software, with slower encryption."""
        return bool(value_of(lib.smlp_public_key_is_foreign, self._handle))

    def __eq__(self, other: object) -> bool:
        return self.id == other.id if isinstance(other, PublicKey) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __copy__(self) -> PublicKey:
        return self

    def __deepcopy__(self, _memo: Any) -> PublicKey:
        return self

    def __repr__(self) -> str:
        return f"<smlp.PublicKey {self.bits} bits, id {self.id[:16]}…>"


class PrivateKey(NativeObject):
    """Decrypts. Belongs to the data owner and to P2, never to P1."""

    @classmethod
    def from_primes(cls, p: int, q: int, *, allow_insecure: bool = False) -> PrivateKey:
        """The key of other Paillier software, from its two primes, as python-paillier's has them.

        The same primes give the same key, with the same public half, wherever this is called.

        Raises :class:`MalformedError` for anything but two primes of one length whose product has
        twice as many bits, and for primes that make it easy to factor; :class:`InsecureError` below
        2048 bits unless ``allow_insecure``.
        """
        first, second = _big_endian("a prime", p), _big_endian("a prime", q)
        flat = (first, len(first), second, len(second))
        return cls(create(lib.smlp_private_key_from_primes, *flat, _flags(allow_insecure)))

    @classmethod
    def from_bytes(cls, data: Any, *, allow_insecure: bool = False) -> PrivateKey:
        """Reads what :meth:`to_bytes` wrote.

        Raises :class:`MalformedError` for a damaged key, and for one whose numbers do not go
        together.
        """
        data = read_only(data)
        flags = _flags(allow_insecure)
        return cls(create(lib.smlp_private_key_from_bytes, data, len(data), flags))

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, allow_insecure: bool = False) -> PrivateKey:
        """Reads what :meth:`save` wrote. Raises :class:`IoError` or :class:`MalformedError`."""
        return cls(create(lib.smlp_private_key_load, path_bytes(path), _flags(allow_insecure)))

    def to_bytes(self) -> bytes:
        """The secret in the clear. Python cannot erase bytes objects: prefer :meth:`save`."""
        return bytes_of(lib.smlp_private_key_to_bytes, self._handle)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a new file that only its owner may read; refuses to replace one."""
        lib.smlp_private_key_save(self._handle, path_bytes(path))

    @property
    def public(self) -> PublicKey:
        """The public half."""
        return PublicKey(create(lib.smlp_private_key_public, self._handle))

    def __copy__(self) -> PrivateKey:
        return self

    def __deepcopy__(self, _memo: Any) -> PrivateKey:
        return self

    def __repr__(self) -> str:
        return f"<smlp.PrivateKey of {self.public!r}>"


class KeyPair(NamedTuple):
    """Both halves, as :func:`keygen` makes them."""

    public: PublicKey
    private: PrivateKey


def keygen(
    bits: int = DEFAULT_KEY_BITS, allow_insecure: bool = False, *, short_exponents: bool = False
) -> KeyPair:
    """Makes a key pair with a modulus of ``bits`` bits (even).

    With ``short_exponents`` the random parts of ciphertexts come from a subgroup of 448 bits (512
    from 3072 bits of modulus on): training is about twice as fast, decryption about four times
    (Ma, Han, Lei, ACSAC 2021). That rests on one more assumption; see ``SECURITY.md``.

    Raises :class:`InsecureError` below 2048 bits unless ``allow_insecure``, which is for tests.
    """
    flags = key_flags(allow_insecure, short_exponents)
    private = PrivateKey(create(lib.smlp_private_key_generate, unsigned("bits", bits), flags))
    return KeyPair(private.public, private)


def public_handle(key: Any) -> Handle:
    """The handle of a public key; says so when the caller passed something else."""
    if not isinstance(key, PublicKey):
        raise UnsupportedError(f"expected an smlp.PublicKey, got {type(key).__name__}")
    return key._handle


def private_handle(key: Any) -> Handle:
    """The handle of a private key; says so when the caller passed something else."""
    if not isinstance(key, PrivateKey):
        raise UnsupportedError(f"expected an smlp.PrivateKey, got {type(key).__name__}")
    return key._handle


def key_flags(allow_insecure: bool, short_exponents: bool) -> int:
    """The flags of functions that make keys."""
    return _flags(allow_insecure) | (_SHORT_EXPONENTS if short_exponents else 0)


def _big_endian(what: str, number: int) -> bytes:
    number = operator.index(number)
    if number <= 0:
        raise InvalidArgumentError(f"{what} is a positive integer")
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _flags(allow_insecure: bool) -> int:
    return _ALLOW_INSECURE if allow_insecure else 0
