"""python-paillier on the other side: their ciphertexts in ours, ours in theirs."""

import numpy as np
import phe
import pytest

import smlp

BITS = 512


def as_theirs(public, numbers):
    return [phe.EncryptedNumber(public, int(number), 0) for number in np.ravel(numbers)]


def test_their_key_computes_here():
    theirs, their_private = phe.generate_paillier_keypair(n_length=BITS)
    ours = smlp.PublicKey.from_modulus(theirs.n, allow_insecure=True)
    assert ours.is_foreign
    assert ours.n == theirs.n

    array = np.array([[3, -5], [0, 12345]])
    x = smlp.encrypt(ours, array)
    imported = smlp.EncryptedTensor.from_ciphertexts(
        ours, [theirs.encrypt(int(value)).ciphertext() for value in array.ravel()], bound_bits=20
    ).reshape(2, 2)
    result = x * 3 - imported.T + np.array([1, 2])
    numbers = result.ciphertexts()
    assert numbers.shape == (2, 2)
    opened = [their_private.decrypt(number) for number in as_theirs(theirs, numbers)]
    assert opened == (array * 3 - array.T + np.array([1, 2])).ravel().tolist()


def test_their_pair_computes_here():
    theirs, their_private = phe.generate_paillier_keypair(n_length=BITS)
    private = smlp.PrivateKey.from_primes(their_private.p, their_private.q, allow_insecure=True)
    public = private.public
    again = smlp.PrivateKey.from_primes(their_private.q, their_private.p, allow_insecure=True)
    assert (again.public, public.n, public.is_foreign) == (public, theirs.n, False)
    loaded = smlp.PrivateKey.from_bytes(private.to_bytes(), allow_insecure=True)
    assert loaded.public == public

    array = np.array([[3, -5], [0, 12345]])
    # What the modulus alone encrypted is opened and refreshed; it goes with nothing else of ours.
    by_modulus = smlp.encrypt(
        smlp.PublicKey.from_modulus(theirs.n, allow_insecure=True), array, bound_bits=20
    )
    np.testing.assert_array_equal(by_modulus.decrypt(private), array)
    ours = smlp.encrypt(public, array, bound_bits=20)
    with pytest.raises(smlp.KeyMismatchError):
        ours + by_modulus
    session = smlp.Session(smlp.P1(public), smlp.P2(private))
    refreshed = session.refresh(by_modulus)
    assert refreshed.key_id == public.id
    np.testing.assert_array_equal((refreshed + ours).decrypt(private), 2 * array)
    np.testing.assert_array_equal(session.multiply(by_modulus, ours).decrypt(private), array**2)
    read = smlp.EncryptedTensor.from_bytes(by_modulus.to_bytes(), public)
    np.testing.assert_array_equal(session.matmul(read, ours).decrypt(private), array @ array)

    opened = [their_private.decrypt(number) for number in as_theirs(theirs, ours.ciphertexts())]
    assert opened == array.ravel().tolist()


def test_what_are_no_primes_of_a_pair():
    _, their_private = phe.generate_paillier_keypair(n_length=BITS)
    p, q = their_private.p, their_private.q
    for bad in ((p, p), (p, q + 2), (p, p * q), (3, q)):
        with pytest.raises(smlp.MalformedError, match=r".+"):
            smlp.PrivateKey.from_primes(*bad, allow_insecure=True)
    for bad in ((0, q), (p, -q)):
        with pytest.raises(ValueError, match="positive"):
            smlp.PrivateKey.from_primes(*bad, allow_insecure=True)
    with pytest.raises(smlp.InsecureError, match="2048"):
        smlp.PrivateKey.from_primes(p, q)
    with pytest.raises(TypeError):
        smlp.PrivateKey.from_primes(str(p), q)


def test_their_floats_keep_their_exponent():
    theirs, their_private = phe.generate_paillier_keypair(n_length=BITS)
    ours = smlp.PublicKey.from_modulus(theirs.n, allow_insecure=True)
    number = theirs.encrypt(2.75, precision=2**-16)
    x = smlp.EncryptedTensor.from_ciphertexts(
        ours, [number.ciphertext()], scale=-4 * number.exponent
    )
    doubled = x + 1.25
    back = phe.EncryptedNumber(theirs, int(doubled.ciphertexts()[0]), number.exponent)
    assert their_private.decrypt(back) == 4.0


def test_their_ciphertexts_under_our_key(key, session):
    theirs = phe.PaillierPublicKey(key.public.n)
    array = np.array([[7, -8], [0, 1000]])
    numbers = [[theirs.encrypt(int(value)).ciphertext() for value in row] for row in array]
    x = smlp.EncryptedTensor.from_ciphertexts(key.public, numbers, bound_bits=12)
    assert (x.shape, x.scale, x.bound) == ((2, 2), 0, 12)
    np.testing.assert_array_equal(x.decrypt(key.private), array)
    np.testing.assert_array_equal(session.refresh(x).decrypt(key.private), array)
    product = session.multiply(x, smlp.encrypt(key, array.T, bound_bits=12))
    np.testing.assert_array_equal(product.decrypt(key.private), array * array.T)
    np.testing.assert_array_equal(session.matmul(x, x).decrypt(key.private), array @ array)


def test_round_trip(key):
    array = np.array([1.5, -2.25, 0.0])
    x = smlp.encrypt(key, array)
    numbers = x.ciphertexts()
    assert all(0 < number < key.public.n**2 for number in numbers)
    back = smlp.EncryptedTensor.from_ciphertexts(key.public, numbers, scale=16, bound_bits=40)
    np.testing.assert_array_equal(back.decrypt(key.private), array)
    assert back.ciphertexts().tolist() == numbers.tolist()
    assert smlp.encrypt(key, 5)[()].ciphertexts().shape == ()


@pytest.mark.parametrize("number", [-1, 0, 1 << 2000, 1.5, "7"])
def test_what_is_no_ciphertext(key, number):
    with pytest.raises((smlp.SmlpError, TypeError)):
        smlp.EncryptedTensor.from_ciphertexts(key.public, [number])


def test_multiples_of_the_primes_are_no_ciphertexts(key):
    with pytest.raises(smlp.SmlpError):
        smlp.EncryptedTensor.from_ciphertexts(key.public, [key.public.n])
