import copy
import hashlib
import os
import pickle
import stat

import pytest

import smlp


def test_default_size_is_in_the_signature():
    assert smlp.DEFAULT_KEY_BITS == 3072
    assert (smlp.DEFAULT_SECURITY, smlp.DEFAULT_VALUES) == (40, 1 << 28)
    assert smlp.__version__ == "0.1.0"
    assert smlp.backend()
    assert smlp.backend_report().startswith("cuda: ")


def test_pair(key):
    public, private = key
    assert public == private.public
    assert public.bits == 512
    assert public.n.bit_length() == 512
    assert len(public.id) == 64
    assert not public.is_foreign
    assert hash(public) == hash(private.public)
    assert public != "key"


def test_small_keys_need_permission():
    with pytest.raises(smlp.InsecureError, match="2048"):
        smlp.keygen(512)
    with pytest.raises(smlp.SmlpError):
        smlp.keygen(513, allow_insecure=True)
    with pytest.raises(smlp.InvalidArgumentError):
        smlp.keygen((1 << 32) + 2048)
    with pytest.raises(TypeError):
        smlp.keygen(2048.0)


def test_short_exponents():
    public, private = smlp.keygen(512, allow_insecure=True, short_exponents=True)
    assert (public.bits, public.exponent_bits) == (512, 128)
    assert smlp.keygen(512, allow_insecure=True).public.exponent_bits == 256
    x = smlp.encrypt(public, [1.5, -2.0])
    assert x.decrypt(private).tolist() == [1.5, -2.0]
    for copied in (
        smlp.PrivateKey.from_bytes(private.to_bytes(), allow_insecure=True).public,
        smlp.PublicKey.from_bytes(public.to_bytes(), allow_insecure=True),
    ):
        assert (copied, copied.exponent_bits) == (public, 128)
    # Others know the modulus alone; what they encrypt can be decrypted all the same.
    theirs = smlp.PublicKey.from_modulus(public.n, allow_insecure=True)
    assert theirs.exponent_bits == 512
    numbers = smlp.encrypt(theirs, [7, -8])
    back = smlp.EncryptedTensor.from_ciphertexts(public, numbers.ciphertexts())
    assert back.decrypt(private).tolist() == [7, -8]
    with pytest.raises(smlp.InsecureError):
        smlp.keygen(512, short_exponents=True)
    with pytest.raises(TypeError):
        smlp.keygen(2048, False, True)


def test_bytes(key):
    public = smlp.PublicKey.from_bytes(key.public.to_bytes(), allow_insecure=True)
    private = smlp.PrivateKey.from_bytes(bytearray(key.private.to_bytes()), allow_insecure=True)
    assert public == private.public == key.public
    assert private.to_bytes() == key.private.to_bytes()
    with pytest.raises(smlp.InsecureError):
        smlp.PublicKey.from_bytes(key.public.to_bytes())
    with pytest.raises(smlp.InsecureError):
        smlp.PrivateKey.from_bytes(key.private.to_bytes())


@pytest.mark.parametrize("kind", [smlp.PublicKey, smlp.PrivateKey])
def test_broken_bytes(key, kind):
    good = (key.public if kind is smlp.PublicKey else key.private).to_bytes()
    for bad in (b"", b"no key", good[:-1], good + b"x", b"\0" * len(good)):
        with pytest.raises(ValueError, match=r".+"):
            kind.from_bytes(bad, allow_insecure=True)
    with pytest.raises(TypeError):
        kind.from_bytes("text")


# Header and fingerprint; the contents follow.
CONTENTS = 8 + 32


def forged(data):
    """Contents with the fingerprint that goes with them."""
    prefix = b"smlp: fingerprint, version 1"
    fingerprint = hashlib.sha256(prefix + data[6:8] + data[CONTENTS:]).digest()
    return bytes(data[:8]) + fingerprint + bytes(data[CONTENTS:])


@pytest.fixture(scope="module")
def real_key():
    return smlp.keygen(2048)


@pytest.mark.parametrize("forge", [bytes, forged])
def test_a_base_that_hides_nothing(real_key, forge):
    n, data = real_key.public.n, bytearray(real_key.public.to_bytes())
    for h_s in (1, n * n - 1, n + 1):
        data[-512:] = h_s.to_bytes(512, "little")
        with pytest.raises(smlp.MalformedError, match="h_s" if forge is forged else "damaged"):
            smlp.PublicKey.from_bytes(forge(data))


def test_an_id_binds_the_base(real_key):
    data = bytearray(real_key.public.to_bytes())
    data[-512:] = (4).to_bytes(512, "little")
    other = smlp.PublicKey.from_bytes(forged(data))
    assert other.n == real_key.public.n
    assert other.id != real_key.public.id
    assert other != real_key.public
    x = smlp.encrypt(other, [3.25, -1.5])
    assert x.key_id == other.id
    with pytest.raises(smlp.KeyMismatchError):
        x.decrypt(real_key.private)
    with pytest.raises(smlp.KeyMismatchError):
        smlp.EncryptedTensor.from_bytes(x.to_bytes(), real_key.public)


@pytest.mark.parametrize("forge", [bytes, forged])
def test_a_private_key_with_a_flipped_bit(real_key, forge):
    good = real_key.private.to_bytes()
    assert forged(good) == good
    # The bits of N, p, q, and both ends of h_s.
    for at in (CONTENTS, CONTENTS + 8, CONTENTS + 8 + 128, -512, -40):
        data = bytearray(good)
        data[at] ^= 1
        with pytest.raises(smlp.MalformedError, match=r".+" if forge is forged else "damaged"):
            smlp.PrivateKey.from_bytes(forge(data))


def test_files(key, tmp_path):
    secret = tmp_path / "schlüssel.private"
    key.private.save(secret)
    assert stat.S_IMODE(os.stat(secret).st_mode) == 0o600
    with pytest.raises(OSError, match="schlüssel"):
        key.private.save(secret)
    key.public.save(str(tmp_path / "public"))
    assert smlp.PrivateKey.load(secret, allow_insecure=True).public == key.public
    assert smlp.PublicKey.load(tmp_path / "public", allow_insecure=True) == key.public
    with pytest.raises(smlp.IoError, match="missing"):
        smlp.PublicKey.load(tmp_path / "missing", allow_insecure=True)
    with pytest.raises(ValueError, match="NUL"):
        key.public.save("a\0b")
    with pytest.raises(smlp.InsecureError, match="chmod 600"):
        smlp.PrivateKey.load(tmp_path / "public", allow_insecure=True)
    os.chmod(tmp_path / "public", 0o600)
    with pytest.raises(smlp.MalformedError):
        smlp.PrivateKey.load(tmp_path / "public", allow_insecure=True)


def test_repr_reveals_nothing(key):
    for shown in (repr(key.private), str(key), repr(key.public)):
        assert "512 bits" in shown
        assert str(key.public.n) not in shown
        assert f"{key.public.n:x}" not in shown
    secret = int.from_bytes(key.private.to_bytes(), "big")
    assert str(secret) not in repr(key.private)


def test_pickling_is_refused(key):
    for thing in (key.private, key.public, key, smlp.encrypt(key, [1]), smlp.P2(key.private)):
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(thing)


def test_copies_are_the_same(key):
    assert copy.copy(key.public) is key.public
    assert copy.deepcopy(key.private) is key.private


def test_modulus(key):
    foreign = smlp.PublicKey.from_modulus(key.public.n, allow_insecure=True)
    assert foreign.is_foreign
    assert foreign.id != key.public.id
    assert foreign != key.public
    assert foreign == smlp.PublicKey.from_modulus(key.public.n, allow_insecure=True)
    with pytest.raises(smlp.InsecureError):
        smlp.PublicKey.from_modulus(key.public.n)
    for bad in (0, -5):
        with pytest.raises(ValueError, match="positive"):
            smlp.PublicKey.from_modulus(bad, allow_insecure=True)
    with pytest.raises(ValueError, match=r".+"):
        smlp.PublicKey.from_modulus(key.public.n + 1, allow_insecure=True)


def test_wrong_kinds_are_named(key):
    with pytest.raises(smlp.UnsupportedError, match=r"PublicKey, got PrivateKey"):
        smlp.P1(key.private)
    with pytest.raises(TypeError, match=r"PrivateKey, got PublicKey"):
        smlp.P2(key.public)
    with pytest.raises(TypeError, match=r"PublicKey, got str"):
        smlp.encrypt("key", [1.0])
